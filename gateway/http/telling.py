"""Tells the recorder, and the tracker, of every verdict before it is answered."""

from __future__ import annotations

import asyncio
import logging
import time

from gateway.errors import Unavailable
from gateway.http.call import Call, Reply
from gateway.http.judging import Served
from gateway.telemetry.observation import Recorder
from gateway.tracking.tracker import Tracker
from gateway.verdict import Judged

PATIENCE_S = 2.0  # how long a verdict waits for room in the record
MOST_PATIENT = 64  # requests that may wait so
_log = logging.getLogger("watchgate")


class Teller:
    """What isn't on record is not answered where it matters."""

    def __init__(self, recorder: Recorder, tracker: Tracker | None) -> None:
        self._recorder = recorder
        self._tracker = tracker
        self._patient = 0  # requests that wait for room in the record

    async def told(self, call: Call, served: Served, judged: Judged, worst: int, reply: Reply) -> Reply:
        """The reply, once the recorder has the verdict.

        Raises:
            Unavailable: a row was stopped and the record is full.
        """
        enforced = bool(worst) and served.enforcing
        if (not enforced or await self._room(call.principal)) and self.offer(call, served, judged, reply[0]):
            return reply
        served.meter.dropped["kept" if worst else "clean"] += 1
        if enforced:
            raise Unavailable("the record of verdicts is full")
        return reply

    def offer(self, call: Call, served: Served, judged: Judged | None, status: int, error: str | None = None) -> bool:
        """Whether the recorder took it."""
        try:
            observation = call.observation(served.info, judged, status, error)
            if self._tracker is not None:
                self._tracker.observe(observation)
            return self._recorder.offer(observation)
        except Exception:  # beside the path: lost and counted, never in the way
            _log.exception("the recorder failed on request %s", call.id)
            return False

    async def _room(self, principal: str) -> bool:
        """Whether the record has room. Who is stopped faster than the disk is quick gets slowed, then refused."""
        if self._recorder.has_room(principal):
            return True
        if self._patient >= MOST_PATIENT:
            return False
        self._patient += 1
        try:
            ends = time.monotonic() + PATIENCE_S
            while time.monotonic() < ends:
                await asyncio.sleep(0.01)
                if self._recorder.has_room(principal):
                    return True
            return False
        finally:
            self._patient -= 1
