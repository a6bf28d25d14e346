from __future__ import annotations

import threading
import time
from collections import Counter

from gateway.alerts.outbox import Outbox, Outcome
from tests.waiting import until

FAST = (0.01, 0.02)


def test_what_fails_is_sent_again_and_in_order() -> None:
    seen: list[int] = []
    answers = [Outcome.AGAIN, None, Outcome.SENT, Outcome.SENT]

    def send(message: int) -> Outcome:
        seen.append(message)
        answer = answers.pop(0)
        if answer is None:
            raise OSError("nobody listens")
        return answer

    outbox = Outbox("test", send, pauses_s=FAST)
    outbox.add(1)
    outbox.add(2)
    until(lambda: outbox.counts["sent"] == 2)
    outbox.close(5)
    assert seen == [1, 1, 1, 2]
    assert outbox.counts == Counter(sent=2, failures=2)


def test_what_is_refused_or_too_old_is_lost() -> None:
    answers = {1: Outcome.REFUSED, 2: Outcome.AGAIN, 3: Outcome.SENT}
    outbox = Outbox[int]("test", lambda message: answers[message], give_up_s=0.05, pauses_s=FAST)
    for message in (1, 2, 3):
        outbox.add(message)
    until(lambda: outbox.counts["lost"] + outbox.counts["sent"] == 3)
    outbox.close(5)
    assert (outbox.counts["lost"], outbox.counts["sent"]) == (2, 1)


def test_a_receiver_that_hangs_holds_up_nobody_and_the_oldest_goes() -> None:
    ended = threading.Event()
    seen: list[int] = []

    def send(message: int) -> Outcome:
        seen.append(message)
        ended.wait(10)
        return Outcome.SENT

    outbox = Outbox("test", send, most=2)
    outbox.add(0)
    until(lambda: seen == [0])
    started = time.monotonic()
    for message in (1, 2, 3):
        outbox.add(message)
    assert time.monotonic() - started < 1.0
    assert outbox.counts["lost"] == 1
    ended.set()
    until(lambda: outbox.counts["sent"] == 3)
    outbox.close(5)
    assert seen == [0, 2, 3]


def test_closing_tries_once_more_and_no_longer_than_it_may() -> None:
    answers = [Outcome.AGAIN, Outcome.SENT]
    outbox = Outbox[str]("test", lambda _: answers.pop(0), pauses_s=(60.0, 60.0))
    outbox.add("first")
    until(lambda: outbox.counts["failures"] == 1)
    started = time.monotonic()
    outbox.close(5)
    assert time.monotonic() - started < 2.0
    assert outbox.counts["sent"] == 1
    outbox.add("too late")
    assert outbox.counts["lost"] == 1


def test_an_outbox_that_sent_nothing_closes() -> None:
    outbox = Outbox[str]("test", lambda _: Outcome.SENT)
    outbox.close(5)
    assert not outbox.is_alive()
