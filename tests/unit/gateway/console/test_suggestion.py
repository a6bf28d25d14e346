from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from gateway.console.suggestion import with_budget

BLOCK = """# mine
endpoints:
  a:
    model: {kind: onnx, path: a.onnx}   # the model
    budget:        # honest rows
      flag: 0.05   # all
      reject: 0.01
  b:
    model: {kind: onnx, path: b.onnx}
"""
NEW = {"flag": 0.012, "reject": 0.003}


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        (BLOCK, "a"),
        (BLOCK, "b"),
        ("endpoints: {a: {model: {kind: onnx, path: x}, budget: {reject: 0.01}}}\n", "a"),
        ("endpoints:\n  a: {model: x}\n", "a"),
    ],
)
def test_only_the_budget_changes(text: str, endpoint: str) -> None:
    read = YAML(typ="safe", pure=True).load
    wanted = read(text)
    wanted["endpoints"][endpoint]["budget"] = NEW
    found = with_budget(text, endpoint, NEW)
    assert read(found) == wanted
    assert found.count("#") == text.count("#")


def test_an_unknown_endpoint_is_no_text() -> None:
    with pytest.raises(KeyError):
        with_budget(BLOCK, "c", NEW)
