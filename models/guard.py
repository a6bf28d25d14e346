"""Which inputs are guarded: one, or several columns that stand side by side as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.backend import TensorSpec
from models.batch import Array, Arrays, Batch
from models.errors import ModelError


@dataclass(frozen=True, slots=True)
class Guard:
    """The guarded inputs in order, the inputs that pass through beside them, and the dtype of `Batch.x`.

    `single` is the name of a guarded input that is passed on as it comes.

    Several inputs are joined to (n, columns) in the dtype that holds them all, and split again, each in its own.
    64-bit integers beside floats are exact up to 2^53.
    """

    guarded: tuple[TensorSpec, ...]
    through: tuple[str, ...]
    dtype: np.dtype[np.generic]
    single: str | None

    @staticmethod
    def of(inputs: Sequence[TensorSpec], names: Sequence[str]) -> Guard:
        """The guard over `names`; by default over the only input, or over all numeric columns.

        Raises:
            ModelError: a name is unknown, can't be guarded, or can't be told.
        """
        names = names or _default(inputs)
        known = {spec.name: spec for spec in inputs}
        for name in names:
            _check(name, known, alone=len(names) == 1)
        guarded = tuple(known[name] for name in names)
        through = tuple(name for name in known if name not in names)
        single = guarded[0].name if len(guarded) == 1 and len(guarded[0].shape) > 1 else None
        return Guard(guarded, through, np.result_type(*(spec.dtype for spec in guarded)), single)

    @property
    def names(self) -> tuple[str, ...]:
        """The guarded inputs' names, in the order of their columns."""
        return tuple(spec.name for spec in self.guarded)

    @property
    def shape(self) -> tuple[int, ...]:
        """A row's shape; -1 where the graph leaves it open."""
        if self.single is not None:
            return self.guarded[0].shape[1:]
        widths = [_width(spec) for spec in self.guarded]
        return (-1 if -1 in widths else sum(widths),)

    def concrete(self, inputs: Sequence[TensorSpec], shape: tuple[int, ...]) -> tuple[TensorSpec, ...]:
        """The inputs, the guarded one with its row shape wherever the graph left it open."""
        if self.single is None:
            return tuple(inputs)
        return tuple(replace(spec, shape=(-1, *shape)) if spec.name == self.single else spec for spec in inputs)

    def join(self, tensors: Arrays) -> Batch:
        """The batch of the named input tensors.

        Raises:
            ModelError: an input is missing, or the inputs disagree on the number of rows.
        """
        try:
            if self.single is not None:
                x = tensors[self.single]
            else:
                columns = [tensors[name] for name in self.names]
                blocks = [column if column.ndim > 1 else column[:, None] for column in columns]
                x = np.concatenate(blocks, axis=1, dtype=self.dtype)
            return Batch(x, {name: _text(tensors[name]) for name in self.through})
        except KeyError as error:
            raise ModelError(f"input {error.args[0]!r}: expected, found only {sorted(tensors)}") from None
        except ValueError as error:
            raise ModelError(f"inputs: expected the same number of rows in each ({error})") from None

    def split(self, batch: Batch) -> dict[str, Array]:
        """The named input tensors of the batch, as the model takes them."""
        if self.single is not None:
            return {self.single: batch.x, **batch.extras}
        feeds: dict[str, Array] = dict(batch.extras)
        start = 0
        for spec in self.guarded:
            width = _width(spec)
            part = batch.x[:, start : start + width]
            feeds[spec.name] = _cast(part if len(spec.shape) > 1 else part[:, 0], spec.dtype)
            start += width
        return feeds


def _width(spec: TensorSpec) -> int:
    return 1 if len(spec.shape) == 1 else spec.shape[1]


def _cast(values: Array, dtype: np.dtype[np.generic]) -> Array:
    """Contiguous, in the input's own dtype; a purified integer column may have left the integers."""
    whole = values.dtype.kind == "f" and dtype.kind in "iub"
    return np.ascontiguousarray((np.rint(values) if whole else values).astype(dtype, copy=False))


def _text(array: Array) -> Array:
    """Strings as the protocol carries them (bytes) become what models take (str).

    Raises:
        ModelError: bytes that are not UTF-8.
    """
    if array.dtype != object:
        return array
    try:
        values = [value.decode() if isinstance(value, bytes) else value for value in array.ravel()]
    except UnicodeDecodeError:
        raise ModelError("strings: expected UTF-8, found other bytes") from None
    text = np.empty(array.size, dtype=object)
    text[:] = values
    return text.reshape(array.shape)


def _default(inputs: Sequence[TensorSpec]) -> tuple[str, ...]:
    numeric = [spec for spec in inputs if spec.dtype != object]
    columns = [spec for spec in numeric if spec.shape[1:] in ((), (1,))]
    if len(numeric) == 1:
        return (numeric[0].name,)
    if columns and len(columns) == len(numeric):
        return tuple(spec.name for spec in columns)
    names = ", ".join(spec.name for spec in inputs)
    raise ModelError(f"guard: expected the name of the guarded input, one of: {names}")


def _check(name: str, known: dict[str, TensorSpec], alone: bool) -> None:
    spec = known.get(name)
    if spec is None:
        raise ModelError(f"guard: expected one of the model's inputs ({', '.join(known)}), found {name!r}")
    if spec.dtype == object:
        raise ModelError(f"guard: expected numeric inputs, found strings in {name!r}")
    if not alone and (len(spec.shape) > 2 or spec.shape[1:] == (-1,)):
        raise ModelError(f"guard: expected columns (n, 1) where several are named, found {name!r} {spec.shape}")
