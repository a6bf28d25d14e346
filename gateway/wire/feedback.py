"""The body of POST /v2/models/{m}/feedback: true labels of rows that were answered."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from gateway.errors import BadRequest, TooLarge
from gateway.wire.header import refuse_double_keys, strictly

MOST_LABELS = 1000
_LONGEST_ID = 64


class Label(Struct, forbid_unknown_fields=True, frozen=True):
    """The row `row` (from 0) of the request that was answered with the header `x-watchgate-id: <id>`."""

    id: str
    row: int
    label: int


class Feedback(Struct, forbid_unknown_fields=True, frozen=True):
    """All labels of a request."""

    labels: list[Label]


class Counted(Struct, frozen=True):
    """What became of labels: new ones, those whose row has one already, those whose answer isn't known (any more)."""

    counted: int = 0
    repeated: int = 0
    unknown: int = 0


_DECODER = msgspec.json.Decoder(Feedback)


def parse(body: bytes) -> list[Label]:
    """The labels.

    Raises:
        BadRequest: not JSON, not this schema, a key that stands twice, or a number below 0.
        TooLarge: more labels than a request may have.
    """
    found: Feedback = strictly(_DECODER, body)
    refuse_double_keys(body, [])
    if len(found.labels) > MOST_LABELS:
        raise TooLarge(f"labels: expected at most {MOST_LABELS}, found {len(found.labels)}")
    for index, each in enumerate(found.labels):
        for key in ("row", "label"):
            value = getattr(each, key)
            if not 0 <= value < 2**31:
                raise BadRequest(f"labels[{index}].{key}: expected a number from 0 on, found {value}")
        if not 0 < len(each.id) <= _LONGEST_ID:
            raise BadRequest(
                f"labels[{index}].id: expected the id of an answer (x-watchgate-id), found {each.id[:64]!r}"
            )
    return found.labels


def written(counted: Counted) -> bytes:
    """The answer."""
    return msgspec.json.encode(counted)
