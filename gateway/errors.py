"""The exception tree and the status each branch answers with.

WatchgateError
├── OperatorError            exit 2, one line: file, line, key, expected, found
│   └── BundleError          the bundle is missing, altered, or was calibrated for another config
└── Refusal                  an answer to a caller
    ├── BadRequest           400  not the protocol, not the model's dtype or shape, not finite
    ├── Unauthorized         401  an API key that isn't known, or none where one is needed
    ├── Rejected             403  a verdict: every row, or with `disclose: none` any row, was rejected
    ├── NotFound             404  no such model or version
    ├── MethodNotAllowed     405
    ├── RequestTimeout       408  the body did not arrive in time
    ├── TooLarge             413  body, rows or decoded pixels over the limit
    ├── UnsupportedMedia     415  a content type or encoding the gateway doesn't read
    ├── Marked               429  the principal's queries were alike; with Retry-After
    └── Unavailable          503  overloaded, draining, a stage failed, or the verdict lane is full; with Retry-After
"""

from __future__ import annotations

from typing import ClassVar


class WatchgateError(Exception):
    """Root of everything raised on purpose."""


class OperatorError(WatchgateError):
    """A mistake in a file or a command line; the text is one line a person can act on."""


class BundleError(OperatorError):
    """The bundle can't be served."""


class Refusal(WatchgateError):
    """A request that is not answered with outputs."""

    status: ClassVar[int] = 500
    retry_after_s: ClassVar[int | None] = None


class BadRequest(Refusal):
    """Malformed; says what was expected and what was found."""

    status = 400


class Unauthorized(Refusal):
    """Not a caller that is known."""

    status = 401


class Rejected(Refusal):
    """The chain's verdict; says nothing of why."""

    status = 403


class NotFound(Refusal):
    """No such model or version."""

    status = 404


class MethodNotAllowed(Refusal):
    """The route exists, the method does not."""

    status = 405


class RequestTimeout(Refusal):
    """The body did not arrive in time."""

    status = 408


class TooLarge(Refusal):
    """More bytes, rows or pixels than the endpoint takes."""

    status = 413


class UnsupportedMedia(Refusal):
    """A content type or encoding the gateway doesn't read."""

    status = 415


class Marked(Refusal):
    """The principal is marked; says nothing of why."""

    status = 429
    retry_after_s = 60


class Unavailable(Refusal):
    """Try again: overloaded, draining, failed closed."""

    status = 503
    retry_after_s = 1
