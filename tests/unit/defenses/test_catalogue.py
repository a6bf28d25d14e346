"""The union that a config file is checked against."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from defenses.catalogue import AnyPurifierSpec

UNION: TypeAdapter[Any] = TypeAdapter(AnyPurifierSpec)


@pytest.mark.parametrize("kind", ["bit_depth", "median", "jpeg"])
def test_json_keeps_a_spec(kind: str) -> None:
    spec = UNION.validate_python({"kind": kind})
    assert UNION.validate_json(UNION.dump_json(spec)) == spec


def test_has_a_schema() -> None:
    schema = json.dumps(UNION.json_schema())
    assert all(f'"{key}"' in schema for key in ("bits", "size", "quality"))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"kind": "blur"}, "'bit_depth', 'median', 'gaussian', 'jpeg'"),
        ({"kind": "median", "sise": 2}, "median.sise\n  Extra inputs"),
        ({"kind": "bit_depth", "bits": 0}, "bit_depth.bits\n"),
    ],
)
def test_a_mistake_is_named(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        UNION.validate_python(entry)
