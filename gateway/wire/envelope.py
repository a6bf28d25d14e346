"""What the HTTP headers of a request say, checked before its body is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import BadRequest, TooLarge, UnsupportedMedia

_READ = frozenset(
    (
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"inference-header-content-length",
        b"traceparent",
        b"user-agent",
    )
)
_MAX_TEXT = 256
TENSORS = frozenset((b"", b"application/json", b"application/octet-stream"))
PLAIN = frozenset((b"", b"application/json"))
IMAGES = frozenset((b"image/png", b"image/jpeg"))


@dataclass(slots=True)
class Envelope:
    """The headers that matter. `body_bytes` None: chunked; `header_bytes` None: no binary data follow the JSON."""

    media: bytes = b""
    body_bytes: int | None = None
    header_bytes: int | None = None
    traceparent: str | None = None
    user_agent: str | None = None


def read(headers: Iterable[tuple[bytes, bytes]]) -> Envelope:
    """The envelope.

    Raises:
        BadRequest: a length that isn't one, or a header that decides how the body is read stands twice.
        UnsupportedMedia: a compressed body.
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ and found.setdefault(name, value) != value:
            raise BadRequest(f"header {name.decode()}: stands twice, with different values")
    get = found.get
    encoding = get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise UnsupportedMedia(f"content-encoding: expected none, found {_text(encoding)!r}")
    length = get(b"content-length")
    header_length = get(b"inference-header-content-length")
    media = get(b"content-type", b"")
    traceparent = get(b"traceparent")
    agent = get(b"user-agent")
    return Envelope(
        media if media in TENSORS else media.split(b";", 1)[0].strip().lower(),
        None if length is None else _number("Content-Length", length),
        None if header_length is None else _number("Inference-Header-Content-Length", header_length),
        None if traceparent is None else _text(traceparent),
        None if agent is None else _text(agent),
    )


def check(envelope: Envelope, media: frozenset[bytes], max_body_bytes: int) -> None:
    """Refuses what can be refused before the body is read.

    Raises:
        TooLarge: the stated length is over the limit.
        UnsupportedMedia: a content type the route doesn't read.
    """
    if envelope.media not in media:
        expected = " or ".join(sorted(kind.decode() for kind in media if kind))
        raise UnsupportedMedia(f"content-type: expected {expected}, found {_text(envelope.media)!r}")
    if envelope.body_bytes is not None and envelope.body_bytes > max_body_bytes:
        raise TooLarge(f"body: expected at most {max_body_bytes} bytes, found {envelope.body_bytes}")


def _number(name: str, value: bytes) -> int:
    if not value.isdigit() or len(value) > 18:
        raise BadRequest(f"{name}: expected a number of bytes, found {_text(value)!r}")
    return int(value)


def _text(value: bytes) -> str:
    return value[:_MAX_TEXT].decode("latin-1")
