from __future__ import annotations

import numpy as np
import pytest

from gateway.state.payload import pack, unpack


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int64", "bool"])
def test_an_array_comes_back_as_it_was(dtype: str) -> None:
    array = np.random.default_rng(0).integers(0, 2, size=(3, 2, 5)).astype(dtype)
    again = unpack(pack(array).data)
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


def test_nan_and_order_survive() -> None:
    array = np.asfortranarray(np.array([[1.0, np.nan], [np.inf, -0.0]]))
    np.testing.assert_array_equal(unpack(pack(array).data), array)


def test_equal_arrays_have_one_name_and_others_another() -> None:
    array = np.arange(12.0)
    assert pack(array).digest == pack(array[::1].copy()).digest
    assert len({pack(a).digest for a in (array, array.reshape(3, 4), array.astype("float32"), array + 1)}) == 4


def test_python_objects_are_refused() -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        pack(np.array([{"a": 1}], dtype=object))


def test_garbage_is_refused() -> None:
    with pytest.raises(ValueError, match="not a packed array"):
        unpack(b"garbage")
