"""What holds of every tail map, whatever the scores."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.calibration import CERTAIN, TailMap
from models.batch import Array

values = st.floats(-1e9, 1e9, width=32)
scores = hnp.arrays(np.float32, st.integers(1, 60), elements=values | st.integers(0, 3).map(float))
probes = hnp.arrays(np.float32, st.integers(1, 30), elements=values)


@given(scores, probes, st.floats(0.01, 1.0))
def test_a_tail_map_is_a_nonincreasing_probability(rank: Array, probe: Array, share: float) -> None:
    p = TailMap.fit(rank, share)(np.sort(np.concatenate([rank, probe])))
    assert (p > 0.0).all()
    assert (p <= share).all()
    assert (np.diff(p) <= 0.0).all()


@given(scores, probes)
def test_a_row_maps_the_same_alone_as_among_others(rank: Array, probe: Array) -> None:
    tail = TailMap.fit(rank)
    assert [float(tail(probe[i : i + 1])[0]) for i in range(len(probe))] == tail(probe).tolist()


@given(scores)
def test_a_score_above_all_seen_is_no_likelier_than_the_largest_seen(rank: Array) -> None:
    tail = TailMap.fit(rank)
    top = rank.max()
    above = tail(np.array([np.nextafter(top, np.float32(CERTAIN)), CERTAIN], dtype=np.float32))
    assert above[0] <= tail(np.array([top]))[0]
    assert above[1] == 0.0


@given(scores, st.floats(1e-12, 1.0))
def test_a_score_reaches_a_level_exactly_from_its_inverse_on(rank: Array, level: float) -> None:
    tail = TailMap.fit(rank)
    threshold = tail.inverse(level)
    probe = np.concatenate([rank, np.array([threshold], np.float32)]) if np.isfinite(threshold) else rank
    below = tail(probe) < level
    assert (below[probe >= threshold]).all()
    slack = tail(probe) < level * (1 - 1e-6)
    assert not slack[probe < threshold].any()
