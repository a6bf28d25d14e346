"""What is kept of answers until their labels come."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from gateway.chain import Chain
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.store import StoreError
from gateway.tracking.feedback import answers
from gateway.tracking.feedback.answers import STOPPED, UNANSWERED, Answer, AnswerLog, answers_key, hashed
from gateway.tracking.feedback.config import FeedbackConfig
from gateway.tracking.seen import Seen
from gateway.verdict import Judged
from models.backend import Outputs
from models.batch import Array, Batch


def seen(number: int, logits: Array | None, principal: str = "a") -> Seen:
    rows = 1 if logits is None else len(logits)
    verdicts = Chain(None)._unjudged(rows)  # type: ignore[arg-type]
    outputs = None if logits is None else Outputs({}, logits, None)
    return Seen("m", principal, f"{number:032x}", Judged(Batch(np.zeros((rows, 2))), verdicts, outputs))


def log(**settings: float) -> AnswerLog:
    return AnswerLog({"m": ("v", FeedbackConfig.model_validate(settings))})


def found(store: SqliteShared, *numbers: int) -> dict[int, Answer]:
    packed = store.logged(answers_key("m"), [f"{number:032x}" for number in numbers])
    return {int(id_, 16): msgspec.msgpack.decode(each, type=Answer) for id_, each in packed.items()}


def test_of_each_row_the_class_and_how_sure_the_model_was(tmp_path: Path) -> None:
    store, kept = SqliteShared.open(tmp_path), log()
    kept.take([seen(1, np.array([[0.0, 5.0, 0.0], [1e30, -1e30, 0.0]])), seen(2, np.zeros((1, 3)), "b")])
    kept.take([seen(3, None)])  # refused before the model: nothing to label
    kept.close(0.0)
    kept.exchange(store)
    told = found(store, 1, 2, 3)
    assert told.keys() == {1, 2}
    assert np.frombuffer(told[1].classes, "<u2").tolist() == [1, 0]
    assert list(told[1].confidences) == [round(255 / (1 + 2 * np.exp(-5))), 255]
    assert list(told[2].confidences) == [85]
    assert (told[1].principal, told[2].principal, told[1].bundle) == (hashed("a"), hashed("b"), "v")
    assert all(len(msgspec.msgpack.encode(each)) < 60 for each in told.values())


def test_what_became_of_a_row_is_kept(tmp_path: Path) -> None:
    store, kept = SqliteShared.open(tmp_path), log()
    one = seen(1, np.zeros((3, 2)))
    one.judged.verdicts.actions[:] = [0, 1, 2]
    kept.take([one])
    kept.close(0.0)
    kept.exchange(store)
    assert list(found(store, 1)[1].fates) == [0, STOPPED, UNANSWERED]


def test_answers_wait_in_order_while_the_store_is_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_WAITING", 8)
    kept = log(most=100)
    for number in range(10):
        kept.take([seen(number, np.zeros((1, 2)))])
        kept.close(0.0)
    broken = SqliteShared.open(tmp_path)
    broken._db.execute("DROP TABLE log")
    with pytest.raises(StoreError):
        kept.exchange(broken)
    assert kept.stats() == {"answers_logged": 0, "answers_lost": 2}
    store = SqliteShared.open(tmp_path / "new")
    kept.exchange(store)
    assert sorted(found(store, *range(10))) == list(range(2, 10))
    assert kept.stats()["answers_logged"] == 8
