"""`python -m benchmarks.sharing`: what it takes Redis and SQLite to add a replica's sums exactly; `--quick`: less."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import redis

from benchmarks import machine
from benchmarks.command import Run, main
from benchmarks.tables import table, write
from detectors.drift.cells import CELLS
from gateway.state.shared.redis import RedisShared
from gateway.state.shared.scripts import PLUS
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import Flush, SharedStore
from models.batch import Array
from tests.redisserver import RedisServer, running

NAME = "sharing"
SERIES, WAVES = 20, 128
ROWS = (10, 200, 5000)  # of a flush
HASH = """
for at, value in string.gmatch(ARGV[1], '#(%S+) (%S+)') do redis.call('HINCRBY', KEYS[1], at, value) end
"""
BITS = """
local args = {}
for at, value in string.gmatch(ARGV[1], '(%S+) (%S+)') do
  local n = #args
  args[n + 1], args[n + 2], args[n + 3], args[n + 4] = 'INCRBY', 'i64', at, value
end
redis.call('BITFIELD', KEYS[1], unpack(args))
"""
HALVES = f"""{PLUS}
local known = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], known and plus(known, ARGV[1]) or ARGV[1])
"""
DOUBLES = """
for at, value in string.gmatch(ARGV[1], '#(%S+) (%S+)') do
  local known = tonumber(redis.call('HGET', KEYS[1], at) or '0')
  redis.call('HSET', KEYS[1], at, string.format('%.0f', known + tonumber(value)))
end
"""


@dataclass(frozen=True)
class Way:
    """A way to add a vector in a script: how it is sent, and how the sums are read back."""

    name: str
    script: str
    sent: Callable[[Array], Any]
    read: Callable[[Any, str, int], Array]


def _fields(client: Any, key: str, length: int) -> Array:
    found = {int(at): int(value) for at, value in client.hgetall(key).items()}
    return np.array([found.get(at, 0) for at in range(length)])


def _packed(order: str) -> Callable[[Any, str, int], Array]:
    return lambda client, key, length: np.frombuffer(client.get(key), dtype=f"{order}i8").astype(np.int64)


def _told(vector: Array) -> str:
    """What is not 0, and the last number, which makes the sums long enough."""
    at = np.union1d(np.flatnonzero(vector), [len(vector) - 1])
    return " ".join(f"#{index} {value}" for index, value in zip(at.tolist(), vector[at].tolist(), strict=True))


WAYS = (
    Way("packed, 32-bit halves added in Lua (ours)", HALVES, lambda vector: vector.tobytes(), _packed("<")),
    Way("packed, BITFIELD INCRBY", BITS, _told, _packed(">")),
    Way("a field a number, HINCRBY", HASH, _told, _fields),
    Way("a field a number, added as Lua's doubles", DOUBLES, _told, _fields),
)


def vectors(rows: int, n: int) -> list[Array]:
    """What replicas send of so many rows each: counts of 20 series, and 128 large fixed-point sums."""
    rng = np.random.default_rng(rows)
    made = []
    for _ in range(n):
        counts = [rng.multinomial(rows, rng.dirichlet(np.ones(CELLS) / 2)) for _ in range(SERIES)]
        waves = rng.integers(-(2**54), 2**54, size=WAVES)  # of a long history: over what a double holds
        made.append(np.concatenate([[rows], *counts, waves]).astype(np.int64))
    return made


def measured(way: Way, server: RedisServer, sent: Sequence[Array]) -> dict[str, Any]:
    """Microseconds that the server and the whole call take, bytes a bucket, and whether the sums are exact."""
    client: Any = redis.Redis(port=server.port)
    key = f"sums {way.name} {len(sent)}"
    client.delete(key)
    script = client.register_script(way.script)
    before = time.perf_counter()
    packed = [way.sent(vector) for vector in sent]
    packing = (time.perf_counter() - before) / len(sent)
    script(keys=[key], args=[packed[0]])
    client.config_resetstat()
    started = time.perf_counter()
    for each in packed[1:]:
        script(keys=[key], args=[each])
    took = (time.perf_counter() - started) / (len(packed) - 1)
    exact = np.array_equal(way.read(client, key, len(sent[0])), np.sum(sent, axis=0))
    return {
        "way": way.name,
        "client_us": round(packing * 1e6, 1),
        "server_us": round(client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"], 1),
        "call_us": round(took * 1e6, 1),
        "sent_bytes": int(np.mean([len(each) for each in packed])),
        "kept_bytes": client.memory_usage(key),
        "exact": exact,
    }


def flushed(name: str, store: SharedStore, sent: Sequence[Array]) -> dict[str, Any]:
    """The whole of a flush, as a replica makes it, into one bucket after another."""
    taken = []
    for sequence, vector in enumerate(sent, 1):
        flush = Flush(name, sequence, {(name, sequence // 20): vector})
        started = time.perf_counter()
        store.add(flush)
        taken.append(time.perf_counter() - started)
    store.close()
    return {"store": name, "flush_us": round(float(np.median(taken)) * 1e6), "most_us": round(max(taken) * 1e6)}


def stores(folder: Path, server: RedisServer) -> Iterator[tuple[str, SharedStore]]:
    yield "SQLite, one file", SqliteShared.open(folder / "state")
    for appended in ("everysec", "always"):
        server.ask("CONFIG", "SET", "appendfsync", appended)
        yield f"Redis, appendfsync {appended}", RedisShared.open(server.url, "benchmark")


def measure(run: Run) -> Path:
    """Writes the result files; the page."""
    n = 40 if run.quick else 400
    adding, flushing = [], []
    with tempfile.TemporaryDirectory() as made, running(Path(made) / "redis") as server:
        server.ask("CONFIG", "SET", "appendfsync", "no")
        facts = {**run.facts, "redis": redis.Redis(port=server.port).info()["redis_version"]}
        for rows in ROWS:
            sent = vectors(rows, n)
            adding += [{"rows": rows, **measured(way, server, sent)} for way in WAYS]
        for name, store in stores(Path(made), server):
            flushing.append(flushed(name, store, vectors(200, n)))
    document = {"command": run.command, "facts": facts, "adding": adding, "flushing": flushing}
    return write(NAME, _page(document), document, run.folder)[0]


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    times = (f"{each[name]:,.0f}" for name in ("client_us", "server_us", "call_us"))
    sizes = (f"{each[name]:,}" for name in ("sent_bytes", "kept_bytes"))
    return (each["way"], f"{each['rows']:,}", *times, *sizes, "yes" if each["exact"] else "no")


def _page(document: dict[str, Any]) -> str:
    head = (
        "adding one flush to a bucket",
        "rows",
        "packing, µs",
        "server, µs",
        "call, µs",
        "sent, bytes",
        "kept, bytes",
    )
    adding = table((*head, "exact"), [_row(each) for each in document["adding"]])
    flushing = table(
        ("a whole flush of 200 rows", "median, µs", "slowest, µs"),
        [(each["store"], f"{each['flush_us']:,}", f"{each['most_us']:,}") for each in document["flushing"]],
    )
    facts = f"{machine.sentence(document['facts'])} Redis {document['facts']['redis']}."
    return (
        "# Sums that replicas share\n\n"
        f"`{document['command']}`: {facts}\n\n"
        f"A flush is {SERIES} series of {CELLS} cells and {WAVES} Fourier sums, whose numbers are beyond 2^53 here.\n\n"
        f"{adding}\n\n{flushing}\n"
    )


if __name__ == "__main__":
    sys.exit(main("benchmarks.sharing", __doc__, ("redis", "numpy"), measure))
