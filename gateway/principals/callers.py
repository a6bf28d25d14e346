"""Who asks: what each principal asked, what of it was stopped, and why it is marked. For pages and for commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.config import Config
from gateway.state.lists import Caller as Kept
from gateway.state.principals.measures import Measure
from gateway.state.principals.store import Mark

FEWEST_CLEAN = 5  # kept clean requests below which shares that rest on a sample of them say too little


@dataclass(frozen=True, slots=True)
class Caller:
    """One principal. `asked` are rows that the memory of queries was given, ever; None where nobody counts them.

    `kept` are its requests in the trace store: all flagged, rejected and failed ones, and of clean ones the share
    `sample_clean`. `step` is what its mark brings now. `measures` tell how its
    queries are spread, endpoint by endpoint.
    """

    name: str
    kept: Kept
    sample_clean: float
    asked: int | None = None
    mark: Mark | None = None
    step: str | None = None
    measures: tuple[Measure, ...] = ()

    @property
    def stopped(self) -> int:
        """Requests flagged or rejected."""
        return self.kept.count("flag") + self.kept.count("reject")

    @property
    def measure(self) -> Measure | None:
        """Of the endpoint that it asks most; None where queries are not measured."""
        return max(self.measures, key=lambda each: each.rows, default=None)

    @property
    def requests(self) -> float | None:
        """Requests it sent: estimated, where clean ones are sampled; None where too few of them were kept for that."""
        clean, failed = self.kept.count("allow"), self.kept.count("error")
        if self.sample_clean < 1.0 and clean < FEWEST_CLEAN:
            return None
        return self.stopped + failed + clean / self.sample_clean

    def share(self, which: str) -> float | None:
        """The share of its requests that were flagged (rejected ones counted in) or rejected; None where unknown."""
        hits = self.stopped if which == "flag" else self.kept.count("reject")
        return hits / self.requests if self.requests else None


def callers(
    config: Config,
    marks: Mapping[str, Mark],
    queries: Mapping[str, int],
    kept: Mapping[str, Kept],
    measures: Sequence[Measure] = (),
) -> list[Caller]:
    """Marked principals first, those with most like queries before others; then by what was stopped, then as they came.

    `queries` are rows by principal, the latest to ask first; `kept` the trace store's requests.
    """
    spread: dict[str, list[Measure]] = {}
    for each in measures:
        spread.setdefault(each.principal, []).append(each)
    found = [
        Caller(
            name,
            kept.get(name, Kept()),
            config.telemetry.sample_clean,
            queries.get(name),
            marks.get(name),
            None if name not in marks else step(config, marks[name]),
            tuple(spread.get(name, ())),
        )
        for name in _names(marks, queries, kept, spread)
    ]
    return sorted(found, key=lambda one: (one.mark is None, -(one.mark.alike if one.mark else 0), -one.stopped))


def step(config: Config, mark: Mark) -> str | None:
    """What the mark brings now: flag, slow, coarsen or refuse; None where its endpoint's config no longer says."""
    endpoint = config.endpoints.get(mark.endpoint)
    return None if endpoint is None or endpoint.queries is None else endpoint.queries.step(mark.alike)


def _names(*sources: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for source in sources for name in source))
