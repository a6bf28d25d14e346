"""Looks at a model and its reference data, and tells what a first config for them says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gateway.config import Budget, EndpointConfig
from gateway.errors import OperatorError
from gateway.starting.guesses import fitting_budget, gentle_purifier, guessed_bounds, name_for, suitable
from gateway.starting.text import Start
from gateway.training.bundle import Draft
from gateway.training.data import Dataset, dataset
from gateway.training.prepare import MIN_REFERENCE, SAMPLE_ROWS, probe, store
from gateway.training.table import Table, read
from models.backend import ModelBackend
from models.batch import Batch
from models.specs import InputConfig, OnnxSpec, PytorchSpec, load_model, resolve

TRIED_ROWS = 256  # what stages and purifiers are tried on
KINDS = {".onnx": "onnx", ".pt2": "pytorch", ".safetensors": "pytorch"}


def start(
    model: Path,
    reference: Path,
    holdout: Path | None = None,
    factory: str | None = None,
    name: str | None = None,
    *,
    listed: bool = True,
) -> tuple[Start, list[str]]:
    """What the config says, and remarks for the person who asked for it.

    Unless stages are to be `listed`, a classifier's are left to calibrate, which attacks it.

    Raises:
        OperatorError: a file is missing or not what it should be, or there are too few rows.
        ModelError: the model can't be loaded, or something of it can't be told.
    """
    table = read(reference)
    held_out = None if holdout is None else read(holdout)
    spec = model_spec(model, factory, missing=_has_nan(table) or (held_out is not None and _has_nan(held_out)))
    with _opened(spec, table) as (data, backend):
        rows, notes = _holdout_rows(len(data), None if held_out is None else len(dataset(held_out, backend)))
        budget = fitting_budget(rows)
        notes += _remarks(budget, rows)
        bounds = guessed_bounds(data.batch, backend.spec)
        sample = data.batch.take(slice(0, TRIED_ROWS))
        found = Start(
            name=name or name_for(model),
            kind=spec.kind,
            model=model,
            reference=reference,
            spec=backend.spec,
            bounds=bounds,
            stages=suitable(sample, backend, bounds),
            budget=budget,
            purifier=gentle_purifier(sample, backend, bounds),
            holdout=holdout,
            factory=factory,
            x_range=_range(data),
            auto=not listed and _attackable(backend, sample),
        )
    return found, [*data.notes, *notes]


def model_spec(model: Path, factory: str | None, *, missing: bool = False) -> OnnxSpec | PytorchSpec:
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


@contextmanager
def _opened(spec: OnnxSpec | PytorchSpec, table: Table) -> Iterator[tuple[Dataset, ModelBackend]]:
    """The reference rows and the model, as `calibrate` would have them, from files that go away with the block."""
    with tempfile.TemporaryDirectory(prefix="watchgate-") as work:
        draft = Draft(Path(work) / "new")
        draft.folder.mkdir()
        stored = store(spec, table, EndpointConfig(model=spec, reference=table.path), draft)
        data = dataset(table, probe(stored, table, draft.folder))
        sample = data.batch.take(slice(0, SAMPLE_ROWS))
        yield data, load_model(resolve(stored, sample.x, draft.folder, sample.extras), draft.folder)


def _attackable(backend: ModelBackend, sample: Batch) -> bool:
    return backend.spec.kind != "tokens" and backend.predict(sample.take(slice(0, 1))).logits is not None


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
    return max(reference - MIN_REFERENCE, 0), [f"no holdout: calibrate will split the reference; {advice}"]


def _remarks(budget: Budget, rows: int) -> list[str]:
    usual = Budget()
    if budget.reject == usual.reject:
        return []
    return [
        f"{rows} rows to set thresholds on are too few for a reject budget of {usual.reject:g}: "
        f"the config says {budget.reject:g}"
    ]
