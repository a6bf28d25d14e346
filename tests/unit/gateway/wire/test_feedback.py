"""The body of a feedback request."""

from __future__ import annotations

import pytest

from gateway.errors import BadRequest, TooLarge
from gateway.wire.feedback import MOST_LABELS, Counted, Label, parse, written

ID = "0" * 32


def test_labels_are_read() -> None:
    found = parse(f'{{"labels": [{{"id": "{ID}", "row": 2, "label": 7}}]}}'.encode())
    assert found == [Label(ID, 2, 7)]
    assert parse(b'{"labels": []}') == []
    assert written(Counted(3, 1, 2)) == b'{"counted":3,"repeated":1,"unknown":2}'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "request: expected JSON, found nothing"),
        ("[]", "Expected `object`, got `array`"),
        ('{"labels": 3}', r"Expected `array`, got `int` - at `\$.labels`"),
        ('{"labels": [], "more": 1}', "unknown field `more`"),
        ('{"labels": [{"id": "a", "row": 0}]}', r"missing required field `label` - at `\$.labels\[0\]`"),
        ('{"labels": [{"id": "a", "row": "0", "label": 1}]}', "Expected `int`, got `str`"),
        ('{"labels": [{"id": "a", "row": 0.0, "label": 1.5}]}', "Expected `int`, got `float`"),
        ('{"labels": [{"id": "a", "row": true, "label": 1}]}', "Expected `int`, got `bool`"),
        ('{"labels": [{"id": "a", "row": -1, "label": 1}]}', r"labels\[0\].row: expected a number from 0 on, found -1"),
        ('{"labels": [{"id": "a", "row": 0, "label": 4294967296}]}', r"labels\[0\].label: expected a number"),
        ('{"labels": [{"id": "", "row": 0, "label": 1}]}', r"labels\[0\].id: expected the id of an answer"),
        ('{"labels": [{"id": "a", "row": 0, "row": 1, "label": 1}]}', "key 'row' stands twice"),
        ('{"labels": [{"id": "\\ud800", "row": 0, "label": 1}]}', "request: "),
    ],
)
def test_anything_else_is_refused(body: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        parse(body.encode())


def test_too_many_are_refused() -> None:
    label = '{"id": "a", "row": 0, "label": 1}'
    many = ",".join([label] * (MOST_LABELS + 1))
    with pytest.raises(TooLarge, match=f"labels: expected at most {MOST_LABELS}, found {MOST_LABELS + 1}"):
        parse(f'{{"labels": [{many}]}}'.encode())
