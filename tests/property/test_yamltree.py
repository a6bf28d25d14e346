from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.configfile.yamltree import KeyPath, TreeError, dotted, parse

TEXT = st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=5))
def test_what_is_written_is_read(value: dict[str, Any]) -> None:
    found = parse(json.dumps(value, indent=1)).value
    assert found == value
    assert json.dumps(found) == json.dumps(value)  # 1 and true and 1.0 stay what they are


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=5))
def test_every_key_has_the_line_it_stands_in(value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=1)
    lines = text.splitlines()
    for path, line in parse(text).lines.items():
        if path and isinstance(path[-1], str):
            assert lines[line - 1].strip().startswith(json.dumps(path[-1]) + ":")


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=60))
def test_any_text_is_a_tree_or_one_line_of_complaint(text: str) -> None:
    try:
        line, said = parse(text).line(()), "read"
    except TreeError as error:
        line, said = error.line, error.problem
    assert line >= 1
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ((), ""),
        (("a",), "a"),
        (("a", "b", 2, "c"), "a.b[2].c"),
        ((0, 1), "[0][1]"),
    ],
)
def test_paths_as_people_write_them(path: KeyPath, written: str) -> None:
    assert dotted(path) == written


def test_a_key_that_is_not_there_has_the_line_of_what_would_hold_it() -> None:
    tree = parse("a:\n  b:\n    c: 1\n")
    assert tree.line(("a", "b", "missing")) == 2
    assert tree.line(("elsewhere",)) == 1
