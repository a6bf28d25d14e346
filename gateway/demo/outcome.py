"""What was sent and what happened: counts, whether they are as promised, and the table that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from detectors.conformal import Cut, beta_binomial
from gateway.demo.client import Answer, Client
from gateway.demo.malformed import Malformed
from gateway.demo.traffic import EPSILON, STEPS, Group

UNLUCKY = 0.001  # how rarely a calibrated chain may fail the demo by chance


@dataclass(frozen=True, slots=True)
class Tally:
    """One kind of request and its fate. `wrong` counts answered rows whose class is not the true one."""

    name: str
    sent: int
    allowed: int
    flagged: int
    rejected: int
    refused: int
    failed: int
    wrong: int | None
    flagged_id: str | None = None
    rejected_id: str | None = None

    @property
    def counts(self) -> Mapping[str, Any]:
        """For the JSON document."""
        return {name: getattr(self, name) for name in (*COUNTS, "failed")}


COUNTS = ("name", "sent", "allowed", "flagged", "rejected", "refused", "wrong")


def ask(client: Client, group: Group) -> Tally:
    """Sends the group's rows, one a request."""
    return tally(group, [client.infer(row) for row in group.x])


def tally(group: Group, answers: Sequence[Answer]) -> Tally:
    """Counts the answers to the group's rows, in their order."""
    fates = [fate(answer) for answer in answers]
    wrong = None
    if group.y is not None:
        wrong = sum(a.label is not None and a.label != int(y) for a, y in zip(answers, group.y, strict=True))
    return _tally(group.name, answers, fates, wrong)


def ask_malformed(client: Client, requests: Sequence[Malformed]) -> tuple[Tally, list[str]]:
    """Sends them all; the names of those that were not refused with a 4xx come with the count."""
    answers = [client.send(request) for request in requests]
    fates = ["refused" if 400 <= answer.status < 500 else fate(answer) for answer in answers]
    let_in = [
        f"{request.name} ({answer.status})"
        for request, answer, what in zip(requests, answers, fates, strict=True)
        if what != "refused"
    ]
    return _tally("malformed requests", answers, fates, None), let_in


def fate(answer: Answer) -> str:
    """allowed, flagged, rejected, refused (4xx) or failed."""
    if answer.status == 200:
        return {"allow": "allowed", "flag": "flagged"}.get(answer.verdict or "", "rejected")
    if answer.status == 403:
        return "rejected"
    return "refused" if 400 <= answer.status < 500 else "failed"


def _tally(name: str, answers: Sequence[Answer], fates: Sequence[str], wrong: int | None) -> Tally:
    def first(what: str) -> str | None:
        return next((a.id for a, found in zip(answers, fates, strict=True) if found == what), None)

    number = {what: fates.count(what) for what in ("allowed", "flagged", "rejected", "refused", "failed")}
    return Tally(name, len(answers), **number, wrong=wrong, flagged_id=first("flagged"), rejected_id=first("rejected"))


def most_expected(k: int, n: int, rows: int) -> int:
    """The most of so many honest rows that fall below a cut that is the k-th smallest of n, but for bad luck.

    The number is beta-binomial: the cut itself is random.
    """
    below = np.cumsum(beta_binomial(k, n + 1 - k, rows))
    return min(int(np.searchsorted(below, 1.0 - UNLUCKY)), rows)


@dataclass(frozen=True, slots=True)
class Promise:
    """The budgets, and how many honest rows of those sent may be stopped before a budget counts as not kept."""

    flag_budget: float
    reject_budget: float
    flag: int
    reject: int

    @staticmethod
    def of(flag: Cut, reject: Cut, rows: int) -> Promise:
        """What the cuts promise for so many honest rows."""
        most = [most_expected(cut.k, cut.n, rows) for cut in (flag, reject)]
        return Promise(flag.budget, reject.budget, *most)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that was sent and what happened. The first tally is the honest rows'."""

    tallies: tuple[Tally, ...]
    malformed: Tally
    let_in: tuple[str, ...]
    promise: Promise

    @property
    def broken(self) -> list[str]:
        """What was not as promised, in words; empty when all is well."""
        honest, promise = self.tallies[0], self.promise
        stopped = honest.flagged + honest.rejected
        found = []
        if stopped > promise.flag:
            found.append(f"{stopped} honest rows were flagged or rejected, at most {promise.flag} were to be expected")
        if honest.rejected > promise.reject:
            found.append(f"{honest.rejected} honest rows were rejected, at most {promise.reject} were to be expected")
        if honest.failed or honest.refused:
            found.append(f"{honest.failed + honest.refused} honest rows got no verdict")
        if self.malformed.refused < self.malformed.sent:
            found.append(f"malformed and not refused: {', '.join(self.let_in)}")
        return found

    @property
    def flagged_id(self) -> str | None:
        """The id of a flagged request, an attack's where there is one."""
        return _first([*(tally.flagged_id for tally in self.tallies[1:]), self.tallies[0].flagged_id])

    @property
    def rejected_id(self) -> str | None:
        """The id of a rejected request, an attack's where there is one."""
        return _first([*(tally.rejected_id for tally in self.tallies[1:]), self.tallies[0].rejected_id])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "requests": [dict(tally.counts) for tally in (*self.tallies, self.malformed)],
            "budget": {"flag": self.promise.flag_budget, "reject": self.promise.reject_budget},
            "honest_at_most": {"flagged_or_rejected": self.promise.flag, "rejected": self.promise.reject},
            "as_promised": not self.broken,
            "broken": self.broken,
            "flagged_id": self.flagged_id,
            "rejected_id": self.rejected_id,
        }

    def table(self) -> Table:
        """What a terminal shows."""
        table = Table(box=SIMPLE_HEAD, padding=(0, 1))
        table.add_column("sent to the endpoint")
        for heading in COUNTS[1:]:
            table.add_column(heading, justify="right")
        for tally in (*self.tallies, self.malformed):
            cells = [getattr(tally, name) for name in COUNTS[1:]]
            table.add_row(tally.name, *("-" if cell is None else str(cell) for cell in cells))
        return table

    def lines(self) -> Iterator[str]:
        """What the table does not say by itself."""
        honest, promise = self.tallies[0], self.promise
        stopped = honest.flagged + honest.rejected
        yield (
            f"honest rows: {stopped} of {honest.sent} flagged or rejected (budget {promise.flag_budget:.0%}, at most "
            f"{promise.flag} but for bad luck), {honest.rejected} rejected (budget {promise.reject_budget:.0%}, "
            f"at most {promise.reject})"
        )
        yield "wrong: answered with another class than the true one (flagged rows are answered from cleaned input)"
        yield (
            f"PGD: Linf {EPSILON:g} of the gray scale, {STEPS} steps against the model; only rows that fool it are "
            "sent. The last kind also keeps every pixel in the range and on the levels that the contract has learned: "
            "an attacker who knows the guard gets further."
        )
        yield from (f"[bold red]NOT AS PROMISED: {what}[/]" for what in self.broken)


def _first(ids: Sequence[str | None]) -> str | None:
    return next((name for name in ids if name is not None), None)
