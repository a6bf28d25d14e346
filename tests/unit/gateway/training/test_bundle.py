"""A bundle gives back the calibrated chain, serves only the config it was made for, and notices any change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.chain import Chain
from gateway.config import Config
from gateway.errors import BundleError
from gateway.training import fitting
from gateway.training.bundle import MANIFEST, Draft, drafting
from gateway.training.calibrate import calibrate
from gateway.training.loading import load_endpoints
from models.batch import Array, Batch
from tests.project import CHAIN, Project

RUNTIME: dict[str, Any] = {
    "mode": "shadow",
    "disclose": "none",
    "limits": {"max_batch_rows": 8},
    "chain": [
        {"kind": "contract", "on_error": "allow", "timeout_ms": 1000},
        {"kind": "mahalanobis", "mode": "shadow"},
        *CHAIN[2:],
    ],
}


@pytest.fixture
def calibrated(project: Project) -> Project:
    calibrate(project.config(), "digits")
    return project


def rows(project: Project) -> Array:
    with np.load(project.folder / "test.npz") as file:
        x: Array = file["x"][:50].copy()
    x[:5] = np.random.default_rng(0).uniform(size=(5, 1, 8, 8))
    return x


def chain_of(config: Config) -> Chain:
    return load_endpoints(config)["digits"].chain


def test_what_was_calibrated_is_what_serves(calibrated: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[Any] = []
    real = fitting.fit

    def keep(*args: Any, **options: Any) -> Any:
        fitted.append(real(*args, **options))
        return fitted[-1]

    monkeypatch.setattr("gateway.training.calibrate.fit", keep)
    calibrate(calibrated.config(), "digits")
    chain = chain_of(calibrated.config())
    before = Chain(chain.backend, tuple(s.stage for s in fitted[0].stages), fitted[0].policy)
    batch = Batch(rows(calibrated))
    ours, theirs = chain.run(batch).verdicts, before.run(batch).verdicts
    assert (ours.statistic == theirs.statistic).all()
    assert (ours.actions == theirs.actions).all()
    assert (ours.p_value == theirs.p_value).all()
    assert ours.actions.max() == 2


def test_the_model_and_the_data_need_not_be_there(calibrated: Project) -> None:
    batch = Batch(rows(calibrated))
    expected = chain_of(calibrated.config()).run(batch).verdicts.statistic
    for name in ("digits.onnx", "train.npz", "test.npz"):
        (calibrated.folder / name).unlink()
    assert (chain_of(calibrated.config()).run(batch).verdicts.statistic == expected).all()


def test_a_folder_can_be_moved(calibrated: Project, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("bundle", "digits.onnx"):
        shutil.move(calibrated.folder / name, moved / name)
    assert chain_of(Project(moved).config()).stages


def test_traces_are_told_the_thresholds_in_each_stages_own_score(calibrated: Project) -> None:
    endpoint = load_endpoints(calibrated.config())["digits"]
    info, chain = endpoint.info, endpoint.chain
    assert info.version == chain.version
    assert [stage.name for stage in info.stages] == ["contract", "mahalanobis", "doubt", "nearest"]
    assert [stage.conditional for stage in info.stages] == [False, False, False, True]
    for told, stage in zip(info.stages, chain.stages, strict=True):
        assert told.flag_score <= told.reject_score
        if np.isfinite(told.reject_score):
            score = np.array([told.reject_score], np.float32)
            assert stage.tail(score)[0] < info.reject_cut
            assert stage.tail(np.nextafter(score, np.float32(-np.inf)))[0] >= info.reject_cut * (1 - 1e-6)


def test_settings_of_the_moment_may_change(calibrated: Project) -> None:
    endpoint = load_endpoints(calibrated.config(**RUNTIME))["digits"]
    assert endpoint.chain.policy.shadow
    assert endpoint.chain.stages[0].on_error == "allow"
    assert endpoint.chain.stages[1].shadow
    model = {"kind": "onnx", "path": calibrated.folder / "digits.onnx", "input": {"bounds": [0, 1]}, "threads": 2}
    load_endpoints(calibrated.config(model=model))


CHANGED: list[tuple[dict[str, Any], str]] = [
    ({"chain": [*CHAIN[:3]]}, r"endpoints\.digits\.chain has 3 entries, had 4"),
    ({"chain": [{"kind": "contract"}, {"kind": "mahalanobis", "weight": 2}, *CHAIN[2:]]}, r"chain\[1\]\.weight is 2"),
    ({"chain": [*CHAIN[:3], {**CHAIN[3], "k": 3}]}, r"chain\[3\]\.detector\.k is 3, was 5"),
    ({"budget": {"flag": 0.1}}, r"budget\.flag is 0\.1, was 0\.05"),
    ({"seed": 4}, r"seed is 4, was 0"),
    ({"holdout": "other.npz"}, r"holdout is '.*other\.npz', was 'test\.npz'"),
    ({"purify": [{"kind": "median"}]}, r"purify has 1 entries, had 0"),
]


@pytest.mark.parametrize(("change", "message"), CHANGED)
def test_a_config_that_means_something_else_is_refused(
    calibrated: Project, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleError, match=f"changed since calibrate: .*{message}.*; run `watchgate calibrate`"):
        load_endpoints(calibrated.config(**change))


def test_another_model_under_the_same_name_is_refused(calibrated: Project) -> None:
    with (calibrated.folder / "digits.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match=r"digits\.onnx: changed since calibrate"):
        load_endpoints(calibrated.config())


def test_a_shadow_stage_can_not_begin_to_decide_unmeasured(project: Project) -> None:
    chain = [*CHAIN[:3], {"kind": "nearest", "mode": "shadow"}]
    calibrate(project.config(chain=chain), "digits")
    load_endpoints(project.config(chain=chain))
    with pytest.raises(BundleError, match=r"chain\[3\]\.mode is enforce, was shadow"):
        load_endpoints(project.config(chain=[*CHAIN[:3], {"kind": "nearest"}]))


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def edited(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        change(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return edited


def flip(name: str) -> Callable[[Path], object]:
    def flipped(folder: Path) -> None:
        [file] = folder.rglob(name)
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)

    return flipped


TAMPERED: list[tuple[str, Callable[[Path], object], str]] = [
    ("model", flip("digits.onnx"), r"digits\.onnx: is not the file that calibrate wrote"),
    ("stage", flip("stage-1.npz"), r"stage-1\.npz: is not the file"),
    ("missing", lambda folder: (folder / "stage-0.npz").unlink(), r"stage-0\.npz: missing from the bundle"),
    ("cuts", edit(lambda m: m["cuts"].update(reject=0.0)), "is not the manifest that calibrate wrote"),
    ("digest", edit(lambda m: m["files"].update({"stage-1.npz": "0" * 64})), "is not the manifest"),
    ("format", edit(lambda m: m.update(format=99)), "expected format 1, found 99"),
    ("keys", edit(lambda m: m.pop("cuts")), "is no manifest of a bundle"),
    ("json", lambda folder: (folder / MANIFEST).write_text("{"), "is no manifest of a bundle"),
    ("gone", shutil.rmtree, "endpoint 'digits' has no bundle; run `watchgate calibrate`"),
]


@pytest.mark.parametrize(("tamper", "message"), [t[1:] for t in TAMPERED], ids=[t[0] for t in TAMPERED])
def test_an_altered_bundle_is_refused(calibrated: Project, tamper: Callable[[Path], object], message: str) -> None:
    tamper(calibrated.folder / "bundle" / "digits")
    with pytest.raises(BundleError, match=message):
        load_endpoints(calibrated.config())


def test_the_old_bundle_stays_until_the_new_one_is_complete(
    calibrated: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = chain_of(calibrated.config()).version

    def fail(*args: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("gateway.training.calibrate.measure", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        calibrate(calibrated.config(seed=1), "digits")
    assert chain_of(calibrated.config()).version == version
    assert [path.name for path in (calibrated.folder / "bundle").iterdir()] == ["digits"]


def test_arrays_of_objects_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="expected numbers, found Python objects"):
        Draft(tmp_path).add_arrays("stage-0.npz", {"names": np.array([{}], dtype=object)})


@pytest.mark.parametrize("name", ["../up", "", ".hidden", "a/b"])
def test_an_endpoints_name_is_a_folders(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="expected a name of letters"), drafting(tmp_path, name):
        pass
