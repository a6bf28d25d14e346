"""The same rows in the same buckets give the same integers and alarms, whoever counts them and in whatever pieces."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.drift.encoder import Encoder, Rows
from detectors.drift.monitor import Monitor
from detectors.drift.projection import Projection
from detectors.drift.sums import Sums
from models.batch import Array
from tests import drifting

ROWS, BUCKETS = 240, 6


@lru_cache
def features() -> tuple[Encoder, Rows]:
    """An encoder of features, and rows to count."""
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(20, 40)).astype(np.float32)
    made = [(rng.normal(size=(n, 20)).astype(np.float32) @ mixed) for n in (500, 500, ROWS)]
    logits = [(part[:, :5] / 3.0) for part in made]
    reference = Rows(made[1], logits[1], rng.random(500) < 0.1)
    encoder = Encoder.fit(reference, projection=Projection.fit(made[0]))
    return encoder, Rows(made[2], logits[2], rng.random(ROWS) < 0.1)


@lru_cache
def table() -> tuple[Monitor, Rows]:
    return drifting.monitor(level=2.0), drifting.rows(ROWS, 3, shift=0.8)


def pieces(order: list[int], cuts: list[int]) -> list[Array]:
    edges = sorted({0, *cuts, len(order)})
    return [np.array(order[start:stop]) for start, stop in pairwise(edges)]


def counted(encoder: Encoder, rows: Rows, parts: list[Array], bucket: Array) -> list[Sums]:
    """Sums a bucket: every piece of rows is cut at bucket edges, as a replica's batch is."""
    held = [encoder.zero() for _ in range(BUCKETS)]
    for part in parts:
        for number in np.unique(bucket[part]):
            held[number] += Sums.from_bytes(encoder.sums(rows.take(part[bucket[part] == number])).to_bytes())
    return held


interleaved = given(
    order=st.permutations(range(ROWS)),
    cuts=st.lists(st.integers(1, ROWS - 1), max_size=60),
    seed=st.integers(0, 100),
)


@settings(max_examples=25, deadline=None)
@interleaved
def test_sums_of_features_are_the_same_integers(order: list[int], cuts: list[int], seed: int) -> None:
    encoder, rows = features()
    bucket = np.random.default_rng(seed).integers(BUCKETS, size=ROWS)
    whole = counted(encoder, rows, [np.arange(ROWS)], bucket)
    assert counted(encoder, rows, pieces(order, cuts), bucket) == whole
    assert sum(one.rows for one in whole) == ROWS


@settings(max_examples=15, deadline=None)
@interleaved
def test_alarms_are_the_same(order: list[int], cuts: list[int], seed: int) -> None:
    monitor, rows = table()
    bucket = np.sort(np.random.default_rng(seed).integers(BUCKETS, size=ROWS))
    told = []
    for parts in ([np.arange(ROWS)], pieces(order, cuts)):
        state, alarms = monitor.start(), []
        for number, sums in enumerate(counted(monitor.encoder, rows, parts, bucket)):
            folded = monitor.fold(state, number, sums)
            state = folded.state
            alarms.append((folded.readings, folded.started, folded.ended))
        told.append(alarms)
    assert told[0] == told[1]
    assert any(started for _, started, _ in told[0])


def test_a_row_alone_counts_as_it_does_among_others() -> None:
    encoder, rows = features()
    alone = [encoder.sums(rows.take(np.array([row]))) for row in range(ROWS)]
    assert sum(alone, start=encoder.zero()) == encoder.sums(rows)
