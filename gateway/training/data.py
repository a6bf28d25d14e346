"""The reference and the holdout: a file's arrays with one row a sample, checked against the model's input."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gateway.training.table import Table
from models.backend import ModelBackend, TensorSpec
from models.batch import Array, Batch, InputSpec

LABELS = "y"


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a file: what the model takes, and their class labels (n,) int64 where known."""

    batch: Batch
    y: Array | None = None

    def __len__(self) -> int:
        return len(self.batch)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A file's rows in the form the model takes. `group` (n,) holds what must not be split apart, if anything."""

    table: Table
    batch: Batch
    y: Array | None
    group: Array | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, rows: Array) -> Rows:
        """Only these rows (indices)."""
        return Rows(self.batch.take(rows), None if self.y is None else self.y[rows])


def dataset(table: Table, backend: ModelBackend, group: str | None = None, bounded: bool = False) -> Dataset:
    """The file's rows as the model takes them.

    The guarded input is the array `x`, or one array for each of the model's inputs under its name. Every other input
    is an array under its name. `backend` needs to know its inputs, no more. With `bounded`, values outside the
    stated bounds are refused.

    Raises:
        OperatorError: an array is missing, has another shape or dtype, or holds values that the model does not take.
    """
    notes: list[str] = []
    batch = _joined(table, backend, notes)
    if len(batch) == 0:
        raise table.wrong("x", "at least one row", "none")
    _check_values(table, batch.x, backend.spec, bounded)
    groups = None
    if group is not None:
        groups = _sized(table, group, table.get(group, "`group` names it"), len(batch))
    return Dataset(table, batch, _labels(table, len(batch), notes), groups, tuple(notes))


def _joined(table: Table, backend: ModelBackend, notes: list[str]) -> Batch:
    spec = backend.spec
    if "x" not in table.arrays and not (columns := _columns(table, backend)):
        tensors = {tensor.name: _tensor(table, tensor, notes) for tensor in backend.inputs}
        _same_rows(table, tensors)
        return backend.join(tensors)
    x = table.arrays["x"] if "x" in table.arrays else np.column_stack([table.arrays[name] for name in columns])
    if x.ndim == 0 or x.shape[1:] != spec.shape:
        raise table.wrong("x", f"rows of shape {spec.shape}", f"{x.shape[1:]}" if x.ndim else "a single value")
    names = _through(backend)
    through = [tensor for tensor in backend.inputs if tensor.name in names]
    extras = {tensor.name: _sized(table, tensor.name, _tensor(table, tensor, notes), len(x)) for tensor in through}
    return Batch(_cast(table, "x", x, spec.dtype, notes), extras)


def _columns(table: Table, backend: ModelBackend) -> tuple[str, ...]:
    """The file's columns that side by side are the rows of a model with one table input; () where that can't be."""
    spec, names = backend.spec, [tensor.name for tensor in backend.inputs]
    if spec.kind != "table" or len(names) != 1 or names[0] in table.arrays:
        return ()
    columns = spec.columns or tuple(
        name
        for name, array in table.arrays.items()
        if name != LABELS and array.ndim == 1 and array.dtype.kind in "biuf"
    )
    return columns if (len(columns),) == spec.shape and all(name in table.arrays for name in columns) else ()


def _through(backend: ModelBackend) -> frozenset[str]:
    """The inputs that pass through beside the guarded one."""
    row = {
        tensor.name: np.zeros((1, *(abs(size) for size in tensor.shape[1:])), tensor.dtype) for tensor in backend.inputs
    }
    return frozenset(backend.join(row).extras)


def _tensor(table: Table, tensor: TensorSpec, notes: list[str]) -> Array:
    array = table.get(tensor.name, "an input of the model; the guarded one may also be called `x`")
    wanted = tensor.shape[1:]
    if array.ndim == 1 and wanted == (1,):
        array = array[:, None]
    if array.ndim != len(wanted) + 1 or any(w not in (-1, s) for w, s in zip(wanted, array.shape[1:], strict=True)):
        raise table.wrong(tensor.name, f"rows of shape {wanted}", f"{array.shape[1:] if array.ndim else 'one value'}")
    return _cast(table, tensor.name, array, tensor.dtype, notes)


def _cast(table: Table, name: str, array: Array, dtype: np.dtype[np.generic], notes: list[str]) -> Array:
    """The array in the model's dtype where no value is lost by it; floats may lose precision, with a note."""
    if array.dtype == dtype:
        return array
    if dtype.kind == "O" and array.dtype.kind in "US":
        return array.astype(object)
    if array.dtype.kind not in "biuf" or dtype.kind not in "biuf":
        raise table.wrong(name, str(dtype), str(array.dtype))
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(dtype)
        floats = array.dtype.kind == dtype.kind == "f"
        lost = np.isfinite(array) & ~np.isfinite(cast) if floats else cast.astype(array.dtype) != array
    if lost.any():
        value = array[lost].ravel()[0]
        raise table.wrong(name, f"values that fit the model's {dtype}", f"{value} ({array.dtype})")
    if floats and dtype.itemsize < array.dtype.itemsize:
        notes.append(f"{table.path.name}: {name} was rounded from {array.dtype} to the model's {dtype}")
    return cast


def _check_values(table: Table, x: Array, spec: InputSpec, bounded: bool) -> None:
    if x.dtype.kind == "f":
        missing = np.isnan(x)
        if missing.any() and not spec.missing:
            row = int(np.argwhere(missing)[0][0])
            raise table.wrong("x", "numbers (or `missing: allow` in the model's input)", f"NaN in row {row}")
        if np.isinf(x).any():
            raise table.wrong("x", "finite values", f"infinity in row {int(np.argwhere(np.isinf(x))[0][0])}")
    if bounded and spec.bounds is not None:
        low, high = float(np.nanmin(x)), float(np.nanmax(x))
        if low < spec.bounds.low or high > spec.bounds.high:
            stated = f"[{spec.bounds.low:g}, {spec.bounds.high:g}]"
            raise table.wrong("x", f"values in the stated bounds {stated}", f"[{low:g}, {high:g}]")


def _labels(table: Table, n: int, notes: list[str]) -> Array | None:
    y = table.arrays.get(LABELS)
    if y is None:
        return None
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    y = _sized(table, LABELS, y, n)
    if y.ndim != 1 or y.dtype.kind not in "biuf" or not (y == np.round(y)).all():
        notes.append(f"{table.path.name}: y is no class index a row and is not used ({y.dtype}, {y.shape})")
        return None
    return y.astype(np.int64)


def _sized(table: Table, name: str, array: Array, n: int) -> Array:
    if array.ndim == 0 or len(array) != n:
        raise table.wrong(name, f"{n} rows, as many as the guarded input", f"shape {array.shape}")
    return array


def _same_rows(table: Table, tensors: dict[str, Array]) -> None:
    first = len(next(iter(tensors.values())))
    for name, array in tensors.items():
        _sized(table, name, array, first)
