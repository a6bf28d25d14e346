"""Before a request is read: who calls, and what the principal's mark says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from gateway.config import Config
from gateway.errors import Marked, Rejected
from gateway.http.call import Call
from gateway.http.judging import Served
from gateway.principals.identity import Identity
from gateway.tracking.queries.marks import Marks
from gateway.wire.response import REFUSED

if TYPE_CHECKING:
    from gateway.tracking.tracker import Tracker

_MOST_SLOWED = 256  # requests that wait; the next is refused


class Admission:
    """Names the caller and looks up its mark; nothing else happens on the path."""

    def __init__(self, identity: Identity | None, marks: Marks | None) -> None:
        self._identity = identity
        self._marks = marks
        self._slowed = 0

    @staticmethod
    def of(config: Config, tracker: Tracker | None) -> Admission | None:
        """The admission this config asks for; None where everybody is let in by address.

        Raises:
            OperatorError: the file of keys can't be read.
        """
        identity = None if config.principal is None else Identity(config.principal)
        marks = None if tracker is None else tracker.marks
        return None if identity is None and marks is None else Admission(identity, marks)

    def admit(self, call: Call, served: Served) -> Awaitable[None] | None:
        """Sets the call's principal and whether its answer is coarsened; what it gives back, if anything, is awaited.

        Raises:
            Unauthorized: an API key that isn't known, or none where one is needed.
            Marked, Rejected: the principal is marked, and refused for that.
        """
        if self._identity is not None:
            call.name = self._identity.name(call.scope["headers"], call.peer)
        if self._marks is None:
            return None
        mark = self._marks.current.get(call.principal)
        settings = served.endpoint.config.queries
        if mark is None or settings is None:
            return None
        step = settings.step(mark.alike)
        if step == "refuse":
            raise Rejected(REFUSED) if settings.refuse_with == 403 else Marked("too many requests")
        if step == "coarsen":
            call.coarse = True
        return self._slow(settings.slow_ms / 1e3) if step == "slow" else None

    def identify(self, call: Call) -> bool:
        """Sets the call's principal; whether an operator's key was shown.

        Raises:
            Unauthorized: an API key that isn't known, or none where one is needed.
        """
        if self._identity is None:
            return False
        call.name = self._identity.name(call.scope["headers"], call.peer)
        return self.is_operator(call)

    def address(self, call: Call) -> str:
        """Where the call comes from, behind proxies that are trusted."""
        return call.peer if self._identity is None else self._identity.address(call.scope["headers"], call.peer)

    def is_operator(self, call: Call) -> bool:
        """Whether an operator's key was shown."""
        return self._identity is not None and self._identity.operator(call.scope["headers"])

    async def _slow(self, seconds: float) -> None:
        if self._slowed >= _MOST_SLOWED:
            raise Marked("too many requests")
        self._slowed += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._slowed -= 1
