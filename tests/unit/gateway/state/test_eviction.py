from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from gateway.state.record import Entry
from gateway.state.sqlite import FILE, SqliteStore
from gateway.state.store import Filter, Quota
from gateway.telemetry.describe import describe
from tests.traffic import observe, typical, wild


def rejected(principal: str, seed: int = 0, side: int = 4) -> Entry:
    """A rejected request's entry with a payload of its own, hardly compressible."""
    entry = describe(observe(wild(1), principal=principal))
    noise = np.random.default_rng(seed).integers(0, 256, size=(1, side, side), dtype=np.uint8)
    return replace(entry, arrays={"input": noise})


def held(store: SqliteStore, principal: str) -> list[str]:
    return [trace.record.id for trace in store.find(Filter(principal=principal), limit=10_000)]


def test_over_its_share_a_principals_own_oldest_go(tmp_path: Path) -> None:
    store = SqliteStore.open_for_writing(tmp_path, Quota(max_requests=100, principal_share=0.1))
    attack = rejected("attacker")
    store.write([attack])
    flood = [rejected("flooder", seed) for seed in range(60)]
    for start in range(0, 60, 20):
        store.write(flood[start : start + 20])
    assert held(store, "attacker") == [attack.record.id]
    assert held(store, "flooder") == [entry.record.id for entry in reversed(flood[-10:])]
    store.close()


def test_bytes_take_payloads_before_records(tmp_path: Path) -> None:
    store = SqliteStore.open_for_writing(tmp_path, Quota(max_bytes=300_000, principal_share=0.1))
    flood = [rejected("flooder", seed, side=64) for seed in range(12)]
    store.write(flood)
    traces = store.find(limit=100)
    assert len(traces) == 12
    kept = [trace.payload for trace in traces]
    assert kept[0] == "kept"
    assert kept[-1] == "evicted"
    assert kept == sorted(kept, reverse=True)  # the newest ones have theirs
    assert store.arrays(traces[-1].record.id) == {}
    store.close()


def test_a_payload_larger_than_a_share_is_not_taken(tmp_path: Path) -> None:
    store = SqliteStore.open_for_writing(tmp_path, Quota(max_bytes=100_000, principal_share=0.1))
    small, large = rejected("p", 1, side=8), rejected("p", 2, side=200)
    store.write([small, large])
    assert [trace.payload for trace in store.find()] == ["quota", "kept"]
    store.close()


def test_shared_payloads_go_with_their_last_request(tmp_path: Path) -> None:
    store = SqliteStore.open_for_writing(tmp_path, Quota(max_requests=20, principal_share=0.1))
    store.write([rejected("a", 7), rejected("b", 7)])
    store.write([rejected("a", 8), rejected("a", 9)])  # pushes out the first
    (trace,) = store.find(Filter(principal="b"))
    assert len(store.arrays(trace.record.id)) == 1
    store.write([rejected("b", 10), rejected("b", 11)])
    db = sqlite3.connect(tmp_path / FILE)
    assert db.execute("SELECT count(*) FROM payloads").fetchone()[0] == 4
    assert db.execute("SELECT count(*) FROM captures").fetchone()[0] == 4
    db.close()
    store.close()


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    store = SqliteStore.open_for_writing(tmp_path, Quota(max_age_s=60.0))
    now = time.time_ns()
    old, new = (describe(observe(wild(1), started_ns=now - age * 10**9)) for age in (120, 5))
    store.write([old])
    assert held(store, "192.0.2.7") == []
    later = SqliteStore.open_for_writing(tmp_path, Quota(max_age_s=1.0))
    store.write([new])
    later.tidy()
    assert held(store, "192.0.2.7") == []
    later.close()
    store.close()


def test_clean_requests_never_displace_verdicts(tmp_path: Path) -> None:
    store = SqliteStore.open_for_writing(tmp_path, Quota(max_requests=100, principal_share=0.99))
    verdicts = [rejected(f"p{number % 10}", number) for number in range(80)]
    store.write(verdicts)
    for _ in range(3):
        store.write([describe(observe(typical(1), principal="honest")) for _ in range(40)])
    assert len(store.find(Filter(verdicts=("reject",)), limit=1000)) == 80
    assert len(store.find(Filter(verdicts=("allow",)), limit=1000)) == 10
    store.close()


def test_many_principals_together_give_way_largest_first(tmp_path: Path) -> None:
    store = SqliteStore.open_for_writing(tmp_path, Quota(max_requests=50, principal_share=0.3))
    attack = [rejected("attacker", seed) for seed in range(3)]
    store.write(attack)
    for number in range(8):  # each within its share of 15, together far over 45
        store.write([rejected(f"bot{number}", seed) for seed in range(14)])
    assert len(held(store, "attacker")) == 3
    assert len(store.find(limit=1000)) == 45
    store.close()


def test_the_books_are_right_after_evictions(tmp_path: Path) -> None:
    store = SqliteStore.open_for_writing(tmp_path, Quota(max_requests=30, max_bytes=60_000, principal_share=0.3))
    rng = np.random.default_rng(0)
    for seed in range(40):
        store.write([rejected(f"p{rng.integers(4)}", seed, side=int(rng.integers(4, 40)))])
    db = sqlite3.connect(tmp_path / FILE)
    counted = db.execute(
        "SELECT lane, principal, count(*), sum(record_bytes + payload_bytes) FROM requests GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    assert db.execute("SELECT * FROM usage ORDER BY lane, principal").fetchall() == counted
    total = db.execute("SELECT count(*), sum(record_bytes + payload_bytes) FROM requests").fetchone()
    assert db.execute("SELECT records, bytes FROM totals WHERE lane = 0").fetchone() == total
    stored = db.execute("SELECT coalesce(sum(length(data)), 0) FROM payloads").fetchone()[0]
    assert stored == db.execute("SELECT sum(payload_bytes) FROM requests").fetchone()[0]
    db.close()
    store.close()


def test_records_alone_obey_the_bytes_too(tmp_path: Path) -> None:
    store = SqliteStore.open_for_writing(tmp_path, Quota(max_bytes=40_000, principal_share=0.5))
    entry = describe(observe(wild(1)))
    bare = [Entry(msgspec.structs.replace(entry.record, id=f"{n:032x}")) for n in range(100)]
    store.write(bare)
    size = len(entry.record.to_json()) + 300
    assert len(store.find(limit=1000)) == 20_000 // size
    store.close()
