"""NaN and infinity are no values, unless the model takes NaN as a missing one."""

from __future__ import annotations

from math import isfinite

import numpy as np

from gateway.errors import BadRequest
from gateway.wire.signature import Field
from models.batch import Array

_BLAS = (np.dtype(np.float32), np.dtype(np.float64))


def refuse_non_finite(values: Array, field: Field) -> None:
    """Raises BadRequest where a float tensor holds NaN (unless `missing`) or infinity.

    One dot product of the values with themselves is finite only if all of them are, and costs a third of `isfinite`.
    """
    flat = values.ravel()
    if values.dtype in _BLAS and isfinite(flat.dot(flat)):
        return
    bad = np.isinf(flat) if field.missing else ~np.isfinite(flat)
    if bad.any():
        index = int(bad.argmax())
        expected = "finite numbers or NaN for missing ones" if field.missing else "finite numbers"
        raise BadRequest(
            f"input {field.name!r}: expected {expected} in {field.datatype}, found {flat[index]} at {index}"
        )
