"""What `calibrate` learns of honest queries, and `serve` loads: nothing where the endpoint has no `queries`."""

from __future__ import annotations

import numpy as np

from detectors.base import Unsuitable
from detectors.queries.extraction import Extraction, territory
from detectors.queries.likeness import Likeness
from detectors.queries.memory import Bounds, QueryMemory
from gateway.config import EndpointConfig
from gateway.disclosure import Disclosure, LabelsOnly
from gateway.errors import BundleError, OperatorError
from gateway.training.bundle import RETRY, Bundle, Draft
from gateway.training.passes import Chunked
from gateway.training.prepare import Prepared
from models.backend import ModelBackend
from models.batch import Array, InputSpec
from models.specs import ModelSpec

FILE, SPREAD = "queries.npz", "extraction.npz"
_TRIED = 4000  # honest rows that are asked to measure how often callers would be marked
_CALLERS = 50
_SPREAD_ROWS = 20_000


def fit(name: str, settings: EndpointConfig, prepared: Prepared, draft: Draft) -> tuple[str, ...]:
    """Writes what is known of honest queries into the draft; what a person should know of it.

    Raises:
        OperatorError: the rows can't be compared, or there are too few.
    """
    if settings.queries is None:
        return ()
    spec = prepared.backend.spec
    coarse(name, settings, prepared.spec, prepared.backend)  # refuses what serve would
    x = np.concatenate([prepared.read(part).batch.x for part in ("reference", "rank") if part in prepared.parts])
    try:
        likeness = Likeness.fit(x, spec, settings.seed)
    except Unsuitable as error:
        why = str(error).removeprefix("queries: ")
        raise OperatorError(f"endpoints.{name}.queries: {why}") from error
    draft.add_arrays(FILE, likeness.to_arrays())
    _spread(settings, prepared, draft)
    return (_tried(likeness, prepared.read("check").batch.x, settings),)


def load(name: str, endpoint: EndpointConfig, bundle: Bundle, spec: InputSpec) -> Likeness | None:
    """What the bundle knows of honest queries; None where the endpoint does not ask.

    Raises:
        BundleError: the bundle was made without `queries`.
    """
    if endpoint.queries is None:
        return None
    arrays = bundle.arrays(FILE)
    if not arrays:
        raise BundleError(f"endpoints.{name}.queries: the bundle knows nothing of honest queries; {RETRY}")
    return Likeness.from_arrays(arrays, spec)


def load_spread(endpoint: EndpointConfig, bundle: Bundle) -> Extraction | None:
    """How honest rows are spread; None where the endpoint does not ask, or an older release made the bundle."""
    arrays = bundle.arrays(SPREAD) if endpoint.queries is not None else {}
    return Extraction.from_arrays(arrays) if arrays else None


def coarse(name: str, endpoint: EndpointConfig, spec: ModelSpec, backend: ModelBackend) -> Disclosure | None:
    """What a marked principal sees of the model's classes; None where nobody's answers are coarsened.

    Raises:
        OperatorError: the model has no classes, or another output tells what it hides.
    """
    if endpoint.queries is None or "coarsen" not in endpoint.queries.steps:
        return None
    try:
        return Disclosure.of((*endpoint.answers, LabelsOnly()), spec.outputs, backend.outputs)
    except OperatorError as error:
        why = str(error).removeprefix("answers: ")
        raise OperatorError(f"endpoints.{name}.queries.steps: coarsen: {why}") from None


def _spread(settings: EndpointConfig, prepared: Prepared, draft: Draft) -> None:
    """Writes how honest rows are spread into the draft; nothing where there are too few to tell."""
    backend = Chunked(prepared.backend)
    reference = prepared.read("reference").batch.take(slice(0, _SPREAD_ROWS))
    held_out = prepared.read("rank" if "rank" in prepared.parts else "check").batch.take(slice(0, _SPREAD_ROWS))
    try:
        found = Extraction.fit(
            territory(reference.x, backend.predict(reference)), backend.predict(held_out), settings.seed
        )
    except ValueError:
        return
    draft.add_arrays(SPREAD, found.to_arrays())


def _tried(likeness: Likeness, x: Array, settings: EndpointConfig) -> str:
    assert settings.queries is not None
    rows = x[np.random.default_rng(settings.seed).permutation(len(x))[:_TRIED]]
    memory = QueryMemory(likeness, b"", Bounds(similar=settings.queries.similar))
    marked = set()
    for start in range(0, len(rows), _CALLERS):
        part = rows[start : start + _CALLERS]
        told = memory.ask([str(caller) for caller in range(len(part))], part, 0.0)
        marked |= {name for name, found in told.items() if found.alike}
    return f"queries: {len(rows)} honest check rows of {_CALLERS} callers mark {len(marked)} of them"
