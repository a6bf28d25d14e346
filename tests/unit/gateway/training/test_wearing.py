"""Wear as it could be sent, and what it does to tail maps and cuts."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.conformal import cut
from gateway.training.corruptions import kinds
from gateway.training.held import Held, lowered
from gateway.training.wearing import Wear
from models.batch import Batch
from tests import tiny


@pytest.mark.parametrize(
    "case", [tiny.image(), tiny.image("NHWC", "uint8"), tiny.series()], ids=["f32", "u8", "series"]
)
def test_worn_rows_are_as_could_be_sent_and_keep_their_class(case: tiny.Case) -> None:
    wear = Wear.learn(case.reference.view.batch, case.net, 0)
    assert wear is not None
    held = Held.of(case.rows, wear, case.net, 0)
    assert wear.kinds == kinds(case.spec)
    assert set(held.names) <= set(wear.kinds)
    assert len(held.names) >= 3
    assert held.batch.x.dtype == case.rows.x.dtype
    assert int(held.honest.sum()) == len(case.rows)
    if case.spec.bounds is not None:
        assert held.batch.x.min() >= case.spec.bounds.low
        assert held.batch.x.max() <= case.spec.bounds.high
    step = np.where(wear.step > 0.0, wear.step, np.nan)
    off = (held.batch.x - wear.origin) / step
    assert np.nanmax(np.abs(off - np.rint(off)), initial=0.0) < 1e-3
    made = wear.each(case.rows, case.net, 0)
    assert min(map(len, made.values())) >= 0.8 * len(case.rows)


def test_a_table_knows_no_wear() -> None:
    assert Wear.learn(tiny.table().reference.view.batch, tiny.table().net, 0) is None


def test_a_cut_is_lowered_for_the_wear_that_is_found_too_often_and_for_no_other() -> None:
    random = np.random.default_rng(0)
    honest, calm, odd = random.random(2000), random.random(1000), random.random(1000) ** 3
    kind = np.repeat([0, 1, 2], [2000, 1000, 1000])
    held = Held(Batch(np.zeros((4000, 1), dtype=np.float32)), kind, ("calm", "odd"))
    statistic = np.concatenate([honest, calm, odd])
    plain = cut(honest, 0.05)
    found = lowered(plain, held, statistic)
    assert found.spared == "odd"
    assert (odd < found.value).mean() == pytest.approx(0.1, abs=0.002)
    assert found.value < plain.value
    assert found.mean_rate == plain.mean_rate
    assert found.predicted(1000)[0] == 0
    without = Held(held.batch, np.minimum(kind, 1), ("calm",))
    assert lowered(plain, without, np.concatenate([honest, calm, calm])) is plain
