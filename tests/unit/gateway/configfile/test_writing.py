"""A chosen chain goes into the operator's file; all else there stays to the letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gateway.config import StageConfig
from gateway.configfile.entries import block, entry, flow
from gateway.configfile.writing import with_chain, write_chain
from gateway.configfile.yamltree import parse
from gateway.errors import OperatorError

STAGES = [
    {"kind": "contract"},
    {"kind": "mahalanobis", "weight": 0.1},
    {"kind": "combiner", "evidence": [{"kind": "margin"}, {"kind": "deep_mahalanobis", "layer": 1}]},
    {
        "kind": "combiner",
        "name": "closer_look",
        "when": "suspicious",
        "share": 0.25,
        "evidence": [{"kind": "feature_squeezing", "squeezers": [{"kind": "bit_depth", "bits": 2}]}],
    },
]
CHOSEN = TypeAdapter(tuple[StageConfig, ...]).validate_python(STAGES)

AUTO = """\
# mine
endpoints:
  digits:
    model: {kind: onnx, path: digits.onnx}   # the model
    chain: auto   # calibrate knows best
    # a line about purifiers
    purify: []
  other:
    chain: auto
"""
LISTED = """\
endpoints:
  digits:
    chain:
      - {kind: contract}     # first
      - kind: nearest
        k: 5
    # a line about purifiers

    purify: []
"""
FLOW = "endpoints: {digits: {chain: auto, seed: 3}}  # short\n"
INLINE = "endpoints:\n  digits:\n    chain: [{kind: contract}]\n    seed: 3\n"


def chain(text: str) -> Any:
    return parse(text).value["endpoints"]["digits"]["chain"]


@pytest.mark.parametrize("text", [AUTO, LISTED, FLOW, INLINE, "endpoints:\n  digits:\n    chain: auto"])
def test_the_chain_reads_back_as_it_was_chosen(text: str) -> None:
    written = with_chain(text, "digits", CHOSEN)
    assert chain(written) == STAGES
    assert TypeAdapter(tuple[StageConfig, ...]).validate_python(chain(written)) == CHOSEN
    assert chain(with_chain(written, "digits", CHOSEN)) == STAGES


@pytest.mark.parametrize("text", [AUTO, LISTED, FLOW, INLINE])
def test_all_other_values_stay(text: str) -> None:
    before, after = parse(text).value, parse(with_chain(text, "digits", CHOSEN)).value
    del before["endpoints"]["digits"]["chain"], after["endpoints"]["digits"]["chain"]
    assert before == after


def test_comments_stay() -> None:
    written = with_chain(AUTO, "digits", CHOSEN)
    for line in ("# mine", "# the model", "# calibrate knows best", "    # a line about purifiers\n    purify: []"):
        assert line in written
    assert "    # a line about purifiers\n\n    purify: []" in with_chain(LISTED, "digits", CHOSEN)


def test_only_the_named_endpoint_is_changed() -> None:
    assert parse(with_chain(AUTO, "digits", CHOSEN)).value["endpoints"]["other"] == {"chain": "auto"}


def test_an_entry_says_only_what_is_not_so_anyway() -> None:
    assert [entry(stage) for stage in CHOSEN] == STAGES


def test_the_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "watchgate.yaml"
    file.write_text(AUTO)
    file.chmod(0o640)
    write_chain(file, "digits", CHOSEN)
    assert chain(file.read_text()) == STAGES
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["watchgate.yaml"]


def test_a_file_without_a_chain_is_told(tmp_path: Path) -> None:
    file = tmp_path / "watchgate.yaml"
    file.write_text("endpoints:\n  digits:\n    seed: 1\n")
    with pytest.raises(OperatorError, match="key 'chain' to write the chain to"):
        write_chain(file, "digits", CHOSEN)


PLAIN = st.recursive(
    st.booleans() | st.integers(-99, 99) | st.floats(-1e6, 1e6) | st.text("ab:#{}[]\"'\\ -é\n~", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"k[a-z]{1,6}", fullmatch=True), PLAIN, min_size=1, max_size=4))
def test_any_value_reads_back(value: dict[str, Any]) -> None:
    assert parse(f"x: {flow(value)}").value["x"] == value
    assert parse("\n".join(["x:", *block([value], 2)])).value["x"] == [value]
