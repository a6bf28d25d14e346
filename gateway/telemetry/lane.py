"""A bounded place to wait in, fair to principals. Putting costs a microsecond and waits for nobody."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Place(IntEnum):
    """What became of an item: taken whole, taken without its payload, or not taken."""

    WHOLE = 0
    BARE = 1
    REFUSED = 2


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that waits: items, rows, and payload bytes. `share` is the part of each one principal may fill."""

    items: int
    rows: int
    nbytes: int
    share: float = 0.5

    def of_one(self) -> Bounds:
        """What one principal may fill."""
        return Bounds(*(max(1, int(most * self.share)) for most in (self.items, self.rows, self.nbytes)))


@dataclass(slots=True)
class _Held:
    items: int = 0
    rows: int = 0
    nbytes: int = 0


class Lane(Generic[T]):
    """First in, first out. Over its share of bytes a principal's items lose their payload (`strip`); over its share
    of items or rows they are refused, so that one principal can't fill the lane for all.
    """

    def __init__(self, bounds: Bounds, strip: Callable[[T], T]) -> None:
        self._bounds = bounds
        self._mine = bounds.of_one()
        self._strip = strip
        self._queue: deque[tuple[T, str, int, int]] = deque()
        self._all = _Held()
        self._by_principal: dict[str, _Held] = {}
        self._lock = Lock()
        self.counts = [0, 0, 0]  # by Place

    def __len__(self) -> int:
        return len(self._queue)

    def has_room(self, principal: str) -> bool:
        """Whether one more row of this principal would be taken."""
        held = self._by_principal.get(principal)
        return _fits(self._all, self._bounds, 1) and (held is None or _fits(held, self._mine, 1))

    def resize(self, items: int) -> None:
        """From now on so many items may wait; what waits already stays."""
        if items != self._bounds.items:
            self._bounds = replace(self._bounds, items=items)
            self._mine = self._bounds.of_one()

    def put(self, item: T, principal: str, rows: int, nbytes: int) -> Place:
        """Takes the item, with or without its payload of `nbytes`, or refuses it."""
        with self._lock:
            held = self._by_principal.get(principal)
            if held is None:
                held = _Held()
            place = self._place(held, rows, nbytes)
            self.counts[place] += 1
            if place is Place.REFUSED:
                return place
            if place is Place.BARE:
                item, nbytes = self._strip(item), 0
            self._by_principal[principal] = held
            for counter in (held, self._all):
                counter.items += 1
                counter.rows += rows
                counter.nbytes += nbytes
            self._queue.append((item, principal, rows, nbytes))
            return place

    def take(self, limit: int) -> list[T]:
        """Up to `limit` of the oldest items."""
        taken: list[T] = []
        while self._queue and len(taken) < limit:
            with self._lock:  # one at a time: whoever puts never waits long
                item, principal, rows, nbytes = self._queue.popleft()
                held = self._by_principal[principal]
                for counter in (held, self._all):
                    counter.items -= 1
                    counter.rows -= rows
                    counter.nbytes -= nbytes
                if not held.items:
                    del self._by_principal[principal]
            taken.append(item)
        return taken

    def _place(self, held: _Held, rows: int, nbytes: int) -> Place:
        if not (_fits(self._all, self._bounds, rows) and _fits(held, self._mine, rows)):
            return Place.REFUSED
        over = self._all.nbytes + nbytes > self._bounds.nbytes or held.nbytes + nbytes > self._mine.nbytes
        return Place.BARE if over and nbytes else Place.WHOLE


def _fits(held: _Held, bounds: Bounds, rows: int) -> bool:
    """A single item larger than the bound is taken where nothing else waits: no verdict is lost to its size."""
    return held.items < bounds.items and (held.rows + rows <= bounds.rows or held.items == 0)
