from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.state.record import Entry
from gateway.state.sqlite import SqliteStore
from gateway.state.store import EVERYTHING, Filter, Quota
from gateway.telemetry.describe import describe
from gateway.telemetry.lane import Bounds, Lane, Place
from tests.traffic import observe, wild


@cache
def model() -> Entry:
    return describe(observe(wild(1)))


def entry(number: int, principal: str, side: int) -> Entry:
    record = msgspec.structs.replace(model().record, id=f"{number:032x}", principal=principal)
    noise = np.random.default_rng(number).integers(0, 256, size=(1, side, side), dtype=np.uint8)
    return Entry(record, "kept", {"input": noise})


@settings(max_examples=25, deadline=None)
@given(
    others=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 40)), max_size=20),
    flood=st.lists(st.integers(1, 60), min_size=1, max_size=80),
    batch=st.integers(1, 30),
    where=st.integers(0, 20),
)
def test_a_flooder_pushes_out_nobody_but_itself(
    others: list[tuple[str, int]], flood: list[int], batch: int, where: int
) -> None:
    """Four principals within their shares and one flooder: what the four wrote stays, payloads too."""
    traffic = [("flooder", side) for side in flood]
    traffic[where:where] = others
    entries = [entry(number, *who) for number, who in enumerate(traffic)]
    share = 22  # more than any of the four writes: none is over its own share
    quota = Quota(max_requests=int(share / 0.15) + 1, max_bytes=2**20, principal_share=0.15)
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore.open_for_writing(Path(folder), quota)
        for start in range(0, len(entries), batch):
            store.write(entries[start : start + batch])
        for one in entries:
            if one.record.principal != "flooder":
                assert store.get(one.record.id).payload == "kept"
                np.testing.assert_array_equal(store.arrays(one.record.id)["input"], one.arrays["input"])
        mine = [trace.record.id for trace in store.find(Filter(principal="flooder"), limit=1000)]
        sent = [one.record.id for one in entries if one.record.principal == "flooder"]
        assert mine == sent[::-1][: len(mine)], "its own oldest went first"
        assert len(mine) == min(len(sent), share)
        store.close()


@settings(max_examples=25, deadline=None)
@given(
    traffic=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 90)), min_size=1, max_size=120),
    requests=st.integers(1, 60),
    kilobytes=st.integers(2, 200),
    share=st.floats(0.05, 0.95),
)
def test_the_store_never_exceeds_its_quota(
    traffic: list[tuple[str, int]], requests: int, kilobytes: int, share: float
) -> None:
    quota = Quota(max_requests=requests, max_bytes=kilobytes * 1000, principal_share=share)
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore.open_for_writing(Path(folder), quota)
        entries = [entry(number, *who) for number, who in enumerate(traffic)]
        for start in range(0, len(entries), 7):
            store.write(entries[start : start + 7])
            records, size = store._db.execute("SELECT sum(records), sum(bytes) FROM totals").fetchone()
            assert records <= requests
            assert size <= kilobytes * 1000
        assert len(store.find(EVERYTHING, limit=1000)) == records
        held = sum(len(data) for (data,) in store._db.execute("SELECT data FROM payloads"))
        assert held <= size
        store.close()


Move = tuple[str, int, int]
MOVES = st.lists(
    st.one_of(st.tuples(st.sampled_from("abc"), st.integers(1, 8), st.integers(0, 500)), st.integers(1, 6)),
    max_size=120,
)


@given(moves=MOVES)
def test_a_lane_loses_nothing_it_took(moves: list[Move | int]) -> None:
    """What was taken comes out once and in order; nothing is refused below the bounds; payloads stay within theirs."""
    bounds = Bounds(items=12, rows=40, nbytes=1000, share=0.5)
    waiting: Lane[tuple[int, str, int, bool]] = Lane(bounds, lambda item: (item[0], item[1], item[2], False))
    inside: list[tuple[int, str, int, int]] = []
    for number, move in enumerate(moves):
        if isinstance(move, int):
            assert [item[0] for item in waiting.take(move)] == [item[0] for item in inside[:move]]
            del inside[:move]
            continue
        principal, rows, nbytes = move
        mine = [item for item in inside if item[1] == principal]
        fits = len(inside) < 12 and (not inside or sum(item[2] for item in inside) + rows <= 40)
        fits = fits and len(mine) < 6 and (not mine or sum(item[2] for item in mine) + rows <= 20)
        place = waiting.put((number, principal, rows, True), principal, rows, nbytes)
        assert (place is not Place.REFUSED) == fits
        if fits:
            inside.append((number, principal, rows, nbytes if place is Place.WHOLE else 0))
        assert sum(item[3] for item in inside) <= 1000
        assert len(waiting) == len(inside)
