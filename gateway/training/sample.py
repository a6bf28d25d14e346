"""The rows of the reference that the bundle shows people: `sample.npz`."""

from __future__ import annotations

from gateway.config import EndpointConfig
from gateway.explaining.sample import Sample
from gateway.training.bundle import Draft
from gateway.training.prepare import Prepared

FILE = "sample.npz"


def add(settings: EndpointConfig, prepared: Prepared, draft: Draft) -> None:
    """Writes as many rows into the draft as `examples` says; no file where that is none, or rows are no numbers."""
    rows = prepared.read("reference")
    sample = Sample.take(rows.batch.x, rows.y, prepared.backend.spec, settings.examples, settings.seed)
    if sample is not None:
        draft.add_arrays(FILE, sample.to_arrays())
