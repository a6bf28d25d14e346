"""What a person should be warned of: rows that the model may have seen, and code that the bundle does not hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gateway.config import EndpointConfig
from gateway.training import seen
from gateway.training.data import Rows
from gateway.training.passes import Chunked
from gateway.training.prepare import Prepared
from models.batch import Array

# Whether the model was trained on the reference, or a question that is asked only where it matters; None: not known.
Saw = bool | Callable[[], bool | None] | None

_LOOKED_AT = 2000  # rows of either side whose loss is compared


def warnings_of(settings: EndpointConfig, prepared: Prepared, saw_training: Saw) -> tuple[str, ...]:
    """What wants somebody's attention before the endpoint is served. Asks, where nothing else tells."""
    return (*_seen(settings, prepared, saw_training), *_untrusted(settings))


def _seen(settings: EndpointConfig, prepared: Prepared, saw_training: Saw) -> list[str]:
    if not settings.chain:
        return []
    signs = _signs(prepared, settings.seed)
    harm = "thresholds set on rows a model was trained on flag unseen honest rows several times more often than stated"
    if settings.holdout is not None:
        return [f"the holdout looks like rows the model was trained on: {sign}; {harm}" for sign in signs]
    answer = saw_training() if callable(saw_training) else saw_training
    if answer:
        return [f"NO HOLDOUT, and the model was trained on the reference: don't rely on this budget; {harm}"]
    if signs:
        looks = f"NO HOLDOUT, and the reference LOOKS like rows the model was trained on: {'; '.join(signs)}"
        return [f"{looks}: name a `holdout` that it never saw; {harm}"]
    if answer is None:
        return [f"no holdout: the reference was split; name a `holdout` if the model was trained on it: {harm}"]
    return []


def _signs(prepared: Prepared, seed: int) -> list[str]:
    """Looked for last: it reads calibrate rows, and nothing may be set after that."""
    reference = prepared.read("reference")
    parts = [prepared.read(part) for part in ("rank", "calibrate", "check")]
    batch = parts[0].batch.concat([part.batch for part in parts])
    labels = [part.y for part in parts if part.y is not None]
    holdout = Rows(batch, np.concatenate(labels) if len(labels) == len(parts) else None)
    rng = np.random.default_rng(seed)
    ours, theirs = (_some(rows, rng) for rows in (reference, holdout))
    backend = Chunked(prepared.backend)
    return seen.copies(reference.batch.x, holdout.batch.x, seed) + seen.memory(
        backend.predict(ours.batch), ours.y, backend.predict(theirs.batch), theirs.y
    )


def _some(rows: Rows, rng: np.random.Generator) -> Rows:
    picked: Array = np.sort(rng.permutation(len(rows))[:_LOOKED_AT])
    return Rows(rows.batch.take(picked), None if rows.y is None else rows.y[picked])


def _untrusted(settings: EndpointConfig) -> list[str]:
    stages = [(stage.name, ", ".join(stage.detector.code())) for stage in settings.chain if not stage.trust]
    return [
        f"stage {name}: scores rows with code that the bundle does not hold ({code}): "
        "`serve` will refuse it unless its entry says `trust: true`"
        for name, code in stages
        if code
    ]
