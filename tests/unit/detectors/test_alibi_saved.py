"""Drift detectors that alibi-detect saved, where it is installed; and what is refused with or without it."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from defenses.base import Unsuitable
from detectors.alibi_drift import SavedDrift
from detectors.alibi_saved import Saved

installed = find_spec("alibi_detect") is not None
needs_alibi = pytest.mark.skipif(not installed, reason="alibi-detect is not installed: an optional extra")
RNG = np.random.default_rng(0)
REFERENCE = RNG.normal(size=(150, 4)).astype(np.float32)
STREAM = RNG.normal(size=(300, 4)).astype(np.float32)
ONLINE = {"ert": 50, "window_size": 10, "backend": "pytorch", "n_bootstraps": 200, "verbose": False}


def make(name: str, **parameters: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it and its dependencies say when they are imported
        import alibi_detect.cd

        return getattr(alibi_detect.cd, name)(REFERENCE, **parameters)


def save(detector: Any, folder: Path) -> Path:
    from alibi_detect.saving import save_detector

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_detector(detector, folder)
    return folder


def load(folder: Path) -> SavedDrift:
    saved = Saved.read(folder)
    saved.refuse_code()
    return saved.load()


@needs_alibi
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("KSDrift", {}),
        ("CVMDrift", {}),
        ("MMDDrift", {"backend": "pytorch", "n_permutations": 20}),
    ],
)
def test_the_same_p_values_on_the_same_windows(tmp_path: Path, name: str, parameters: dict[str, Any]) -> None:
    import torch

    theirs = make(name, **parameters)
    ours = load(save(theirs, tmp_path / "saved"))
    for start, moved in ((0, 0.0), (100, 0.0), (200, 1.0)):
        window = STREAM[start : start + 100] + np.float32(moved)
        torch.manual_seed(start)  # permutations are drawn
        expected = theirs.predict(window)["data"]
        torch.manual_seed(start)
        found = ours.look(ours.fitting(window))
        assert found is not None
        assert found.p_values == tuple(np.atleast_1d(expected["p_val"]).tolist())
        assert found.drifted == bool(expected["is_drift"])
        assert found.drifted == bool(moved)
        assert (found.statistic > found.threshold) == found.drifted


@needs_alibi
def test_what_is_drawn_as_it_is_made_is_always_the_same(tmp_path: Path) -> None:
    folder = save(make("LSDDDrift", backend="pytorch"), tmp_path / "saved")  # it draws its centers
    one, other = (load(folder).look(STREAM) for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.p_values == pytest.approx(other.p_values, abs=0.2)  # permutations are drawn anew with each window


@needs_alibi
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("MMDDriftOnline", ONLINE),
        ("LSDDDriftOnline", ONLINE),
        pytest.param(
            "CVMDriftOnline",
            {"ert": 50, "window_sizes": [10], "n_bootstraps": 10_000, "verbose": False},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_online_detector_goes_on_after_a_restart(tmp_path: Path, name: str, parameters: dict[str, Any]) -> None:
    folder = save(make(name, **parameters), tmp_path / "saved")
    unbroken, before, after = (load(folder) for _ in range(3))
    assert unbroken.online
    whole = [unbroken.look(STREAM[at : at + 1]) for at in range(200)]
    first = [before.look(STREAM[at : at + 1]) for at in range(120)]
    kept = before.to_arrays()
    assert all(array.dtype.kind in "biuf" for array in kept.values())
    assert sum(array.nbytes for array in kept.values()) < 300_000
    assert after.restore(kept)
    second = [after.look(STREAM[at : at + 1]) for at in range(120, 200)]
    assert first + second == whole
    assert any(found is not None for found in whole)
    assert len(unbroken.to_arrays()["test_stats"]) < 50  # not one for every row there was


@needs_alibi
def test_thresholds_are_those_of_before(tmp_path: Path) -> None:
    folder = save(make("MMDDriftOnline", **ONLINE), tmp_path / "saved")
    kept = load(folder).to_arrays()
    kept["thresholds"] = kept["thresholds"] * 2.0
    again = load(folder)
    assert again.restore(kept)
    assert (again.to_arrays()["thresholds"] == kept["thresholds"]).all()
    assert not again.restore({**kept, "ref_inds": kept["ref_inds"][::-1]})


@needs_alibi
def test_rows_of_another_size_are_refused(tmp_path: Path) -> None:
    ours = load(save(make("KSDrift"), tmp_path / "saved"))
    assert ours.fitting(STREAM.reshape(300, 2, 2)).shape == (300, 4)
    with pytest.raises(Unsuitable, match=r"KSDrift: expected rows of 4 values \(\(4,\)\), found 3"):
        ours.fitting(STREAM[:, :3])


@needs_alibi
@pytest.mark.filterwarnings("ignore:Exception ignored in")  # it leaves the file open
def test_code_is_loaded_only_as_it_was_pinned(tmp_path: Path) -> None:
    folder = save(make("KSDrift", preprocess_fn=lambda x: x * 2.0), tmp_path / "saved")
    saved = Saved.read(folder)
    with pytest.raises(Unsuitable, match=rf"\.dill: is not an array.*`trust: true, sha256: {saved.digest}`"):
        saved.refuse_code()
    saved.refuse_unpinned(saved.digest)
    found = saved.load().look(STREAM)
    assert found is not None
    assert len(found.p_values) == 4
    with (folder / "config.toml").open("a") as file:
        file.write("# changed\n")
    with pytest.raises(Unsuitable, match="it has changed"):
        Saved.read(folder).refuse_unpinned(saved.digest)


@needs_alibi
@pytest.mark.parametrize(
    "line",
    [
        'preprocess_fn = "../evil.dill"',
        'preprocess_fn = "evil.dill"',
        'x_ref = "/somewhere/x_ref.npy"',
        '[model]\nflavour = "pytorch"\nsrc = "model"',
        '[preprocess_fn]\nsrc = "@cd.pytorch.preprocess.preprocess_drift"\n[preprocess_fn.embedding]\nsrc = "x"',
        '[kernel]\nsrc = "kernel.pt"',
    ],
)
def test_a_config_that_names_more_than_arrays_is_refused(tmp_path: Path, line: str) -> None:
    np.save(tmp_path / "x_ref.npy", REFERENCE)
    (tmp_path / "config.toml").write_text(f'name = "KSDrift"\nbackend = "pytorch"\n{line}\n')
    with pytest.raises(Unsuitable, match=r"config.toml: .*: is not an array"):
        Saved.read(tmp_path).refuse_code()


@pytest.mark.parametrize("name", ["preprocess_fn.dill", "state/state.pt", "deep/x_ref.npy", "notes.txt"])
def test_a_part_that_is_no_array_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.toml").write_text('name = "KSDrift"\n')
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(Unsuitable, match=rf"{name}: is not an array"):
        Saved.read(tmp_path).refuse_code()


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('name = "KSDrift"\n')
    np.save(tmp_path / "x_ref.npy", np.array([{}], dtype=object), allow_pickle=True)  # writes one, reads none
    with pytest.raises(Unsuitable, match=r"x_ref.npy: is not an array"):
        Saved.read(tmp_path).refuse_code()


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsuitable, match=r"expected a folder that alibi-detect's `save_detector` wrote"):
        Saved.read(tmp_path)


@pytest.mark.skipif(installed, reason="alibi-detect is installed")
def test_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('name = "KSDrift"\n')
    with pytest.raises(Unsuitable, match=r"install watchgate\[alibi\]"):
        Saved.read(tmp_path).load()
