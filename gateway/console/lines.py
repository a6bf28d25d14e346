"""The list's lines as markup, made once a request: what is kept of a request never changes, only an operator's mark."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from gateway.cli.since import local
from gateway.state.record import Trace

_MOST = 2000  # lines that are remembered, of a kilobyte or so

Draw = Callable[[Trace, str | None], Markup]
Fetch = Callable[[Sequence[str]], Mapping[str, Trace]]


class Lines:
    """Draws with `draw(trace, mark)`; the oldest are forgotten. Not for several threads at once."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._drawn: dict[tuple[str, str | None, str], Markup] = {}

    def of(self, ids: Sequence[str], marks: Mapping[str, str], fetch: Fetch) -> list[Markup]:
        """A line for each of the requests in their order; `fetch` is asked for those that were not drawn today."""
        today = local(time.time_ns(), "%Y-%m-%d")  # of another day the line says which
        keys = [(name, marks.get(name), today) for name in ids]
        missing = [key for key in keys if key not in self._drawn]
        if missing:
            found = fetch([name for name, _, _ in missing])
            for key in missing:
                if key[0] in found:  # else it has just been evicted
                    self._drawn[key] = self._draw(found[key[0]], key[1])
        lines = [self._drawn[key] for key in keys if key in self._drawn]
        while len(self._drawn) > _MOST:
            del self._drawn[next(iter(self._drawn))]
        return lines
