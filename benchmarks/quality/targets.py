"""What the tables should show, beside what they do show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.quality import cifar10, mnist
from benchmarks.quality.adaptive import Adaptive
from benchmarks.quality.chains import COMBINER, DEFAULT, DEFAULT_HARDENED, HARDENED, WITH_CONTRACT
from benchmarks.quality.judging import Judged
from benchmarks.quality.subject import Probe
from benchmarks.statistics import Rate

INSIDE_RANGE = ("one column of another row", "amounts swapped")  # shown, not promised: such rows may well be honest


@dataclass(frozen=True)
class Check:
    """One promise: the worst thing measured about it, and whether it is kept."""

    chain: str
    promise: str
    measured: str
    kept: bool


@dataclass(frozen=True)
class Table:
    """All lines and probes of one subject, and what was measured by attacks that know the chain."""

    lines: Sequence[Judged]
    probes: Sequence[Probe]
    adaptive: Sequence[Adaptive]

    def line(self, name: str) -> Judged | None:
        """By name."""
        return next((line for line in self.lines if line.name == name), None)

    def of(self, role: str) -> list[Probe]:
        """The probes of one role that have rows."""
        return [probe for probe in self.probes if probe.role == role and len(probe.x)]

    def best_alone(self, probe: Probe, flagged: bool = True) -> tuple[float, str]:
        """The highest share that one detector alone finds, and which."""
        shares = [(_rate(line, probe, flagged).share, line.name) for line in self.lines if line.alone]
        return max(shares, default=(float("nan"), "none"))


def checks(subject: str, table: Table) -> list[Check]:
    """The promises of this subject, for the default chain and for the combiner, alone and behind a contract."""
    makers: dict[str, Callable[[Table, Judged], Iterator[Check]]] = {
        "mnist": _mnist,
        "cifar10": _cifar10,
        "adult": _adult,
    }
    found: list[Check] = []
    for name in (DEFAULT, COMBINER, WITH_CONTRACT):
        line = table.line(name)
        if line is not None:
            found += makers[subject](table, line)
    return found + list(_hardening(table))


def _mnist(table: Table, line: Judged) -> Iterator[Check]:
    sure = [p for p in table.of("attack") if p.name == "C&W k=10"]
    others = [p for p in table.of("attack") if p not in sure]
    yield _least(line, others, True, 0.95, "every attack but C&W k=10 at least 95 % at 5 %")
    yield _least(line, sure, True, 0.85, "C&W k=10 at least 85 % at 5 %")
    yield _average(line, table.of("attack"), 0.9)
    yield from _pictures(table, line, mnist.COST)


def _cifar10(table: Table, line: Judged) -> Iterator[Check]:
    attacks = table.of("attack")
    gaps = [(_rate(line, p, True).share - table.best_alone(p)[0], p.name, table.best_alone(p)[1]) for p in attacks]
    gap, name, best = min(gaps)
    behind = f"{100 * gap:+.0f} ({name}, {best})"
    yield Check(line.name, "each attack within 5 points of the best single detector at 5 %", behind, gap >= -0.05)
    mean = line.mean(attacks, True)
    single, of = max((other.mean(attacks, True), other.name) for other in table.lines if other.alone)
    ahead = f"{100 * (mean - single):+.0f} (to {of})"
    yield Check(line.name, "on average 5 points above every single detector at 5 %", ahead, mean >= single + 0.05)
    weak = [p for p in attacks if p.name in ("PGD 2/255", "PGD 4/255")]
    yield _least(line, [p for p in attacks if p not in weak], True, 0.9, "aim: every other attack 90 % at 5 %")
    yield _least(line, weak, True, 0.5, "aim: PGD of 4/255 and below 50 % at 5 %")
    yield from _pictures(table, line, cifar10.COST)


def _pictures(table: Table, line: Judged, passes: float) -> Iterator[Check]:
    yield _least(line, table.of("outside"), False, 0.95, "out-of-domain at least 95 % at 1 %")
    for flagged, budget in ((True, 0.05), (False, 0.01)):
        worst = max(table.of("corrupted"), key=lambda p: _rate(line, p, flagged).share)
        rate = _rate(line, worst, flagged)
        promise = f"mild wear found at most twice the budget of {budget:.0%}"
        yield Check(line.name, promise, f"{rate.text()} ({worst.name})", rate.interval[0] <= 2 * budget)
    promise = f"at most {passes} forward passes a row"
    yield Check(line.name, promise, f"{line.passes:.2f}", line.passes <= passes)


def _adult(table: Table, line: Judged) -> Iterator[Check]:
    faults = [probe for probe in table.of("tampered") if probe.name not in INSIDE_RANGE]
    yield _least(line, faults, False, 0.95, "every fault at least 95 % at 1 %")


def _hardening(table: Table) -> Iterator[Check]:
    by_name = {line.chain: line for line in table.adaptive}
    for before, after in ((DEFAULT, DEFAULT_HARDENED), (COMBINER, HARDENED)):
        if before in by_name and after in by_name:
            was, now = by_name[before], by_name[after]
            text = f"{was.past.text()} past before, {now.past.text()} after"
            yield Check(after, "self-play lets fewer adaptive rows past at 5 %", text, now.past.share < was.past.share)


def _least(line: Judged, probes: Sequence[Probe], flagged: bool, least: float, promise: str) -> Check:
    if not probes:
        return Check(line.name, promise, "no rows", False)
    worst = min(probes, key=lambda probe: _rate(line, probe, flagged).share)
    rate = _rate(line, worst, flagged)
    return Check(line.name, promise, f"{rate.text()} ({worst.name})", rate.share >= least)


def _average(line: Judged, probes: Sequence[Probe], least: float) -> Check:
    mean = line.mean(probes, False)
    return Check(line.name, f"attacks on average at least {least:.0%} at 1 %", f"{100 * mean:.1f}", mean >= least)


def _rate(line: Judged, probe: Probe, flagged: bool) -> Rate:
    found = line.found[probe.name]
    return found.flagged if flagged else found.rejected
