"""What it takes to attack the chain of a bundle: its model as a differentiable function, and what can be sent to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from attacks.feasible import Feasible
from attacks.network import Network
from benchmarks.quality.subject import Subject
from detectors.base import Reference, View
from detectors.contract import ContractSpec
from gateway.training.bundle import Bundle
from gateway.training.examples import Sources
from gateway.training.passes import Chunked
from models.backend import ModelBackend
from models.batch import Batch
from models.specs import AnyModelSpec, ModelSpec

_RULES_ROWS = 5000
_SAMPLE_ROWS = 16


def sources(folder: Path, subject: Subject, backend: ModelBackend) -> Sources:
    """Of the bundle in that folder; the rows are the victims."""
    bundle = Bundle.open(folder, subject.name)
    spec: ModelSpec = TypeAdapter(AnyModelSpec).validate_python(bundle.manifest["model"])
    network = Network.of(spec, bundle.folder)
    batch = Batch(subject.victims.x.copy())
    network.verify(batch.take(slice(0, _SAMPLE_ROWS)), backend)
    with np.load(subject.reference, allow_pickle=False) as file:
        some = Batch(file["x"][:_RULES_ROWS])
    rules = ContractSpec().fit(Reference(View(some, backend), backend.spec))
    feasible = Feasible.learn(some.x, backend.spec, rules)
    return Sources(batch, subject.victims.y, Chunked(backend), network, feasible)
