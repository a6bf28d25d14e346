"""HTTP headers that say how a body is to be read."""

from __future__ import annotations

import re

import pytest

from gateway.errors import Refusal
from gateway.wire import envelope

LENGTH, HEADER = b"content-length", b"inference-header-content-length"


def test_what_matters_is_read() -> None:
    found = envelope.read(
        [
            (b"content-type", b"Application/JSON; charset=utf-8"),
            (LENGTH, b"12"),
            (HEADER, b"7"),
            (b"traceparent", b"00-a-b-00"),
            (b"user-agent", b"x" * 1000),
            (b"cookie", b"a"),
            (b"cookie", b"b"),
        ]
    )
    assert (found.media, found.body_bytes, found.header_bytes) == (b"application/json", 12, 7)
    assert (found.traceparent, len(found.user_agent or "")) == ("00-a-b-00", 256)
    envelope.check(found, envelope.TENSORS, 12)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (HEADER, b"-1", "expected a number of bytes, found '-1'"),
        (HEADER, b"1.5", "expected a number"),
        (HEADER, b"+7", "expected a number"),
        (HEADER, b" 7", "expected a number"),
        (HEADER, b"\xb2", "expected a number"),
        (HEADER, b"9" * 30, "expected a number"),
        (HEADER, b"", "expected a number"),
        (b"content-encoding", b"gzip", "expected none, found 'gzip'"),
        (b"content-encoding", b"deflate, gzip", "expected none"),
        (LENGTH, b"13", "expected at most 12 bytes, found 13"),
        (b"content-type", b"text/plain", "expected application/json or application/octet-stream, found 'text/plain'"),
        (b"content-type", b"application/x-www-form-urlencoded", "found 'application/x-www-form-urlencoded'"),
    ],
)
def test_what_cannot_be_read_is_refused(name: bytes, value: bytes, told: str) -> None:
    with pytest.raises(Refusal, match=re.escape(told)):
        envelope.check(envelope.read([(name, value)]), envelope.TENSORS, 12)


def test_headers_that_contradict_themselves_are_refused() -> None:
    envelope.read([(HEADER, b"7"), (HEADER, b"7")])
    with pytest.raises(Refusal, match="stands twice"):
        envelope.read([(HEADER, b"7"), (HEADER, b"8")])


def test_no_compression_is_no_encoding() -> None:
    envelope.read([(b"content-encoding", b"identity")])
