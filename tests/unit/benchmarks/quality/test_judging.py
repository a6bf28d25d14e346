from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.detection.judging import Found
from benchmarks.quality.adaptive import Adaptive
from benchmarks.quality.chains import COMBINER, DEFAULT, HARDENED
from benchmarks.quality.judging import Judged, kin_left_out
from benchmarks.quality.report import cell
from benchmarks.quality.subject import Probe
from benchmarks.quality.targets import Check, Table, checks
from benchmarks.statistics import Rate

ROWS = np.zeros((100, 1), dtype=np.float32)
PROBES = [
    Probe("honest", "honest", ROWS),
    Probe("FGSM 8/255", "attack", ROWS, "FGSM", 100),
    Probe("PGD 4/255", "attack", ROWS, "PGD, APGD", 100),
    Probe("Square 8/255", "attack", ROWS, "Square", 100),
    Probe("noise", "corrupted", ROWS),
    Probe("one color", "outside", ROWS),
]


def line(name: str, percent: int, family: str | None = None, alone: bool = False) -> Judged:
    found = Found(Rate(percent, 100), Rate(percent, 100))
    return Judged(name, {probe.name: found for probe in PROBES}, 1.0, 0.0, (name,), (), family, alone)


def with_found(base: Judged, name: str, percent: int) -> Judged:
    return replace(base, found={**base.found, name: Found(Rate(percent, 100), Rate(percent, 100))})


def by_promise(found: list[Check], chain: str, start: str) -> Check:
    return next(check for check in found if check.chain == chain and check.promise.startswith(start))


def test_kin_left_out_takes_each_attack_from_the_chain_that_never_saw_its_kind() -> None:
    lines = [line(COMBINER, 90), line("a", 40, family="FGSM"), line("b", 30, family="PGD, APGD")]
    composed = kin_left_out(lines, PROBES)
    assert composed is not None
    shares = {name: found.flagged.k for name, found in composed.found.items()}
    expected = {"FGSM 8/255": 40, "PGD 4/255": 30, "Square 8/255": 90, "noise": 90, "one color": 90, "honest": 90}
    assert shares == expected


def test_without_such_chains_there_is_no_such_line() -> None:
    assert kin_left_out([line(COMBINER, 90)], PROBES) is None


def test_a_mean_counts_each_probe_once_and_none_without_rows() -> None:
    base = with_found(line(DEFAULT, 50), "PGD 4/255", 100)
    empty = replace(PROBES[1], x=ROWS[:0])
    assert base.mean([empty, *PROBES[2:4]], flagged=True) == pytest.approx(0.75)


def test_a_chain_is_compared_with_the_best_single_detector_of_each_attack() -> None:
    single = [with_found(line("margin", 10, alone=True), "Square 8/255", 80), line("energy", 40, alone=True)]
    found = checks("cifar10", Table([line(DEFAULT, 60), *single], PROBES, []))
    near = by_promise(found, DEFAULT, "each attack within 5")
    assert (near.kept, near.measured) == (False, "-20 (Square 8/255, margin)")
    ahead = by_promise(found, DEFAULT, "on average 5 points")
    assert (ahead.kept, ahead.measured) == (True, "+20 (to energy)")


def test_wear_may_be_found_up_to_twice_the_budget() -> None:
    for percent, kept in ((2, True), (40, False)):
        found = checks("mnist", Table([with_found(line(DEFAULT, 99), "noise", percent)], PROBES, []))
        assert by_promise(found, DEFAULT, "mild wear found at most twice the budget of 1%").kept is kept


def test_self_play_is_judged_by_the_rows_that_get_past() -> None:
    def past(chain: str, k: int) -> Adaptive:
        found, none = Found(Rate(0, 50), Rate(50 - k, 50)), Rate(0, 50)
        return Adaptive(chain, Rate(50, 50), found, Rate(k, 50), (), none, none, {})

    better = checks("adult", Table([], PROBES, [past(COMBINER, 40), past(HARDENED, 20)]))
    worse = checks("adult", Table([], PROBES, [past(COMBINER, 40), past(HARDENED, 45)]))
    assert [check.kept for check in (*better, *worse)] == [True, False]


def test_a_cell_states_its_interval() -> None:
    assert cell(Rate(50, 100)) == "50 [40-60]"
