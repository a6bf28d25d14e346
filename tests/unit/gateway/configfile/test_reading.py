from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from defenses.catalogue import AnyPurifierSpec
from detectors.catalogue import AnyDetectorSpec
from gateway.configfile import read
from gateway.errors import OperatorError

GOOD = """\
endpoints:
  digits:
    model:
      kind: onnx
      path: digits.onnx
      input:
        bounds: [0, 1]
    reference: train.npz
    holdout: test.npz
    budget: {flag: 0.05, reject: 0.01}
    chain:
      - kind: contract
      - kind: mahalanobis
        timeout_ms: 50
      - kind: feature_squeezing
        when: suspicious
        weight: 2
    purify:
      - kind: median
        size: 2
        when: flagged
    disclose: verdict
state:
  path: state/
telemetry: {otlp: null, sample_clean: 0.01}
"""


def kinds(union: Any) -> str:
    """The kinds that a discriminated union offers, as a complaint lists them."""
    schema = TypeAdapter(union).json_schema()
    return ", ".join(sorted(schema["discriminator"]["mapping"]))


DETECTORS, PURIFIERS = kinds(AnyDetectorSpec), kinds(AnyPurifierSpec)

# What is replaced, by what, and the whole complaint (after the file's name).
MISTAKES = {
    "unknown key at the top": ("state:", "sate:", "23: sate: unknown key (did you mean 'state'?)"),
    "unknown key of an endpoint": (
        "reference:",
        "refrence:",
        "2: endpoints.digits.reference: is required, found nothing\n"
        "watchgate.yaml:8: endpoints.digits.refrence: unknown key (did you mean 'reference'?)",
    ),
    "unknown key, nothing like it": (
        "budget: {flag: 0.05, reject: 0.01}",
        "budget: {flag: 0.05, zzz: 1}",
        "10: endpoints.digits.budget.zzz: unknown key; expected one of flag, reject, guarantee",
    ),
    "unknown key of the model": (
        "      input:\n        bounds:",
        "      inputs:\n        bounds:",
        "6: endpoints.digits.model.inputs: unknown key (did you mean 'input'?)",
    ),
    "unknown key deeper in the model": (
        "bounds: [0, 1]",
        "bound: [0, 1]",
        "7: endpoints.digits.model.input.bound: unknown key (did you mean 'bounds'?)",
    ),
    "unknown key of a stage": (
        "when: suspicious",
        "wen: suspicious",
        "16: endpoints.digits.chain[2].wen: unknown key (did you mean 'when'?)",
    ),
    "unknown key of a purifier": (
        "size: 2",
        "sise: 2",
        "20: endpoints.digits.purify[0].sise: unknown key (did you mean 'size'?)",
    ),
    "misspelled detector": (
        "kind: mahalanobis",
        "kind: mahalonobis",
        f"13: endpoints.digits.chain[1].kind: expected one of {DETECTORS}, found 'mahalonobis' "
        "(did you mean 'mahalanobis'?)",
    ),
    "misspelled purifier": (
        "kind: median",
        "kind: medium",
        f"19: endpoints.digits.purify[0].kind: expected one of {PURIFIERS}, found 'medium' (did you mean 'median'?)",
    ),
    "another model kind": (
        "kind: onnx",
        "kind: tensorflow",
        "4: endpoints.digits.model.kind: expected one of onnx, pytorch, found 'tensorflow'",
    ),
    "stage without kind": (
        "- kind: contract",
        "- name: first",
        f"12: endpoints.digits.chain[0].kind: is required, one of {DETECTORS}; found nothing",
    ),
    "stage that is a word": (
        "- kind: contract",
        "- contract",
        "12: endpoints.digits.chain[0]: expected a mapping (key: value), found 'contract'",
    ),
    "model that is a path": (
        "    model:\n      kind: onnx\n      path: digits.onnx\n      input:\n        bounds: [0, 1]\n",
        "    model: digits.onnx\n",
        "3: endpoints.digits.model: expected a mapping (key: value), found 'digits.onnx'",
    ),
    "choice": (
        "disclose: verdict",
        "disclose: verdicts",
        "22: endpoints.digits.disclose: expected one of none, scores, verdict, found 'verdicts' "
        "(did you mean 'verdict'?)",
    ),
    "choice in a stage": (
        "when: suspicious",
        "when: sometimes",
        "16: endpoints.digits.chain[2].when: expected one of always, suspicious, found 'sometimes'",
    ),
    "share above one": (
        "flag: 0.05",
        "flag: 5",
        "10: endpoints.digits.budget.flag: expected a number below 1, found 5",
    ),
    "share of zero": (
        "reject: 0.01",
        "reject: 0",
        "10: endpoints.digits.budget.reject: expected a number above 0, found 0",
    ),
    "reject above flag": (
        "flag: 0.05",
        "flag: 0.001",
        "10: endpoints.digits.budget: reject (0.01) must not exceed flag (0.001), which counts it in",
    ),
    "a percent sign": (
        "flag: 0.05",
        "flag: 5%",
        "10: endpoints.digits.budget.flag: expected a number, found '5%'",
    ),
    "a number in quotes": (
        "flag: 0.05",
        'flag: "0.05"',
        "10: endpoints.digits.budget.flag: expected a number, found '0.05'",
    ),
    "a truth value for a number": (
        "sample_clean: 0.01",
        "sample_clean: true",
        "25: telemetry.sample_clean: expected a number, found true",
    ),
    "a truth value for a detector's number": (
        "timeout_ms: 50",
        "timeout_ms: true",
        "14: endpoints.digits.chain[1].timeout_ms: expected a number, found true",
    ),
    "a number in quotes for a detector's": (
        "- kind: contract",
        '- kind: contract\n        margin: "0.2"',
        "13: endpoints.digits.chain[0].margin: expected a number, found '0.2'",
    ),
    "a number for text": (
        "reference: train.npz",
        "reference: 5",
        "8: endpoints.digits.reference: expected a path, found 5",
    ),
    "nothing for a path": (
        "reference: train.npz",
        "reference:",
        "8: endpoints.digits.reference: expected a path, found nothing",
    ),
    "yes for a truth value": (
        "  path: state/",
        "  path: state/\n  capture: {payloads: yes}",
        "25: state.capture.payloads: expected true or false, found 'yes'",
    ),
    "one for a truth value": (
        "  path: state/",
        "  path: state/\n  capture: {payloads: 1}",
        "25: state.capture.payloads: expected true or false, found 1",
    ),
    "a fraction for a count": (
        "    disclose: verdict",
        "    disclose: verdict\n    limits: {max_batch_rows: 1.5}",
        "23: endpoints.digits.limits.max_batch_rows: expected a whole number, found 1.5",
    ),
    "a negative count": (
        "    disclose: verdict",
        "    disclose: verdict\n    limits:\n      max_batch_rows: -1",
        "24: endpoints.digits.limits.max_batch_rows: expected a number above 0, found -1",
    ),
    "a word for bounds": (
        "bounds: [0, 1]",
        "bounds: unit",
        "7: endpoints.digits.model.input.bounds: expected a list, found 'unit'",
    ),
    "one bound": (
        "bounds: [0, 1]",
        "bounds: [0]",
        "7: endpoints.digits.model.input.bounds[1]: is required, found nothing",
    ),
    "three bounds": (
        "bounds: [0, 1]",
        "bounds: [0, 1, 2]",
        "7: endpoints.digits.model.input.bounds: expected at most 2 entries, found 3 entries",
    ),
    "a word in bounds": (
        "bounds: [0, 1]",
        "bounds:\n          - 0\n          - one",
        "9: endpoints.digits.model.input.bounds[1]: expected a number, found 'one'",
    ),
    "bounds the wrong way round": (
        "bounds: [0, 1]",
        "bounds: [1, 0]",
        "7: endpoints.digits.model.input.bounds: expected [low, high] with low < high, found [1, 0]",
    ),
    "a mapping for the chain": (
        "chain:\n      - kind: contract\n      - kind: mahalanobis\n        timeout_ms: 50\n",
        "chain:\n        kind: contract\n    seed: 1\n    ignored:\n      - kind: x\n",
        "11: endpoints.digits.chain: expected a list, found a mapping\n"
        "watchgate.yaml:14: endpoints.digits.ignored: unknown key; expected one of model, reference, holdout, group, "
        "budget, chain, cost, purify, mode, disclose, answers, smoothing, queries, drift, limits, seed",
    ),
    "two stages of one name": (
        "kind: mahalanobis",
        "kind: contract",
        "2: endpoints.digits: two stages are named 'contract': give one of them a `name`",
    ),
    "only conditional stages": (
        "      - kind: contract\n      - kind: mahalanobis\n        timeout_ms: 50\n",
        "",
        "2: endpoints.digits: `when: suspicious` needs at least one unconditional enforcing stage before it",
    ),
    "a pickled model": (
        "kind: onnx\n      path: digits.onnx",
        "kind: pytorch\n      path: digits.pt",
        "5: endpoints.digits.model.path: expected a .pt2 (torch.export) or .safetensors file, found a pickle, "
        "which runs code when it is loaded",
    ),
    "a factory where none is due": (
        "kind: onnx\n      path: digits.onnx",
        "kind: pytorch\n      path: digits.pt2\n      factory: ./net.py:make",
        "6: endpoints.digits.model.factory: expected with a .safetensors file and only there "
        "(./net.py:make or pkg.mod:make)",
    ),
    "a key twice": (
        "    disclose: verdict",
        "    disclose: verdict\n    reference: other.npz",
        "23: endpoints.digits.reference: this key is already given in line 8",
    ),
    "a number as a name": ("  digits:", "  7:", "2: endpoints: keys must be text, found 7: put it in quotes"),
    "a tag": (
        "reference: train.npz",
        "reference: !!python/name:os.system train.npz",
        "8: endpoints.digits.reference: YAML tags are not read, found tag:yaml.org,2002:python/name:os.system",
    ),
    "a date": (
        "reference: train.npz",
        "reference: 2026-01-01",
        "8: endpoints.digits.reference: a date is not expected anywhere here: put it in quotes if it is text",
    ),
    "a bracket left open": (
        "bounds: [0, 1]",
        "bounds: [0, 1",
        "8: not valid YAML: while parsing a flow sequence, expected ',' or ']', but got ':'",
    ),
    "a tab": (
        "    disclose: verdict",
        "\tdisclose: verdict",
        "22: not valid YAML: while scanning for the next token, found character '\\t' that cannot start any token",
    ),
    "a colon in a value": (
        "reference: train.npz",
        "reference: a: b",
        "8: not valid YAML: mapping values are not allowed here",
    ),
    "no endpoints": (
        GOOD,
        "endpoints: {}\n",
        "1: endpoints: expected at least 1 entry, found 0 entries",
    ),
    "an empty file": (GOOD, "# nothing\n", "1: expected a mapping with the key `endpoints`, found an empty file"),
    "a list": (GOOD, "- endpoints\n", "1: expected a mapping with the key `endpoints`, found a list"),
    "an endpoint of nothing": (
        GOOD,
        "endpoints:\n  a:\n",
        "2: endpoints.a: expected a mapping (key: value), found nothing",
    ),
}


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
