"""Who tells how often the model was right."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import Flush
from gateway.tracking.feedback.accuracy import AccuracyTeller, Labelled, points_key
from gateway.tracking.feedback.report import AccuracyStatus, accuracy_name, wilson

HOUR = 3600
LABELLED = Labelled("m", "v", None, HOUR)


def told(store: SqliteShared) -> AccuracyStatus:
    AccuracyTeller([LABELLED], 0.0).leave(store)
    kept = store.load(accuracy_name("m", "v"))
    assert kept is not None
    return msgspec.json.decode(kept.value, type=AccuracyStatus)


def add(store: SqliteShared, sequence: int, bucket: int, labels: int, correct: int) -> None:
    vector = np.array([labels, correct, 255 * labels], dtype=np.int64)
    store.add(Flush("a", sequence, {(points_key("m", "v"), bucket): vector}))


def test_labels_add_up_by_the_hour_their_rows_were_answered_in(tmp_path: Path) -> None:
    store = SqliteShared.open(tmp_path)
    now = int(store.now() // HOUR * HOUR)
    add(store, 1, now - 5 * HOUR, 10, 9)
    add(store, 2, now, 4, 4)
    first = told(store)
    add(store, 3, now - 5 * HOUR, 10, 7)  # of an hour that was told already
    add(store, 4, now - 9 * HOUR, 1, 0)
    second = told(store)
    assert (first.labels, first.correct) == (14, 13)
    assert [(point.since_s, point.labels, point.correct) for point in second.points] == [
        (now - 9 * HOUR, 1, 0),
        (now - 5 * HOUR, 20, 16),
        (now, 4, 4),
    ]
    assert (second.labels, second.correct, second.accuracy) == (25, 20, 0.8)
    assert (second.low, second.high) == wilson(20, 25)
    assert (second.expected, second.series, second.drifted) == (None, (), False)


def test_points_stay_when_their_sums_are_gone(tmp_path: Path) -> None:
    store = SqliteShared.open(tmp_path)
    now = int(store.now() // HOUR * HOUR)
    add(store, 1, now - 5 * HOUR, 10, 9)
    told(store)
    store.forget(points_key("m", "v"), now)
    add(store, 2, now, 2, 2)
    assert [(point.labels, point.correct) for point in told(store).points] == [(10, 9), (2, 2)]


def test_nothing_is_told_before_labels_came_and_one_tells(tmp_path: Path) -> None:
    store = SqliteShared.open(tmp_path)
    teller = AccuracyTeller([LABELLED])
    teller.exchange(store)
    assert store.load(accuracy_name("m", "v")) is None
    add(store, 1, int(store.now() // HOUR * HOUR), 1, 1)
    AccuracyTeller([LABELLED]).exchange(store)  # another has the lease
    assert store.load(accuracy_name("m", "v")) is None
    teller.leave(store)
    assert store.load(accuracy_name("m", "v")) is not None
    assert teller.stats() == {}


@pytest.mark.parametrize("correct", [0, 5])
def test_all_right_and_all_wrong_have_an_interval(tmp_path: Path, correct: int) -> None:
    store = SqliteShared.open(tmp_path)
    add(store, 1, int(store.now() // HOUR * HOUR), 5, correct)
    found = told(store)
    assert found.accuracy == correct / 5
    assert 0.0 <= found.low < found.high <= 1.0
