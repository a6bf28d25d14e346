from __future__ import annotations

from pathlib import Path

import pytest

from gateway.configfile import read
from gateway.errors import OperatorError
from tests.mistakes import GOOD, MISTAKES


def write(folder: Path, text: str) -> Path:
    path = folder / "watchgate.yaml"
    path.write_text(text)
    return path


def complaint(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    write(folder, text)
    monkeypatch.chdir(folder)
    with pytest.raises(OperatorError) as caught:
        read(Path("watchgate.yaml"))
    return str(caught.value)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_line_and_key(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, expected = MISTAKES[mistake]
    assert GOOD.count(old) == 1
    assert complaint(tmp_path, GOOD.replace(old, new), monkeypatch) == f"watchgate.yaml:{expected}"


def test_a_custom_detector_is_imported_only_where_it_is_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, GOOD.replace("- kind: contract", "- kind: custom\n        spec: no_such_module_here:Mine"))
    assert read(path).endpoints["digits"].chain[0].detector.kind == "custom"
    with pytest.raises(OperatorError) as caught:
        read(Path("watchgate.yaml"), need_files=True)
    assert str(caught.value) == (
        "watchgate.yaml:12: endpoints.digits.chain[0]: can't import 'no_such_module_here': "
        "No module named 'no_such_module_here'"
    )


def test_relative_paths_are_the_files_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    write(folder, GOOD)
    monkeypatch.chdir(tmp_path)
    config = read(Path("there/watchgate.yaml"))
    digits = config.endpoints["digits"]
    assert digits.model.path == folder / "digits.onnx"
    assert digits.reference == folder / "train.npz"
    assert digits.holdout == folder / "test.npz"
    assert config.state.path == folder / "state"
    assert config.bundle == folder / "bundle"


def test_redis_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.state.config.find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    Path("watchgate.yaml").write_text(GOOD.replace("  path: state/", "  kind: redis\n  url: redis://host"))
    with pytest.raises(OperatorError) as told:
        read(Path("watchgate.yaml"))
    needs = "`redis` needs the package redis, found none: pip install 'watchgate[redis]'"
    assert str(told.value) == f"watchgate.yaml:24: state.kind: {needs}"


def test_absolute_paths_stay(tmp_path: Path) -> None:
    config = read(write(tmp_path, GOOD.replace("train.npz", "/data/train.npz")))
    assert config.endpoints["digits"].reference == Path("/data/train.npz")


@pytest.mark.parametrize(
    ("written", "meant"), [("./net.py:make", "{folder}/net.py:make"), ("nets.small:make", "nets.small:make")]
)
def test_a_factory_in_a_file_is_the_files_own(written: str, meant: str, tmp_path: Path) -> None:
    text = GOOD.replace("kind: onnx\n", f"kind: pytorch\n      factory: {written}\n").replace(
        "digits.onnx", "digits.safetensors"
    )
    model = read(write(tmp_path, text)).endpoints["digits"].model
    assert getattr(model, "factory") == meant.format(folder=tmp_path)  # noqa: B009


def test_a_good_file_is_read_as_written(tmp_path: Path) -> None:
    config = read(write(tmp_path, GOOD))
    digits = config.endpoints["digits"]
    assert [stage.name for stage in digits.chain] == ["contract", "mahalanobis", "feature_squeezing"]
    assert digits.chain[2].when == "suspicious"
    assert digits.chain[2].weight == 2.0
    assert digits.budget.reject == 0.01
    assert tuple(digits.model.input.bounds or ()) == (0.0, 1.0)
    assert digits.purify[0].purifier.kind == "median"


def test_aliases_repeat_whole_values(tmp_path: Path) -> None:
    text = GOOD.replace("budget: {flag: 0.05", "budget: &b {flag: 0.05").replace(
        "state:\n", "  other:\n    model: {kind: onnx, path: o.onnx}\n    reference: o.npz\n    budget: *b\nstate:\n"
    )
    config = read(write(tmp_path, text))
    assert config.endpoints["other"].budget == config.endpoints["digits"].budget


def test_many_problems_are_told_three_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GOOD
    for key in ("size", "timeout_ms", "weight", "bounds", "holdout"):
        text = text.replace(f"{key}:", f"x_{key}:")
    assert complaint(tmp_path, text, monkeypatch).splitlines() == [
        "watchgate.yaml:7: endpoints.digits.model.input.x_bounds: unknown key (did you mean 'bounds'?)",
        "watchgate.yaml:9: endpoints.digits.x_holdout: unknown key (did you mean 'holdout'?)",
        "watchgate.yaml:14: endpoints.digits.chain[1].x_timeout_ms: unknown key (did you mean 'timeout_ms'?)",
        "watchgate.yaml: and 2 more",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file; `watchgate init` writes one"),
        (b"a: \xff\xfe", "expected UTF-8 text, found other bytes at 3"),
        (b"#" * (2**20 + 1), "a config of more than 1048576 bytes is not read"),
    ],
)
def test_files_that_are_no_text(content: bytes | None, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "watchgate.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OperatorError, match=expected):
        read(path)
    with pytest.raises(OperatorError, match="expected a file, found a folder"):
        read(tmp_path)


def test_files_are_asked_for_only_where_they_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, GOOD)
    for name in ("digits.onnx", "train.npz"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    read(path)
    with pytest.raises(OperatorError) as caught:
        read(Path("watchgate.yaml"), need_files=True)
    assert str(caught.value) == (
        f"watchgate.yaml:9: endpoints.digits.holdout: expected a file, found no such file: {tmp_path / 'test.npz'}"
    )


def test_a_short_file_can_not_spell_a_billion_values(tmp_path: Path) -> None:
    rungs = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rungs += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(OperatorError, match="more than 100000 values"):
        read(write(tmp_path, "\n".join(rungs)))


def test_nesting_without_end_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="nested too deeply"):
        read(write(tmp_path, "[" * 100_000))
