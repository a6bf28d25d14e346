"""Requests as the encoder takes them: together they add what their rows add alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.drift.encoder import Rows
from detectors.drift.sums import Sums
from gateway.tracking.drift.rows import Gathered, Summing, Watched, gather, pick
from models.backend import Outputs
from tests import drifting, watching

WATCHED = watching.watched()
ROWS = drifting.rows(300, 1)


def total(found: Gathered, watched: Watched = WATCHED) -> Sums:
    summing = Summing(watched)
    counted = summing.flagged(found.flagged_rows)
    return counted if found.allowed is None else counted + summing.allowed(found.allowed, found.allowed_rows)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_requests_of_any_size_add_what_their_rows_add_alone(sizes: list[int]) -> None:
    edges = np.minimum(np.cumsum([0, *sizes]), len(ROWS))
    parts = [ROWS.take(slice(a, b)) for a, b in pairwise(edges.tolist()) if a < b]
    expected = WATCHED.monitor.encoder.sums(ROWS.take(slice(0, int(edges[-1]))))
    assert total(gather([watching.judged(part) for part in parts], WATCHED)) == expected


def test_only_picked_rows_are_counted() -> None:
    picked = np.random.default_rng(0).random(len(ROWS)) < 0.3
    parts = [each.judged for each in watching.requests(ROWS, 7)]
    assert total(gather(parts, WATCHED, picked)) == WATCHED.monitor.encoder.sums(ROWS.take(picked))


@pytest.mark.parametrize("size", [1, 7, 300])
def test_picked_rows_are_found_in_the_requests_that_have_them(size: int) -> None:
    rows = np.random.default_rng(size).choice(len(ROWS), 60, replace=False)
    some, picked = pick([each.judged for each in watching.requests(ROWS, size)], rows)
    assert len(some) <= 60
    assert total(gather(some, WATCHED, picked)) == WATCHED.monitor.encoder.sums(ROWS.take(rows))


def test_an_endpoint_that_only_watches_counts_as_flagged_what_would_have_been() -> None:
    shadow = watching.judged(ROWS, shadow=True)
    assert not shadow.verdicts.actions.any()
    assert total(gather([shadow], WATCHED)) == WATCHED.monitor.encoder.sums(ROWS)


def test_the_answer_to_the_rows_as_they_came_counts_not_the_one_to_purified_rows() -> None:
    assert ROWS.logits is not None
    plain = watching.judged(ROWS)
    purified = replace(plain, outputs=Outputs({}, ROWS.logits + 1.0), before=plain.outputs)
    assert total(gather([purified], WATCHED)) == WATCHED.monitor.encoder.sums(ROWS)


def test_requests_of_which_no_row_was_answered_count_as_flagged() -> None:
    all_flagged = replace(ROWS, flagged=np.ones(len(ROWS), dtype=bool))
    found = gather([watching.judged(all_flagged)], WATCHED)
    assert (found.allowed, found.flagged_rows) == (None, len(ROWS))
    assert total(found) == WATCHED.monitor.encoder.sums(all_flagged)


def test_without_a_chain_nothing_is_flagged() -> None:
    reference = drifting.rows(2000, 0)
    encoder = type(WATCHED.monitor.encoder).fit(Rows(reference.columns, reference.logits))
    alone = watching.of(replace(WATCHED.monitor, encoder=encoder))
    rows = Rows(ROWS.columns, ROWS.logits)
    assert total(gather([watching.judged(ROWS, shadow=True)], alone), alone) == encoder.sums(rows)


@pytest.mark.parametrize(("every_s", "expected"), [(1.0, 1003), (10.0, 1000), (2.5, 1002)])
def test_a_bucket_is_the_second_in_which_it_began(every_s: float, expected: int) -> None:
    watched = watching.watched(every_s=every_s)
    assert watched.bucket(1003.9) == expected
    assert watched.ended(1003.9) < expected
    assert watched.ended(1003.9 + every_s) == expected
