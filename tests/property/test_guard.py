"""Columns join to a table and split again without loss."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.backend import DATATYPES, TensorSpec
from models.batch import Array
from models.guard import Guard

NUMERIC = sorted(set(DATATYPES) - {"BYTES", "INT64", "UINT64"})  # 64-bit integers beside floats lose their last bits


@st.composite
def tables(draw: st.DrawFn) -> tuple[tuple[TensorSpec, ...], dict[str, Array]]:
    rows = draw(st.integers(0, 5))
    specs, tensors = [], {}
    for i, datatype in enumerate(draw(st.lists(st.sampled_from(NUMERIC), min_size=2, max_size=5))):
        shape = draw(st.sampled_from([(-1,), (-1, 1), (-1, 3)]))
        spec = TensorSpec(f"c{i}", datatype, shape)
        specs.append(spec)
        elements = hnp.from_dtype(spec.dtype, allow_nan=spec.dtype.kind == "f")
        tensors[spec.name] = draw(hnp.arrays(spec.dtype, (rows, *shape[1:]), elements=elements))
    return tuple(specs), tensors


@given(tables())
def test_join_and_split_are_inverse(table: tuple[tuple[TensorSpec, ...], dict[str, Array]]) -> None:
    specs, tensors = table
    guard = Guard.of(specs, [spec.name for spec in specs])
    batch = guard.join(tensors)
    assert batch.x.dtype == guard.dtype
    assert batch.x.shape[1:] == guard.shape
    for name, array in guard.split(batch).items():
        assert array.dtype == tensors[name].dtype
        np.testing.assert_array_equal(array, tensors[name])
