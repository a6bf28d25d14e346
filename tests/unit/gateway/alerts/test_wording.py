from __future__ import annotations

import json

from gateway.alerts.wording import body, event, message_id, sentence
from tests.unit.gateway.alerts.alarming import ended, started


def test_a_sentence_says_what_moved_how_far_and_since_when() -> None:
    assert sentence(started()) == (
        "endpoint digits: column <a> drifts since 2026-05-28T20:26:40Z (shift 7.25, threshold 4.12, psi 0.31, 400 rows)"
    )
    assert sentence(ended()) == "endpoint digits: drift of column <a> has ended; it began 2026-05-28T20:26:40Z"


def test_a_body_is_the_alarm() -> None:
    document = json.loads(body(started()))
    assert (document["type"], document["timestamp"]) == ("drift.started", "2026-05-28T20:27:40Z")
    assert document["text"] == sentence(started())
    assert document["data"] == {
        "endpoint": "digits",
        "bundle": "c0ffee",
        "series": "column <a>",
        "bucket": 178,
        "started": True,
        "at": "2026-05-28T20:27:40Z",
        "since": "2026-05-28T20:26:40Z",
        "kind": "shift",
        "statistic": 7.25,
        "threshold": 4.125,
        "psi": 0.31,
        "rows": 400,
    }
    assert event(ended()) == "drift.ended"


def test_an_alarm_has_one_id() -> None:
    assert message_id(started()) == message_id(started())
    assert len({message_id(started()), message_id(ended()), message_id(started("b"))}) == 3
