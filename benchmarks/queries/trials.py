"""What is tried: single attackers, attackers with many keys, honest callers of several habits."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from benchmarks.data import Labeled
from benchmarks.queries.attackers import ATTACKS, Session, run, within
from benchmarks.queries.caller import Caller, Marked
from detectors.queries.likeness import Likeness
from detectors.queries.memory import Bounds, QueryMemory
from models.batch import Array

REST_S = 0.3  # between attacks: what one has used of the tracker's rate must not be missing to the next


@dataclass(frozen=True)
class Trial:
    """One attack: at which query its principal was marked (of those not sent before: `new`), and at which it succeeded.

    `asked` are all its queries, whatever came of them.
    """

    attack: str
    noise: int
    marked: int | None
    new: int | None
    late_s: float | None  # from the answer to the tenth query (or the last) to the mark; below 0: before
    succeeded: int | None
    asked: Array

    @property
    def in_time(self) -> bool:
        """Whether the mark was there before the query that succeeded was asked."""
        return self.marked is not None and (self.succeeded is None or self.marked < self.succeeded)


class Asked:
    """Asks over HTTP as a principal, and looks after each answer whether that is marked."""

    def __init__(self, caller: Caller, marked: Marked, names: list[str]) -> None:
        self._caller = caller
        self._marked = marked
        self._names = names
        self.count = 0
        self.at: dict[str, int] = {}  # principal to the query after whose answer its mark was there
        self.times: list[float] = []
        self.marked_s: float | None = None

    def __call__(self, row: Array) -> Array:
        """The logits of one row."""
        logits = self._caller.ask(row, self._names[self.count % len(self._names)])
        self.count += 1
        self.times.append(time.monotonic())
        self.look()
        return logits

    def look(self) -> None:
        """Notes who is marked now."""
        if len(self.at) < len(self._names):
            for name in self._marked.names().intersection(self._names) - self.at.keys():
                self.at[name] = self.count
                self.marked_s = self.marked_s or time.monotonic()

    def wait(self) -> None:
        """Goes on to look for a second after the tenth query: an attack may be over sooner."""
        while len(self.at) < len(self._names) and self.times and time.monotonic() < self.times[:10][-1] + 1.0:
            time.sleep(0.005)
            self.look()


def attacked(
    caller: Caller, marked: Marked, rows: Labeled, attack: str, noise: int, *, most: int, names: list[str], seed: int
) -> tuple[Trial, Asked]:
    """One attack on the first of `rows`, spread over the principals `names`."""
    ask = Asked(caller, marked, names)
    image, label = rows.x[0], int(rows.y[0])
    near = within(ATTACKS[attack][1])
    session = Session(ask, image, label, near, float(noise), most, np.random.default_rng(seed))
    run(attack, session)
    ask.wait()
    first = min(ask.at.values(), default=None)
    asked = np.stack(session.asked)
    new = None if first is None else len(np.unique(asked[:first].reshape(first, -1), axis=0))
    late = None
    if ask.marked_s is not None:
        late = ask.marked_s - ask.times[:10][-1]
    time.sleep(REST_S)
    return Trial(attack, noise, first, new, late, session.succeeded, asked), ask


def honest(caller: Caller, marked: Marked, x: Array, principals: int, rows_a_request: int) -> int:
    """Principals that are marked after these rows of as many principals were asked in turn."""
    before = marked.names()
    for number, start in enumerate(range(0, len(x), rows_a_request)):
        caller.ask(x[start : start + rows_a_request], f"honest {number % principals}")
    time.sleep(3.0)  # the tracker may still be looking
    return len({name for name in marked.names() - before if name.startswith("honest ")})


def habits(likeness: Likeness, rows: Labeled) -> dict[str, tuple[int, int]]:
    """By habit: callers that are marked, and callers; 20 of each, 200 rows a caller, without HTTP."""
    x = rows.x[:4000]
    by_class = rows.x[np.argsort(rows.y, kind="stable")]
    each = np.array_split(by_class, 20)
    kinds = {
        "rows as they come": [x[start::20][:200] for start in range(20)],
        "only one class each": [part[:200] for part in each],
        "every row sent three times": [np.repeat(x[start::20][:66], 3, axis=0) for start in range(20)],
        "every picture in 2 encodings": [encoded(x[start::20][:100], (0, 90)) for start in range(20)],
        "every picture in 3 encodings": [encoded(x[start::20][:66], (0, 90, 75)) for start in range(20)],
        "every picture in 5 encodings": [encoded(x[start::20][:40], (0, 95, 90, 85, 75)) for start in range(20)],
        "all pictures brighter by 0.2": [np.clip(x[start::20][:200] + 0.2, 0, 1) for start in range(20)],
        "all pictures inverted": [1.0 - x[start::20][:200] for start in range(20)],
    }
    return {habit: (_marked(likeness, callers), len(callers)) for habit, callers in kinds.items()}


def _marked(likeness: Likeness, callers: list[Array]) -> int:
    memory = QueryMemory(likeness, b"a secret")
    told = [memory.ask([str(number)] * len(x), x.astype(np.float32), 0.0) for number, x in enumerate(callers)]
    return sum(found.alike > 0 for each in told for found in each.values())


def encoded(x: Array, qualities: tuple[int, ...]) -> Array:
    """Every picture once for each JPEG quality, 0 for none, one after the other."""
    import io

    from PIL import Image

    found = []
    for row in x:
        for quality in qualities:
            if not quality:
                found.append(row)
                continue
            file = io.BytesIO()
            Image.fromarray(np.rint(row[0] * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
            found.append(np.asarray(Image.open(file), dtype=np.float32)[None] / 255)
    return np.stack(found)


def replayed(likeness: Likeness, trial: Trial, *, pooled: bool, hashed: bool) -> int | None:
    """At which query the same attack is found by one signature alone."""
    memory = QueryMemory(likeness, b"a secret", Bounds(everybody=0), pooled=pooled, hashed=hashed)
    for number, row in enumerate(trial.asked):
        if memory.ask(["one"], row[None], 0.0)["one"].alike:
            return number + 1
    return None


def cost(likeness: Likeness, x: Array) -> dict[str, float]:
    """Microseconds a row in the worker by rows compared at once, and bytes."""
    found = {}
    for chunk in (1, 16):
        memory = QueryMemory(likeness, b"a secret")
        names = [f"caller {number % 50}" for number in range(len(x))]
        memory.ask(names[:4000], x[:4000], 0.0)
        started = time.thread_time()
        for start in range(4000, len(x), chunk):
            memory.ask(names[start : start + chunk], x[start : start + chunk], 1.0)
        found[f"us_a_row_by_{chunk}"] = (time.thread_time() - started) / (len(x) - 4000) * 1e6
    found["bytes_a_signature"] = 4.0 * likeness.pooled.mixing.shape[1]
    found["mebibytes"] = memory.nbytes / 2**20
    return found
