"""Which output holds the classes, and as logits or probabilities: told from what makes it and from a few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from models.backend import Outputs, TensorSpec
from models.batch import Array, Arrays
from models.errors import ModelError
from models.specs import OutputConfig, OutputKind

__all__ = ["Ending", "check_run", "recognize_classes"]

# What makes an output: the last operator that changes its meaning.
Ending = Literal["softmax", "log_softmax", "sigmoid", "classifier", "linear", "regressor", "other"]

# Which output holds the classes where several could: the first of these that one output has.
RANK: tuple[tuple[Ending, ...], ...] = (("softmax", "log_softmax", "classifier"), ("sigmoid",), ("linear",), ("other",))


def recognize_classes(
    config: OutputConfig, outputs: Sequence[TensorSpec], endings: Mapping[str, Ending], sample: Arrays | None
) -> OutputConfig:
    """The outputs' config with name and kind stated.

    `endings` says what makes each tensor, `sample` has the outputs for a few rows where the model could be run.

    Raises:
        ModelError: it can't be told; the text names the key to set.
    """
    if config.kind == "none":
        return config
    name = config.logits if config.logits is not None else _name(outputs, endings, config.kind is not None)
    if name is None:
        return OutputConfig(kind="none")
    if config.kind is not None:
        return OutputConfig(logits=name, kind=config.kind)
    values = None if sample is None else sample.get(name)
    kind = _kind(endings.get(name, "other"), _width(name, outputs, values), values)
    if kind is None:
        raise ModelError(f"outputs.kind: expected logits, probabilities or none stated; can't tell from {name!r}")
    return OutputConfig(logits=name if kind != "none" else None, kind=kind)


def check_run(outputs: Outputs, rows: int) -> None:
    """Holds a first run against what the chain needs: everything has as many rows as went in.

    Raises:
        ModelError: an output has another number of rows.
    """
    named = {**outputs.tensors, **outputs.layers, "outputs.logits": outputs.logits, "features": outputs.features}
    for name, array in named.items():
        if array is not None and (array.ndim == 0 or len(array) != rows):
            raise ModelError(f"{name}: expected {rows} rows for {rows} rows of input, found shape {array.shape}")


def _name(outputs: Sequence[TensorSpec], endings: Mapping[str, Ending], stated: bool) -> str | None:
    """The output that holds the classes; None where no output can."""
    able = [spec for spec in outputs if spec.dtype.kind == "f" and _may_hold(spec, endings[spec.name], stated)]
    named = [spec.name for spec in able if "logit" in spec.name.lower()]
    if len(named) == 1:
        return named[0]
    for rank in RANK:
        names = [spec.name for spec in able if endings[spec.name] in rank]
        if len(names) == 1:
            return names[0]
        if names:
            raise ModelError(f"outputs.logits: expected the name of the output with the classes, one of: {names}")
    return None


def _may_hold(spec: TensorSpec, ending: Ending, stated: bool) -> bool:
    """(n, classes), or one score of two classes; (n,) only where its ending or the config says that it is one."""
    if ending == "regressor":
        return False
    return len(spec.shape) == 2 or (len(spec.shape) == 1 and (ending == "sigmoid" or stated))


def _width(name: str, outputs: Sequence[TensorSpec], values: Array | None) -> int:
    shape = values.shape if values is not None else next((o.shape for o in outputs if o.name == name), (-1, -1))
    return shape[1] if len(shape) > 1 else 1


def _kind(ending: Ending, width: int, values: Array | None) -> OutputKind | None:
    if ending == "softmax":
        return "probabilities"
    if ending == "sigmoid":  # several columns are labels that don't exclude each other, or something else again
        return "probabilities" if width == 1 else None
    if width == 1:  # a score of two classes or a regression: nothing in the graph tells
        return None
    if ending in ("log_softmax", "linear"):
        return "logits"
    if values is not None:
        return "probabilities" if _is_simplex(values) else "logits"
    return "probabilities" if ending == "classifier" else None


def _is_simplex(values: Array) -> bool:
    """Whether rows are probabilities: in [0, 1], with sum 1."""
    values = np.asarray(values, dtype=np.float64)
    inside = bool(((values >= -1e-6) & (values <= 1 + 1e-6)).all())
    return inside and bool(np.allclose(values.sum(axis=1), 1.0, atol=2e-3))
