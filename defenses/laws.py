"""What every purifier must satisfy, ours or not: run `check_purifier` in a test of your own method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from io import BytesIO
from typing import Any

import numpy as np
from pydantic import BaseModel

from defenses.base import Purifier, PurifierSpec
from models.batch import Array, Arrays, InputSpec


class LawBroken(AssertionError):
    """A law does not hold; the text says which, and for whom."""


def require(holds: object, who: str, law: str) -> None:
    """Raises `LawBroken` unless the law holds."""
    if not holds:
        raise LawBroken(f"{who}: {law}")


def check_purifier(spec: PurifierSpec, inputs: InputSpec, x: Array) -> None:
    """Fits, builds and applies it to honest rows `x` (n, *row shape), n of 4 or more.

    Raises:
        LawBroken: a law does not hold.
        Unsuitable: the method can't work on this input at all.
    """
    who = spec.kind
    check_round_trip(spec)
    arrays = spec.fit(x, inputs)
    purifier = spec.build(inputs, through_file(arrays, who))
    require(same_arrays(arrays, spec.fit(x, inputs)), who, "fitting twice on the same rows must learn the same")
    require(isinstance(purifier, Purifier) and purifier.name, who, "needs a `name` and an `apply`")
    before, state = x.copy(), state_of(purifier)
    pure = purifier.apply(x)
    _check_result(who, inputs, x, pure)
    require(np.array_equal(pure, purifier.apply(x), equal_nan=pure.dtype.kind == "f"), who, "must be deterministic")
    _check_rows(who, purifier, x, pure)
    require(np.array_equal(x, before, equal_nan=x.dtype.kind == "f"), who, "must not write to the rows it is given")
    require(state_of(purifier) == state, who, "must not change when it is used")


def _check_result(who: str, inputs: InputSpec, x: Array, pure: Array) -> None:
    require(isinstance(pure, np.ndarray) and pure.shape == x.shape, who, "must keep the shape")
    require(pure.dtype == x.dtype, who, f"must keep the dtype {x.dtype}, not make it {pure.dtype}")
    if x.dtype.kind == "f":
        require(np.array_equal(np.isnan(pure), np.isnan(x)), who, "must neither add nor remove missing values (NaN)")
        require(not np.isinf(pure).any(), who, "must not make infinities")
    if inputs.bounds is not None:
        low, high = np.asarray(inputs.bounds, dtype=x.dtype)
        inside = (pure >= low) & (pure <= high) | (pure != pure)  # NaN is never equal to itself
        require(inside.all(), who, f"must stay inside the bounds [{low}, {high}]")


def _check_rows(who: str, purifier: Purifier, x: Array, pure: Array) -> None:
    law = "a row must come out the same alone as among others"
    order = np.arange(len(x))[::-1]
    equal_nan = pure.dtype.kind == "f"
    require(np.array_equal(purifier.apply(x[order])[order], pure, equal_nan=equal_nan), who, law)
    for row in range(min(len(x), 4)):
        require(np.array_equal(purifier.apply(x[row : row + 1])[0], pure[row], equal_nan=equal_nan), who, law)
    require(purifier.apply(x[:0]).shape == x[:0].shape, who, "no rows in must give no rows out")


def check_round_trip(spec: BaseModel) -> None:
    """A spec survives JSON and its class has a schema."""
    who = str(getattr(spec, "kind", type(spec).__name__))
    require(type(spec).model_validate_json(spec.model_dump_json()) == spec, who, "the spec must survive JSON")
    require(type(spec).model_json_schema(), who, "the spec must have a schema")
    require(spec.model_config.get("frozen"), who, "the spec must be frozen")


def through_file(arrays: Arrays, who: str) -> Arrays:
    """The arrays after a trip through `.npz` without pickling."""
    buffer = BytesIO()
    for name, array in arrays.items():
        require(
            isinstance(array, np.ndarray) and array.dtype != object, who, f"`{name}` must be an array, of no objects"
        )
    np.savez(buffer, **dict(arrays))
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as file:
        back = {name: file[name] for name in file.files}
    require(same_arrays(arrays, back), who, "what was learned must survive an .npz file")
    return back


def same_arrays(a: Arrays, b: Arrays) -> bool:
    """Equal names, types and values; NaN equals NaN."""
    return bool(state_of(dict(a)) == state_of(dict(b)))


def state_of(thing: Any, depth: int = 8) -> Any:
    """All values that an object holds, its arrays by content, as something that compares."""
    if isinstance(thing, np.ndarray):
        return thing.dtype.str, thing.shape, thing.tobytes()
    if isinstance(thing, np.generic):
        return thing.dtype.str, thing.tobytes()
    if isinstance(thing, Mapping):
        return {key: state_of(value, depth - 1) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [state_of(value, depth - 1) for value in thing]
    if isinstance(thing, (str, bytes, int, float, bool, type(None), np.dtype)) or depth == 0:
        return repr(thing)
    names = {field.name for field in fields(thing)} if is_dataclass(thing) else set()
    names |= set(getattr(thing, "__dict__", {}))
    return type(thing).__qualname__, {name: state_of(getattr(thing, name), depth - 1) for name in sorted(names)}
