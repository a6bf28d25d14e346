from __future__ import annotations

import time

import pytest

from gateway.alerts.outbox import Outcome
from gateway.alerts.signing import ID, is_ours
from gateway.alerts.webhook import Webhook
from gateway.alerts.wording import body, message_id
from tests.hooks import Hooks
from tests.unit.gateway.alerts.alarming import started

SECRET = b"0123456789abcdef"


def test_what_arrives_is_signed() -> None:
    with Hooks() as hooks:
        assert Webhook(hooks.url, SECRET).send(started()) is Outcome.SENT
    (post,) = hooks.posts
    assert (post.path, post.body, post.headers[ID]) == ("/hook", body(started()), message_id(started()))
    assert post.headers["content-type"] == "application/json"
    assert is_ours(SECRET, post.headers, post.body, time.time())
    assert not is_ours(b"another secret..", post.headers, post.body, time.time())


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.SENT),
        (302, Outcome.REFUSED),
        (307, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (408, Outcome.AGAIN),
        (429, Outcome.AGAIN),
        (500, Outcome.AGAIN),
        (503, Outcome.AGAIN),
    ],
)
def test_the_answer_says_whether_to_try_again(status: int, outcome: Outcome) -> None:
    with Hooks(status) as hooks:
        assert Webhook(hooks.url, SECRET).send(started()) is outcome
    assert [post.path for post in hooks.posts] == ["/hook"]


def test_nobody_there_is_an_error_to_try_again() -> None:
    with Hooks() as hooks:
        url = hooks.url
    with pytest.raises(OSError):
        Webhook(url, SECRET).send(started())
