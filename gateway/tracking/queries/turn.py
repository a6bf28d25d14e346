"""Which of the waiting rows are looked at: all, up to a rate; beyond it, of every principal an equal share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.batch import Array

_BURST_S = 5.0  # of the rate that may have been saved up


class Turn:
    """Collects rows by endpoint and principal and hands them out in chunks. `rates` are rows a second, by endpoint."""

    def __init__(self, rates: Mapping[str, float]) -> None:
        self._rates = rates
        self._saved = {endpoint: rate * _BURST_S for endpoint, rate in rates.items()}
        self._last: float | None = None
        self._waiting: dict[str, dict[str, list[Array]]] = {}

    def add(self, endpoint: str, principal: str, x: Array) -> None:
        """A request's rows wait for the next turn."""
        self._waiting.setdefault(endpoint, {}).setdefault(principal, []).append(x)

    def chunks(self, now: float, most: int) -> tuple[list[tuple[str, list[str], Array]], int]:
        """Endpoint, principals and rows in chunks of at most `most`, and how many rows are left out."""
        for endpoint, rate in self._rates.items():
            earned = 0.0 if self._last is None else rate * (now - self._last)
            self._saved[endpoint] = min(self._saved[endpoint] + earned, rate * _BURST_S)
        self._last = now
        found: list[tuple[str, list[str], Array]] = []
        left_out = 0
        for endpoint, asked in self._waiting.items():
            names, parts = [], []
            for principal, shares in _shared(asked, int(self._saved[endpoint])):
                left_out += sum(map(len, asked[principal])) - sum(map(len, shares))
                parts += shares
                names += [principal] * sum(map(len, shares))
            self._saved[endpoint] -= len(names)
            found += _cut(endpoint, names, parts, most)
        self._waiting = {}
        return found, left_out


def _shared(asked: Mapping[str, list[Array]], rows: int) -> list[tuple[str, list[Array]]]:
    """The first rows of each principal, so many that all of them fit: who asks less than its share leaves more."""
    found = []
    for place, principal in enumerate(sorted(asked, key=lambda name: sum(map(len, asked[name])))):
        share = rows // (len(asked) - place)
        taken: list[Array] = []
        for x in asked[principal]:
            if share > 0:
                taken.append(x[:share])
                share -= len(taken[-1])
                rows -= len(taken[-1])
        found.append((principal, taken))
    return found


def _cut(endpoint: str, names: list[str], parts: list[Array], most: int) -> list[tuple[str, list[str], Array]]:
    """Chunks of rows of one shape: ragged requests are compared apart."""
    found = []
    for shape in dict.fromkeys(part.shape[1:] for part in parts):
        x = np.concatenate([part for part in parts if part.shape[1:] == shape])
        whose = []
        start = 0
        for part in parts:
            if part.shape[1:] == shape:
                whose += names[start : start + len(part)]
            start += len(part)
        found += [(endpoint, whose[at : at + most], x[at : at + most]) for at in range(0, len(x), most)]
    return found
