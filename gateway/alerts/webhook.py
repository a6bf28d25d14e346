"""One receiver of webhooks: an HTTP POST with a signed JSON body."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.client import HTTPMessage
from typing import IO
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from gateway.alerts.outbox import Outcome
from gateway.alerts.signing import signed
from gateway.alerts.wording import body, message_id
from gateway.tracking.drift.report import DriftAlarm

TIMEOUT_S = 10.0
_LATER = (408, 425, 429)  # and all of 5xx


class _NoRedirect(HTTPRedirectHandler):
    """What is signed for one address is not sent to another."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Follows none: the answer counts as a refusal."""


class Webhook:
    """Posts alarms to `url`. Proxies are used as the usual environment variables say."""

    def __init__(self, url: str, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._url = url
        self._secret = secret
        self._clock = clock
        self._opener = build_opener(_NoRedirect)

    def send(self, alarm: DriftAlarm) -> Outcome:
        """One attempt.

        Raises:
            OSError: the receiver can't be reached, or did not answer in time.
        """
        content = body(alarm)
        headers = {"content-type": "application/json", "user-agent": "watchgate"}
        headers |= signed(self._secret, message_id(alarm), content, self._clock())
        try:
            with self._opener.open(Request(self._url, content, headers, method="POST"), timeout=TIMEOUT_S):
                return Outcome.SENT
        except HTTPError as error:
            with error:
                return Outcome.AGAIN if error.code in _LATER or error.code >= 500 else Outcome.REFUSED
