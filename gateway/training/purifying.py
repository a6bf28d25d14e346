"""Purifiers learn from reference rows alone, before anything else does."""

from __future__ import annotations

import numpy as np

from defenses.base import Effort, Purifier, Unsuitable
from gateway.config import EndpointConfig
from gateway.errors import OperatorError
from gateway.training.bundle import Draft
from gateway.training.prepare import Prepared


def trained(settings: EndpointConfig, prepared: Prepared, draft: Draft, effort: Effort) -> list[tuple[Purifier, str]]:
    """The purifiers, with when each is applied; what they learned is put into the draft.

    Raises:
        OperatorError: one does not suit the model.
    """
    built: list[tuple[Purifier, str]] = []
    x = prepared.read("reference").batch.x if settings.purify else None
    for index, step in enumerate(settings.purify):
        try:
            step.purifier.refuse_unsuitable(prepared.backend.spec)
            arrays = step.purifier.train(np.asarray(x), prepared.backend.spec, effort)
            purifier = step.purifier.build(prepared.backend.spec, arrays)
        except (Unsuitable, ValueError) as error:
            raise OperatorError(f"purify[{index}] ({step.purifier.kind}): {error}") from error
        if arrays:
            draft.add_arrays(f"purifier-{index}.npz", arrays)
        built.append((purifier, step.when))
    return built
