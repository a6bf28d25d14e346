"""Selection: from train rows alone, kept in the bundle, and written into the config as it was chosen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from attacks import making
from attacks.effort import LEAN
from defenses.bit_depth import BitDepthSpec
from detectors.feature_squeezing import FeatureSqueezingSpec
from detectors.input_statistics import InputStatisticsSpec
from detectors.mahalanobis import MahalanobisSpec
from detectors.margin import MarginSpec
from detectors.noise_stability import NoiseStabilitySpec
from gateway.config import Config
from gateway.configfile import read
from gateway.configfile.writing import write_chain
from gateway.errors import BundleError, OperatorError
from gateway.training import selecting, trying
from gateway.training.bundle import Draft
from gateway.training.calibrate import calibrate
from gateway.training.fitting import Part
from gateway.training.learning import Learned, Learning, learn
from gateway.training.loading import load_endpoints
from gateway.training.passes import silent
from gateway.training.prepare import Prepared, prepare
from gateway.training.report import Report
from gateway.training.selecting import Selection
from tests import digits
from tests.project import Project

QUICK = Learning(quick=True)
ATTACKED = 80
YAML = """\
endpoints:
  digits:
    model: {kind: onnx, path: digits.onnx, input: {bounds: [0, 1]}}
    reference: train.npz
    holdout: test.npz
    chain: auto        # mine
    cost: 1.3
"""


PIECES = (
    InputStatisticsSpec(look="values"),
    MahalanobisSpec(),
    MarginSpec(),
    FeatureSqueezingSpec(squeezers=(BitDepthSpec(bits=2),)),
    NoiseStabilitySpec(),
)


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Fewer pieces to try, in the same way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "affordable", lambda model, x, quick: (LEAN, ATTACKED))
        patch.setattr(trying, "everything", lambda spec: PIECES)
        patch.setattr(selecting, "free", lambda spec: PIECES[:3])
        yield


@pytest.fixture(scope="module")
def selected(few: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Report]:
    folder = tmp_path_factory.mktemp("digits")
    digits.write(folder)
    config = Project(folder).config(chain="auto", cost=1.3)
    return config, calibrate(config, "digits", learning=QUICK)


def chosen(report: Report) -> Selection:
    assert report.selection is not None
    return report.selection


def test_the_report_shows_what_there_was_to_choose_from(selected: tuple[Config, Report]) -> None:
    report = selected[1]
    pareto = chosen(report).pareto
    assert pareto is not None
    assert [line.cost for line in pareto.lines] == sorted(line.cost for line in pareto.lines)
    assert sum(line.taken for line in pareto.lines) == 1
    document = report.to_json()
    json.dumps(document, allow_nan=False)
    assert document["selection"]["pareto"]["options"][0]["cost"] == 1.0
    assert document["selection"]["chain"][0] == {"kind": "contract"}
    assert any(note.startswith("selected ") for note in report.notes)


def test_the_guard_has_its_own_share_of_the_budget(selected: tuple[Config, Report]) -> None:
    stages = chosen(selected[1]).stages
    assert stages[0].detector.kind == "contract"
    guards = [stage for stage in stages if stage.detector.kind not in ("contract", "combiner")]
    assert sum(stage.weight for stage in guards) == pytest.approx(0.2)
    assert "combiner" in [stage.name for stage in stages]


def test_the_stated_cost_is_kept(selected: tuple[Config, Report]) -> None:
    report = selected[1]
    assert report.limit == 1.3
    assert report.measured.passes <= 1.3 + 0.1  # on other rows than it was set on


def test_serving_takes_the_stages_from_the_bundle(selected: tuple[Config, Report]) -> None:
    config, report = selected
    chain = load_endpoints(config)["digits"].chain
    assert chain.names == tuple(stage.name for stage in chosen(report).stages)
    other = config.model_copy(
        update={"endpoints": {"digits": config.endpoints["digits"].model_copy(update={"cost": 1.6})}}
    )
    with pytest.raises(BundleError, match=r"digits\.cost is 1\.6, was 1\.3"):
        load_endpoints(other)


def test_a_written_chain_calibrates_to_the_same_one(tmp_path: Path) -> None:
    digits.write(tmp_path)
    file = tmp_path / "watchgate.yaml"
    file.write_text(YAML)
    learning = Learning(quick=True, written=True)
    first = calibrate(read(file), "digits", learning=learning)
    write_chain(file, "digits", chosen(first).stages)
    assert "# mine" in file.read_text()
    config = read(file)
    assert config.endpoints["digits"].chain == chosen(first).stages
    served = load_endpoints(config)["digits"].chain
    again = calibrate(config, "digits", learning=QUICK)
    assert again.selection is None
    assert again.version == first.version
    assert load_endpoints(config)["digits"].chain.names == served.names


def test_listed_stages_are_replaced_only_where_they_are_written(project: Project) -> None:
    with pytest.raises(OperatorError, match=r"endpoints\.digits: chain: lists stages.*add --write"):
        calibrate(project.config(), "digits", learning=Learning(quick=True, select=True))


def test_without_train_rows_the_rarest_evidence_counts(project: Project) -> None:
    with np.load(project.folder / "test.npz") as file:
        np.savez(project.folder / "test.npz", x=file["x"][:260], y=file["y"][:260])
    report = calibrate(project.config(chain="auto"), "digits", learning=QUICK)
    assert chosen(report).pareto is None
    assert any("the holdout is too small" in note for note in report.notes)
    assert chosen(report).stages[-1].detector.kind == "combiner"


Prepare = Callable[[Path, str, bool], tuple[Prepared, Learned, list[Part]]]


@pytest.fixture
def prepared(project: Project) -> Prepare:
    """Selects, with other rows in the parts that it must not read where `spoiled`; tells which parts were read."""

    def run(folder: Path, name: str, spoiled: bool) -> tuple[Prepared, Learned, list[Part]]:
        settings = project.config(chain="auto").endpoints["digits"]
        draft = Draft(folder / name)
        draft.folder.mkdir()
        found = prepare(settings, draft)
        asked: list[Part] = []
        if spoiled:
            rng = np.random.default_rng(1)
            for part in ("rank", "calibrate", "check"):
                data, rows = found.parts[part]
                data.batch.x.setflags(write=True)
                data.batch.x[rows] = rng.random(data.batch.x[rows].shape)

        class Watched(Prepared):
            def read(self, part: Part) -> object:  # type: ignore[override]
                asked.append(part)
                return Prepared.read(self, part)

        watched = Watched(found.spec, found.backend, found.parts, found.digests, found.notes)
        return found, learn(settings, watched, draft.folder, QUICK, silent), asked

    return run


def test_rows_that_set_or_check_the_cuts_are_never_read(prepared: Prepare, tmp_path: Path) -> None:
    _, plain, asked = prepared(tmp_path, "plain", False)
    _, spoiled, _ = prepared(tmp_path, "spoiled", True)
    assert set(asked) == {"reference", "train"}
    assert plain.settings.chain == spoiled.settings.chain
    assert plain.selection == spoiled.selection
