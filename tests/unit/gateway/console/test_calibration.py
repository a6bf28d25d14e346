from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from gateway.configfile import read
from gateway.console.access import Access
from gateway.console.app import build
from gateway.console.source import Source
from gateway.metrics.meter import key
from gateway.metrics.tally import Tally
from gateway.starting.start import start
from gateway.state.record import Record
from gateway.telemetry.describe import describe
from gateway.training.calibrate import calibrate
from tests import digits
from tests.traffic import observe, odd
from tests.visitor import Visitor


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The config of a folder where `init` and `calibrate` ran."""
    folder = tmp_path_factory.mktemp("digits")
    digits.write(folder)
    found, _ = start(folder / "digits.onnx", folder / "train.npz", folder / "test.npz")
    config = folder / "watchgate.yaml"
    config.write_text(found.text(folder))
    calibrate(read(config), "digits")
    return config


@pytest.fixture
def source(calibrated: Path, tmp_path: Path) -> Iterator[Source]:
    """A console over that bundle, with a state folder of its own."""
    config = read(calibrated)
    config = config.model_copy(update={"state": config.state.model_copy(update={"path": tmp_path / "state"})})
    source = Source(config, calibrated)
    yield source
    source.close()


@pytest.fixture
def client(source: Source) -> Iterator[Visitor]:
    with Visitor(build(source, Access(None), sampling=False), "http://localhost:3001") as client:
        yield client


def marked_honest(source: Source, count: int) -> list[Record]:
    """Flagged requests of the chain in the bundle, each marked honest."""
    calibration = source.calibration("digits")
    assert calibration is not None
    records = [
        msgspec.structs.replace(describe(observe(odd(1))).record, version=calibration.version) for _ in range(count)
    ]
    with source.store() as store:
        for record in records:
            store.marks.put(record, "honest", "looked fine")
    return records


def served(source: Source, flagged: int, rows: int) -> None:
    tally = Tally(source.config.state.path / "metrics")
    labels = {"endpoint": "digits"}
    counted = {"allow": rows - flagged, "flag": flagged, "reject": 0}
    tally.write({key("watchgate_rows_total", {**labels, "action": name}): n for name, n in counted.items()})
    tally.close()


def test_promise_measure_and_every_stage_are_shown(client: Visitor, source: Source) -> None:
    page = client.get("/calibration/digits").text
    calibration = source.calibration("digits")
    assert calibration is not None
    for stage in calibration.report["stages"]:
        assert f">{stage['name']}</h3>" in page
    assert f"measured on {calibration.report['flag']['rows']} rows" in page
    assert "No stopped request has a mark yet." in page
    assert "suggested.yaml" not in page
    assert client.get("/calibration/digits/suggested.yaml").status_code == 404


def test_marks_that_contradict_suggest_a_config(client: Visitor, source: Source, calibrated: Path) -> None:
    marked_honest(source, 40)
    served(source, flagged=400, rows=2000)
    page = client.get("/calibration/digits").text
    assert "More honest rows are stopped than promised" in page
    answer = client.get("/calibration/digits/suggested.yaml")
    assert answer.headers["content-disposition"].startswith("attachment")
    suggested = calibrated.with_name("suggested.yaml")
    suggested.write_text(answer.text)
    budget = read(suggested).endpoints["digits"].budget
    assert budget.flag == pytest.approx(0.05**2 / 0.2, rel=0.05)
    assert budget.reject == 0.01
    before, after = calibrated.read_text().splitlines(), answer.text.splitlines()
    assert len(after) == len(before) + 1  # a line that says whose suggestion it is
    assert sum(a != b for a, b in zip(before, after[1:], strict=True)) == 1
    assert re.search(r"flag: 0\.01[23] +# the share", answer.text)


def test_few_marks_suggest_nothing(client: Visitor, source: Source) -> None:
    records = marked_honest(source, 5)
    served(source, flagged=400, rows=2000)
    page = client.get("/calibration/digits").text
    assert f'href="/requests/{records[0].id}"' in page
    assert "marks are needed to say so" in page
    assert client.get("/calibration/digits/suggested.yaml").status_code == 404


def test_distributions_are_of_the_chain_that_judged(client: Visitor, source: Source) -> None:
    calibration = source.calibration("digits")
    assert calibration is not None
    entry = describe(observe(odd(1)))
    stages = (msgspec.structs.replace(entry.record.stages[0], name="mahalanobis"),)
    ours = msgspec.structs.replace(entry.record, version=calibration.version, stages=stages, id="a" * 32)
    with source.store() as store:
        store.write([replace(entry, record=ours), entry])
    assert 'class="plot histogram"' in client.get(f"/requests/{ours.id}").text
    older = client.get(f"/requests/{entry.record.id}").text
    assert 'class="plot histogram"' not in older
    assert "Calibrated anew since" in older


@pytest.mark.parametrize("endpoint", ["other", "%2e%2e%2fdigits"])
def test_an_endpoint_that_is_not_there_is_a_page(client: Visitor, endpoint: str) -> None:
    assert client.get(f"/calibration/{endpoint}").status_code == 404
