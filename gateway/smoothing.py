"""Certificates on request: which class a row keeps under noise, and how far from it nothing changes that.

The method is `defenses.randomized_smoothing`; here is what it may cost: so many samples a row, so many rows a request,
one thread beside the event loop, and a queue that is short.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Annotated

import numpy as np
from pydantic import Field

from defenses.randomized_smoothing import ABSTAIN, Smoothed, certify, votes
from gateway.errors import OperatorError, Unavailable
from gateway.strict import Strict
from models.backend import ModelBackend
from models.batch import Array, Batch, InputSpec
from models.specs import OutputConfig

__all__ = ["Smoother", "Smoothing", "refuse_unsuitable"]

SELECTION = 100  # samples that choose the class; others, of other noise, prove it
MOST_WAITING = 4  # requests that are certified or wait for it
_PIECE = 256  # samples between two looks at the clock
_log = logging.getLogger("watchgate")


class Smoothing(Strict):
    """`sigma` is the noise's standard deviation in the input's units, `samples` the noisy copies a row, `alpha` the
    probability that a certificate is wrong.
    """

    sigma: Annotated[float, Field(gt=0.0)]
    samples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    alpha: Annotated[float, Field(gt=0.0, le=0.05)] = 0.001
    max_rows: Annotated[int, Field(ge=1)] = 8


def refuse_unsuitable(spec: InputSpec, classes: OutputConfig) -> None:
    """Checks the method against a model.

    Raises:
        OperatorError: its input does not hold real numbers, or it has no classes.
    """
    if spec.dtype.kind != "f":
        raise OperatorError(f"smoothing: expected an input of real numbers, found {spec.dtype}")
    if classes.logits is None:
        raise OperatorError("smoothing: expected a model with class outputs, found `outputs.kind: none`")


class Smoother:
    """One endpoint's certificates. All but the passes through the model run in the event loop's thread."""

    def __init__(self, config: Smoothing, backend: ModelBackend) -> None:
        self.config = config
        self._backend = backend
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="watchgate-smoothing")
        self._waiting = 0

    async def certify(self, batch: Batch, rows: Array, timeout_s: float) -> Smoothed:
        """Certificates for as many rows as `batch` has; where the mask `rows` is false it abstains unasked.

        Raises:
            Unavailable: too many wait already, the time is over, or the model failed.
        """
        if self._waiting >= MOST_WAITING:
            raise Unavailable("too many certificates are asked for at once")
        loop = asyncio.get_running_loop()
        self._waiting += 1
        work = self._pool.submit(self._certify, batch, rows, time.monotonic() + timeout_s)
        work.add_done_callback(lambda _: self._leave(loop))  # not when the caller gives up: the work goes on
        try:
            return await asyncio.wait_for(asyncio.wrap_future(work), timeout_s)
        except (asyncio.TimeoutError, TimeoutError):
            raise Unavailable(f"no certificate within {timeout_s * 1e3:g} ms") from None
        except Exception as error:
            _log.exception("a row could not be certified")
            raise Unavailable("the request could not be certified") from error

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs in the thread."""
        with suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(self._left)

    def _left(self) -> None:
        self._waiting -= 1

    def _certify(self, batch: Batch, rows: Array, deadline: float) -> Smoothed:
        classes = np.full(len(batch), ABSTAIN, dtype=np.int64)
        radius = np.zeros(len(batch))
        for row in np.flatnonzero(rows).tolist():
            found = self._one(batch.take(slice(row, row + 1)), deadline)
            classes[row], radius[row] = found.classes[0], found.radius[0]
        return Smoothed(classes, radius)

    def _one(self, row: Batch, deadline: float) -> Smoothed:
        """Abstains where some noisy copy has no finite answer: it voted for no class."""
        config = self.config
        selection = self._votes(row, SELECTION, deadline)
        proof = self._votes(row, config.samples, deadline)
        if selection.sum() < SELECTION or proof.sum() < config.samples:
            return Smoothed(np.array([ABSTAIN]), np.zeros(1))
        return certify(selection, proof, config.sigma, config.alpha)

    def _votes(self, row: Batch, samples: int, deadline: float) -> Array:
        """(1, classes). Noise that nobody can foretell: its seed is drawn anew each time."""
        parts = []
        for start in range(0, samples, _PIECE):
            if time.monotonic() > deadline:
                raise TimeoutError
            piece = min(_PIECE, samples - start)
            parts.append(votes(self._backend, row, self.config.sigma, piece, secrets.randbits(63)))
        return np.asarray(sum(parts))
