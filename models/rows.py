"""What rows look like, told from the graph's shapes and a few rows; the key to set where it can't be told."""

from __future__ import annotations

import numpy as np

from models.batch import Array, Bounds, InputSpec, Kind, Layout
from models.errors import ModelError
from models.guard import Guard
from models.specs import InputConfig

CHANNELS = (1, 3, 4)


def recognize_rows(
    config: InputConfig, dtype: np.dtype[np.generic], graph_shape: tuple[int, ...], x: Array | None, embedded: bool
) -> InputConfig:
    """The input's config with kind, layout and shape stated. `embedded`: its values index an embedding table.

    Raises:
        ModelError: shapes disagree, or something can't be told; the text names the key to set.
    """
    shape = _row_shape(config, graph_shape, x)
    kind, layout = _kind(config, dtype, shape, embedded)
    if kind == "image":
        layout = config.layout or layout or _layout(shape)
    if config.missing == "allow" and dtype.kind != "f":
        raise ModelError(f"input.missing: expected `refuse` for {dtype.name} values, which can't be NaN, found `allow`")
    return config.model_copy(update={"kind": kind, "layout": layout if kind == "image" else None, "shape": shape})


def input_spec(config: InputConfig, guard: Guard) -> InputSpec:
    """The resolved config as detectors see it. Several guarded inputs name the columns themselves.

    Raises:
        ModelError: the number of column names is not the number of columns.
    """
    config = recognize_rows(config, guard.dtype, guard.shape, None, config.kind == "tokens")
    shape, kind = config.shape or (), config.kind or "table"
    columns = config.columns or (guard.names if 1 < len(guard.names) == shape[0] else ())
    if columns and (len(shape) != 1 or len(columns) != shape[0]):
        raise ModelError(f"input.columns: expected {shape[-1]} names, found {len(columns)}")
    bounds = None if config.bounds is None else Bounds(*config.bounds)
    return InputSpec(kind, guard.dtype, shape, bounds, config.layout, config.missing == "allow", columns)


def _row_shape(config: InputConfig, graph_shape: tuple[int, ...], x: Array | None) -> tuple[int, ...]:
    found = config.shape if config.shape is not None else (x.shape[1:] if x is not None else graph_shape)
    if len(found) != len(graph_shape) or any(g not in (-1, f) for g, f in zip(graph_shape, found, strict=True)):
        source = "input.shape" if config.shape is not None else "reference"
        raise ModelError(f"{source}: expected rows of shape {_show(graph_shape)}, found {_show(found)}")
    if -1 in found:
        raise ModelError(f"input.shape: expected a row's shape, which the graph leaves open: {_show(found)}")
    if x is not None and x.shape[1:] != found:
        raise ModelError(f"reference: expected rows of shape {_show(found)}, found {_show(x.shape[1:])}")
    return tuple(int(size) for size in found)


def _kind(
    config: InputConfig, dtype: np.dtype[np.generic], shape: tuple[int, ...], embedded: bool
) -> tuple[Kind, Layout | None]:
    kind = config.kind or _kind_of(dtype, shape, embedded)
    axes = {"image": 3, "series": 2, "table": 1, "tokens": 1}[kind]
    if len(shape) != axes:
        raise ModelError(f"input.kind: expected rows of {axes} axes for `{kind}`, found {_show(shape)}")
    if kind == "tokens" and dtype.kind not in "iu":
        raise ModelError(f"input.kind: expected integers for `tokens`, found {dtype.name}")
    return kind, config.layout


def _kind_of(dtype: np.dtype[np.generic], shape: tuple[int, ...], embedded: bool) -> Kind:
    if len(shape) == 1:
        return "tokens" if embedded and dtype.kind in "iu" else "table"
    if len(shape) == 2:
        return "series"
    if len(shape) == 3 and (shape[0] in CHANNELS or shape[2] in CHANNELS):
        return "image"
    raise ModelError(f"input.kind: expected one of image, table, series, tokens; can't tell from {_show(shape)}")


def _layout(shape: tuple[int, ...]) -> Layout:
    first, last = shape[0] in CHANNELS, shape[2] in CHANNELS
    if first == last:
        raise ModelError(f"input.layout: expected NCHW or NHWC; can't tell from rows of {_show(shape)}")
    return "NCHW" if first else "NHWC"


def _show(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join("?" if size < 0 else str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
