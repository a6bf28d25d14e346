"""One endpoint at work: its reader, batcher and writer, and whose fault a failure is."""

from __future__ import annotations

import logging

from defenses.randomized_smoothing import Smoothed
from gateway.batcher import Batcher
from gateway.chain import StageFailed
from gateway.endpoint import Endpoint
from gateway.errors import BadRequest, Unavailable
from gateway.metrics.meter import Meter
from gateway.smoothing import Smoother
from gateway.verdict import Action, Judged
from gateway.wire.request import Reader
from gateway.wire.response import CoarseWriter, Writer
from gateway.wire.signature import signature
from models.batch import Arrays, Batch

_log = logging.getLogger("watchgate")
REJECT = int(Action.REJECT)
SHORT = 12  # characters of a version on the wire
_OUT_OF_MEMORY = ("failed to allocate", "out of memory", "bad_alloc")


class Served:
    """An endpoint, its state in this worker, and everything that reads and answers its requests."""

    def __init__(self, endpoint: Endpoint) -> None:
        config = endpoint.config
        backend = endpoint.chain.backend
        self.endpoint = endpoint
        self.info = endpoint.info
        self.limits = config.limits
        self.enforcing = config.mode == "enforce"
        self.signature = signature(
            endpoint.name,
            endpoint.info.version[:SHORT],
            backend,
            config.limits,
            config.disclose,
            config.model.guard,
            config.smoothing.max_rows if config.smoothing is not None else 0,
        )
        self._smoother = Smoother(config.smoothing, backend) if config.smoothing is not None else None
        self.reader = Reader(self.signature)
        self.writer = Writer(self.signature, endpoint.disclosure)
        self.coarse = CoarseWriter(self.signature, endpoint.coarse)
        self.meter = Meter(endpoint.name, endpoint.chain.names)
        self.batcher = Batcher(self.judge, config.limits, self.meter, ragged=self.signature.ragged)

    def batch(self, tensors: Arrays) -> Batch:
        """The batch of decoded tensors.

        Raises:
            BadRequest: they don't go together.
        """
        try:
            return self.endpoint.chain.backend.join(tensors)
        except ValueError as exc:
            raise BadRequest(f"inputs: {exc}") from exc

    def judge(self, batch: Batch) -> Judged:
        """The chain's verdicts and the model's answer.

        Raises:
            BadRequest: the model itself refuses these rows (a token that is not in its vocabulary, for one).
            StageFailed: an enforcing stage gave no evidence.
            Unavailable: no memory for the batch.
        """
        try:
            return self.endpoint.chain.run(batch)
        except StageFailed:
            self._refuse_what_the_model_refuses(batch)
            raise
        except Exception as exc:
            raise self._blame(exc) from exc

    async def certify(self, batch: Batch, judged: Judged) -> Smoothed | None:
        """Certificates for rows that may be answered; None where the answer is a refusal anyway.

        Raises:
            Unavailable: as `Smoother.certify`.
        """
        allowed = judged.verdicts.actions != REJECT
        hidden = self.signature.disclose == "none" and not allowed.all()
        if self._smoother is None or hidden or not allowed.any():
            return None
        return await self._smoother.certify(batch, allowed, self.limits.timeout_ms / 1e3)

    def _refuse_what_the_model_refuses(self, batch: Batch) -> None:
        """A stage fails on rows that the model can't be run on: that is the caller's mistake, not the stage's."""
        try:
            self.endpoint.chain.backend.predict(batch)
        except Exception as exc:
            raise self._blame(exc) from exc

    def _blame(self, exc: Exception) -> Exception:
        text = str(exc)
        if isinstance(exc, MemoryError) or any(sign in text.lower() for sign in _OUT_OF_MEMORY):
            return Unavailable("not enough memory for the batch")
        _log.warning("endpoint %s: the model refused rows: %s", self.endpoint.name, text[:500])
        return BadRequest(
            "the model can't be run on these values: each has the right type and shape, but one is "
            "outside what the model accepts (an index over the end of its table, for one)"
        )
