from __future__ import annotations

import pytest

from gateway.console.totals import Totals, totals_of
from gateway.metrics.meter import LATENCY_S, Meter, Numbers, key
from models.batch import Batch
from tests.traffic import chain, odd, typical, wild


def meter() -> Meter:
    found = Meter("digits")
    for x, status in ((typical(3), 200), (odd(1), 200), (wild(2), 403)):
        found.judged(chain().run(Batch(x.copy())).verdicts)
        found.answered(status, 0.003)
    found.answered(503, 9.0)
    return found


def test_counters_become_totals() -> None:
    other: Numbers = {key("watchgate_rows_total", {"endpoint": "other", "action": "allow"}): 99}
    recorder = {key("watchgate_store_records_total", {"outcome": "lost"}): 2.0}
    found = totals_of({**meter().numbers(), **other, **recorder}, "digits")
    assert (found.requests, found.failed, found.rows, found.flagged, found.rejected) == (4, 1, 6, 1, 2)
    assert (found.suspicious, found.lost, sum(found.latency)) == (3, 2, 4)


def test_a_shadowing_endpoint_counts_what_it_would_have_done() -> None:
    watching = Meter("digits")
    watching.judged(chain(shadow=True).run(Batch(wild(2))).verdicts)
    found = totals_of(watching.numbers(), "digits")
    assert (found.rows, found.rejected) == (2, 2)


def test_differences_and_sums() -> None:
    one = totals_of(meter().numbers(), "digits")
    assert one.plus(one).since(one) == one
    assert one.since(Totals()) == one


def test_counters_that_began_anew_count_from_zero() -> None:
    before = Totals(requests=100, rows=100)
    after = Totals(requests=7, rows=7)
    assert after.since(before) == after


def test_quantiles_lie_in_their_bucket() -> None:
    latency = [0.0] * (len(LATENCY_S) + 1)
    latency[2], latency[5] = 98, 2  # up to 2 ms, up to 20 ms
    found = Totals(latency=tuple(latency))
    assert found.quantile_ms(0.5) == pytest.approx(1 + 50 / 98)
    assert found.quantile_ms(0.99) == pytest.approx(15)
    assert Totals().quantile_ms(0.5) is None
    beyond = Totals(latency=(*[0] * len(LATENCY_S), 3))
    assert beyond.quantile_ms(0.5) == 1e3 * LATENCY_S[-1]
