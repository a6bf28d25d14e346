"""`python -m benchmarks.console`: the time of every page over a full store, in a process of its own as in life."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from benchmarks.console import drifting
from gateway.configfile import read
from gateway.console.access import Access
from gateway.console.app import build
from gateway.console.source import Source
from gateway.state.record import Entry
from gateway.state.sqlite import SqliteStore
from gateway.state.store import Quota
from gateway.telemetry.describe import describe, facts_of
from tests.traffic import failed, info, observe, odd, wild
from tests.visitor import Visitor

CONFIG = f"endpoints: {{digits: {{model: {{kind: onnx, path: digits.onnx}}, reference: train.npz{drifting.CONFIG}}}}}\n"
LIMIT_MS = 200.0
_CHUNK = 500


def entries(count: int, now_ns: int) -> Iterator[Entry]:
    """So many stopped requests over a week, of many principals and a few stages; the rarest kind once in 1,000."""
    kinds = [describe(observe(wild(1))), describe(observe(odd(1))), describe(failed())]
    step_ns = 7 * 86_400 * 10**9 // count
    for i in range(count):
        kind = kinds[2 if i % 1000 == 0 else i % 2]
        record = msgspec.structs.replace(
            kind.record,
            id=f"{i * 2654435761 % 2**32:08x}{i:024x}",
            started_ns=now_ns - (count - i) * step_ns,
            ended_ns=now_ns - (count - i) * step_ns + 2_000_000,
            principal=f"10.0.{i % 40}.{i % 251}",
            digest=f"{i % 5000:064x}",
        )
        yield replace(kind, record=record)


def fill(folder: Path, count: int) -> str:
    """Fills the store; gives back the id of its newest request."""
    quota = Quota(max_requests=2 * count, max_bytes=2**33, principal_share=0.5)
    store = SqliteStore.open_for_writing(folder / "state", quota)
    store.describe_chain("digits", info().version, facts_of(info()))
    waiting: list[Entry] = []
    for entry in entries(count, time.time_ns()):
        waiting.append(entry)
        if len(waiting) == _CHUNK:
            store.write(waiting)
            waiting = []
    store.write(waiting)
    newest = store.find(limit=1)[0].record.id
    store.close()
    return newest


def pages(newest: str) -> dict[str, str]:
    """The address of every page, and of the lists that are hard to find."""
    return {
        "overview, 1 h": "/?range=1h",
        "overview, 3 days": "/?range=3d",
        "overview, refreshed": "/?range=3d&part=1",
        "requests": "/requests",
        "requests, refreshed": "/requests/rows",
        "requests of a rare verdict": "/requests?verdict=error",
        "requests of a principal": "/requests?principal=10.0.7.7",
        "requests of a class and stage": "/requests?label=1&stage=brightness",
        "requests of nobody": "/requests?principal=nobody",
        "requests together by principal": "/requests?together=principal",
        "requests together by input": "/requests?together=digest",
        "principals": "/principals",
        "drift, 1 h": "/drift",
        "drift, 24 h": "/drift?range=24h&class=1",
        "requests with the same input": f"/requests?digest={7:064x}",
        "search by id": f"/requests?q={newest[:12]}",
        "search for nothing": "/requests?q=ffffffffffffffff",
        "one request": f"/requests/{newest}",
        "its picture": f"/requests/{newest}/0/input.png",
        "its rows": f"/requests/{newest}/rows.npz",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=15)
    options = parser.parse_args()
    slow = 0
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        (folder / "watchgate.yaml").write_text(CONFIG)
        newest = fill(folder, options.requests)
        drifting.fill(folder)
        source = Source(read(folder / "watchgate.yaml"), folder / "watchgate.yaml")
        print(f"pages over {options.requests:,} stored requests, {options.times} times each, ms\n")
        print("| page | first | median | slowest | CPU |\n|---|---:|---:|---:|---:|")
        with Visitor(build(source, Access(None), sampling=False, kept_s=0.0), "http://127.0.0.1:3001") as visitor:
            for name, path in pages(newest).items():
                taken, spent = [], time.process_time()
                for _ in range(options.times):
                    started = time.perf_counter()
                    status = visitor.get(path).status_code
                    taken.append(1e3 * (time.perf_counter() - started))
                    assert status == 200, f"{path}: {status}"
                cpu_ms = 1e3 * (time.process_time() - spent) / options.times
                median = statistics.median(taken)
                print(f"| {name} | {taken[0]:.1f} | {median:.1f} | {max(taken[1:]):.1f} | {cpu_ms:.1f} |")
                slow += statistics.median(taken) > LIMIT_MS
        source.close()
    print(f"\n{slow} pages took longer than {LIMIT_MS:.0f} ms")
    return int(slow > 0)


raise SystemExit(main())
