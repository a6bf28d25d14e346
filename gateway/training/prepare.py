"""The model, the data and the splits, as `calibrate` needs them: read, checked, and put into the bundle's draft."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detectors.combiner import CombinerSpec
from detectors.conformal import rows_needed
from gateway.config import EndpointConfig
from gateway.errors import OperatorError
from gateway.training.bundle import Draft
from gateway.training.data import LABELS, Dataset, Rows, dataset
from gateway.training.fitting import Part
from gateway.training.splits import TooFewHoldout, halve, rows_for, split
from gateway.training.table import Table, read
from models.backend import ModelBackend
from models.batch import Array
from models.specs import ModelSpec, OutputConfig, PytorchSpec, load_model, model_files, resolve

SAMPLE_ROWS = 64
MIN_REFERENCE = 100


@dataclass(frozen=True, slots=True)
class Prepared:
    """The model as it will be served, and which rows of which file belong to which part."""

    spec: ModelSpec
    backend: ModelBackend
    parts: dict[Part, tuple[Dataset, Array]]
    digests: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def read(self, part: Part) -> Rows:
        """The rows of one part."""
        source, rows = self.parts[part]
        return source.take(rows)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows each part has."""
        return {part: len(rows) for part, (_, rows) in self.parts.items()}


def prepare(settings: EndpointConfig, draft: Draft) -> Prepared:
    """Copies the model into the draft, reads the data and splits it.

    Raises:
        OperatorError: the data does not fit the model, or has too few rows for the budget.
        ModelError: the model can't be loaded, or something of it can't be told.
    """
    tables = {"reference": read(settings.reference)}
    if settings.holdout is not None:
        tables["holdout"] = read(settings.holdout)
    stored = store(_with_layers(settings), tables["reference"], settings, draft)
    bare = probe(stored, tables["reference"], draft.folder)
    sets = {
        name: dataset(table, bare, settings.group if name == list(tables)[-1] else None, bounded=name == "reference")
        for name, table in tables.items()
    }
    sample = sets["reference"].batch.take(slice(0, SAMPLE_ROWS))
    spec = resolve(stored, sample.x, draft.folder, sample.extras)
    backend = load_model(spec, draft.folder)
    notes = [note for data in sets.values() for note in data.notes]
    sets = {name: _labelled(data, backend, notes) for name, data in sets.items()}
    parts = _parts(sets, settings)
    return Prepared(spec, backend, parts, {name: table.digest for name, table in tables.items()}, notes)


def _with_layers(settings: EndpointConfig) -> ModelSpec:
    """The model's spec, with layers to be found where a detector needs them and none are named."""
    needed = settings.selects or any("layers" in stage.detector.needed() for stage in settings.chain)
    unnamed = needed and settings.model.layers == "none"
    return settings.model.model_copy(update={"layers": "auto"}) if unnamed else settings.model


def store(spec: ModelSpec, table: Table, settings: EndpointConfig, draft: Draft) -> ModelSpec:
    """Puts the model into the draft; its spec, by a path relative to it. What is calibrated is what will be served."""
    if not isinstance(spec, PytorchSpec):
        files = model_files(spec)
        return spec.model_copy(update={"path": draft.add_model(files[0], files)})
    from models.pytorch import export_pt2  # imports torch

    arrays = {name: _sample(array) for name, array in table.arrays.items() if name not in (LABELS, settings.group)}
    exported = draft.folder.parent / f"{spec.path.stem}.pt2"
    clean = export_pt2(spec, arrays["x"] if arrays.keys() == {"x"} else arrays, exported)
    return clean.model_copy(update={"path": draft.add_model(exported, (exported,))})


def _sample(array: Array) -> Array:
    """A few rows to trace a network with: networks calculate in float32 unless their file says otherwise."""
    rows = array[:SAMPLE_ROWS]
    return rows.astype(np.float32) if rows.dtype == np.float64 else rows


def probe(spec: ModelSpec, table: Table, folder: Path | None = None) -> ModelBackend:
    """The model with only its inputs known: enough to read rows, of which the rest is then told."""
    shape = spec.input.shape
    if shape is None and "x" in table.arrays:
        shape = tuple(table.arrays["x"].shape[1:])
    known = spec.input.model_copy(update={"shape": shape})
    blind = {"input": known, "outputs": OutputConfig(kind="none"), "features": "none", "layers": "none"}
    return load_model(spec.model_copy(update=blind), folder)


def _labelled(data: Dataset, backend: ModelBackend, notes: list[str]) -> Dataset:
    """The data without labels that are not the model's classes."""
    logits = backend.predict(data.batch.take(slice(0, 1))).logits
    if data.y is None or logits is None:
        return data
    low, high, classes = int(data.y.min()), int(data.y.max()), logits.shape[1]
    if low >= 0 and high < classes:
        return data
    notes.append(
        f"{data.table.path.name}: y holds {low} to {high}, the model's classes are 0 to {classes - 1}: y is not used"
    )
    return Dataset(data.table, data.batch, None, data.group, data.notes)


def _parts(sets: dict[str, Dataset], settings: EndpointConfig) -> dict[Part, tuple[Dataset, Array]]:
    reference, holdout = sets["reference"], sets.get("holdout")
    everything = np.arange(len(reference))
    if not (settings.chain or settings.selects):  # nothing is fitted and nothing cut: all rows may check
        check = holdout or reference
        return {"reference": (reference, everything), "check": (check, np.arange(len(check)))}
    needed = rows_needed(settings.budget.reject, settings.budget.guarantee)
    fitted, held, source = everything, None, holdout
    if source is None:
        source = reference
        fitted, held = halve(len(reference), rows_for(needed), settings.seed, reference.group)
    n = len(source) if held is None else len(held)
    group = None if source.group is None else source.group if held is None else source.group[held]
    try:
        parts = split(n, needed, settings.seed, group, train=learns(settings))
        if held is not None and len(fitted) < MIN_REFERENCE:
            raise TooFewHoldout(rows_for(needed), n)
    except TooFewHoldout as error:
        raise _too_few(error, source, held is not None, settings, needed) from None
    rows: dict[Part, Array] = {"rank": parts.rank, "calibrate": parts.calibrate, "check": parts.check}
    if len(parts.train):
        rows["train"] = parts.train
    chosen: dict[Part, tuple[Dataset, Array]] = {"reference": (reference, fitted)}
    for part, indices in rows.items():
        chosen[part] = (source, indices if held is None else held[indices])
    return chosen


def learns(settings: EndpointConfig) -> bool:
    """Whether some stage learns from attacks or is yet to be chosen, and so needs *train* rows."""
    return settings.selects or any(isinstance(stage.detector, CombinerSpec) for stage in settings.chain)


def _too_few(
    error: TooFewHoldout, source: Dataset, shared: bool, settings: EndpointConfig, needed: int
) -> OperatorError:
    budget = settings.budget
    rows, what = error.needed, "rows"
    if shared:
        rows, what = error.needed + MIN_REFERENCE, "rows where one file is reference and holdout"
    return OperatorError(
        f"{source.table.path}: a reject budget of {budget.reject:g} (guarantee: {budget.guarantee}) needs {needed} "
        f"calibrate rows: expected at least {rows} {what}, found {len(source)}"
    )
