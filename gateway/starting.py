"""Looks at a model and its reference data, and tells what a first config for them says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gateway.config import Budget
from gateway.errors import OperatorError
from gateway.starter import (
    SAMPLE_ROWS,
    Start,
    fitting_budget,
    gentle_purifier,
    guessed_bounds,
    name_for,
    suitable,
)
from gateway.training.data import Dataset, Table, dataset, read
from gateway.training.prepare import MIN_REFERENCE, probe
from models.backend import ModelBackend
from models.specs import InputConfig, ModelSpec, OnnxSpec, PytorchSpec, load_model, resolve

PURIFIED_ROWS = 256
KINDS = {".onnx": "onnx", ".pt2": "pytorch", ".safetensors": "pytorch"}


def start(
    model: Path, reference: Path, holdout: Path | None = None, factory: str | None = None, name: str | None = None
) -> tuple[Start, list[str]]:
    """What the config says, and remarks for the person who asked for it.

    Raises:
        OperatorError: a file is missing or not what it should be, or there are too few rows.
        ModelError: the model can't be loaded, or something of it can't be told.
    """
    table = read(reference)
    spec = model_spec(model, factory, missing=_has_nan(table))
    data, backend = _opened(spec, table)
    outputs = backend.predict(data.batch.take(slice(0, SAMPLE_ROWS)))
    held = None if holdout is None else len(dataset(read(holdout), backend))
    rows, notes = _holdout_rows(len(data), held)
    budget = fitting_budget(rows)
    notes += _remarks(budget, rows)
    bounds = guessed_bounds(data.batch, backend.spec)
    found = Start(
        name=name or name_for(model),
        kind=spec.model_dump()["kind"],
        model=model,
        reference=reference,
        spec=backend.spec,
        bounds=bounds,
        stages=suitable(backend.spec, outputs),
        budget=budget,
        purifier=gentle_purifier(data.batch.take(slice(0, PURIFIED_ROWS)), backend, bounds),
        holdout=holdout,
        factory=factory,
        x_range=_range(data),
    )
    return found, [*data.notes, *notes]


def model_spec(model: Path, factory: str | None, *, missing: bool = False) -> ModelSpec:
    """The spec of a model file, by how its name ends.

    Raises:
        OperatorError: it is none that can be served, or a factory is missing or not needed.
    """
    if not model.is_file():
        raise OperatorError(f"{model}: expected a model file, found {'a folder' if model.is_dir() else 'no such file'}")
    kind = KINDS.get(model.suffix.lower())
    if kind is None:
        raise OperatorError(f"{model}: expected a file that ends in {', '.join(KINDS)}, found {model.suffix!r}")
    given = InputConfig(missing="allow" if missing else "refuse")
    try:
        if kind == "onnx" and factory is None:
            return OnnxSpec(path=model, input=given)
        if kind == "pytorch":
            return PytorchSpec(path=model, factory=factory, input=given)
    except ValueError:
        pass  # told below
    needs = "needs --factory (./net.py:make or pkg.mod:make)" if factory is None else "takes no --factory"
    raise OperatorError(f"{model}: a {model.suffix} file {needs}")


def _opened(spec: ModelSpec, table: Table) -> tuple[Dataset, ModelBackend]:
    data = dataset(table, probe(spec, table))
    sample = data.batch.take(slice(0, SAMPLE_ROWS))
    backend = load_model(resolve(spec, sample.x, None, sample.extras))
    return data, backend


def _has_nan(table: Table) -> bool:
    return any(a.dtype.kind == "f" and bool(np.isnan(a).any()) for name, a in table.arrays.items() if name != "y")


def _range(data: Dataset) -> tuple[float, float] | None:
    x = data.batch.x
    return None if x.dtype.kind not in "biuf" else (float(np.nanmin(x)), float(np.nanmax(x)))


def _holdout_rows(reference: int, holdout: int | None) -> tuple[int, list[str]]:
    """How many rows there are to set thresholds on, and what to say of that."""
    if holdout is not None:
        return holdout, []
    advice = "if the model was trained on the reference, name a --holdout of rows that it never saw"
    return max(reference // 2, reference - MIN_REFERENCE), [f"no holdout: calibrate will split the reference; {advice}"]


def _remarks(budget: Budget, rows: int) -> list[str]:
    usual = Budget()
    if budget.reject == usual.reject:
        return []
    return [
        f"{rows} rows to set thresholds on are too few for a reject budget of {usual.reject:g}: "
        f"the config says {budget.reject:g}"
    ]
