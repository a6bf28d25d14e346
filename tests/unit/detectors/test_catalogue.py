"""The union that a config file is checked against, and detectors of the operator's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from detectors.base import View
from detectors.catalogue import AnyDetectorSpec
from detectors.custom import CustomSpec
from models.batch import InputSpec
from tests import tiny

UNION: TypeAdapter[Any] = TypeAdapter(AnyDetectorSpec)

OWN = """
from typing import ClassVar
import numpy as np
from detectors.base import DetectorSpec, Unsuitable

class Size:
    name = "size"
    def __init__(self, power): self.power = power
    def score(self, view): return (np.abs(view.x).sum(axis=(1, 2, 3)) ** self.power).astype(np.float32)

class SizeSpec(DetectorSpec):
    power: int = 1
    suits: ClassVar = frozenset({"image"})
    def build(self, arrays, spec): return Size(self.power)
    def notes(self, arrays, spec): return ("counts ink",)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "operators_own.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "operators_own", raising=False)
    return "operators_own"


@pytest.mark.parametrize("kind", ["contract", "mahalanobis", "nearest", "energy", "feature_squeezing"])
def test_json_keeps_a_spec(kind: str) -> None:
    spec = UNION.validate_python({"kind": kind})
    assert UNION.validate_json(UNION.dump_json(spec)) == spec


def test_has_a_schema() -> None:
    schema = json.dumps(UNION.json_schema())
    assert all(f'"{key}"' in schema for key in ("margin", "temperature", "squeezers", "spec"))


def test_one_of_the_operators_own(own: str) -> None:
    entry = {"kind": "custom", "spec": f"{own}:SizeSpec", "power": 2}
    spec = UNION.validate_python(entry)
    assert isinstance(spec, CustomSpec)
    assert json.loads(UNION.dump_json(spec)) == entry
    assert UNION.validate_json(UNION.dump_json(spec)) == spec
    assert spec != UNION.validate_python(entry | {"power": 1})
    case = tiny.image()
    arrays = spec.fit(case.reference)
    score = spec.build(arrays, case.spec).score(View(case.rows, case.net))
    assert np.allclose(score, case.rows.x.reshape(200, -1).sum(axis=1) ** 2, rtol=1e-5)
    assert spec.notes(arrays, case.spec) == ("counts ink",)
    with pytest.raises(ValueError, match="works on image inputs"):
        spec.refuse_unsuitable(InputSpec("table", np.dtype("float32"), (4,)), case.net.predict(case.rows))


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("operators_own", "expected `package.module:ClassName`, found 'operators_own'"),
        ("operators_other:SizeSpec", "can't import 'operators_other': No module named 'operators_other'"),
        ("operators_own:Other", "'operators_own' has no 'Other'"),
        ("operators_own:Size", "'operators_own:Size' is no subclass of detectors.base.DetectorSpec"),
        ("operators_own:np", "is no subclass"),
    ],
)
def test_a_class_that_is_not_there_is_named(own: str, path: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        UNION.validate_python({"kind": "custom", "spec": path})


def test_its_own_keys_are_checked_where_they_stand(own: str) -> None:
    with pytest.raises(ValidationError) as caught:
        UNION.validate_python({"kind": "custom", "spec": f"{own}:SizeSpec", "pover": 2})
    assert [error["loc"] for error in caught.value.errors()] == [("custom", "pover")]


def test_a_module_that_raises_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "operators_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValidationError, match="importing 'operators_broken' raised ZeroDivisionError"):
        UNION.validate_python({"kind": "custom", "spec": "operators_broken:X"})


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        UNION.validate_python({"kind": "energy", "temprature": 2})
