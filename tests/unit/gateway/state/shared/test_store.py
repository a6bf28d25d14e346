"""What every shared store must do, whatever it is made of."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gateway.state.shared.store import Flush, Kept, SharedStore
from models.batch import Array
from tests.unit.gateway.state.shared.conftest import Open

KEY = "m/bundle/drift"


def sums(*values: int) -> Array:
    return np.array(values, dtype=np.int64)


def flush(sequence: int, bucket: int, *values: int, replica: str = "a", key: str = KEY) -> Flush:
    return Flush(replica, sequence, {(key, bucket): sums(*values)})


def all_sealed(store: SharedStore, key: str = KEY) -> dict[int, list[int]]:
    return {bucket: vector.tolist() for bucket, vector in store.sealed(key, -1)}


def test_time_is_near_the_hosts_and_does_not_go_back(store: SharedStore) -> None:
    times = [store.now() for _ in range(50)]
    assert times == sorted(times)
    assert abs(times[-1] - time.time()) < 1.0


def test_sums_add_up_over_replicas_and_are_read_once_sealed(opened: Open) -> None:
    one, other = opened(), opened()
    one.add(flush(1, 7, 2, -5, 0))
    other.add(flush(1, 7, 3, 1, 0, replica="b"))
    one.add(flush(2, 8, 1, 0, 9))
    assert all_sealed(one) == {}
    assert other.seal(KEY, 7) == 7
    assert all_sealed(one) == {7: [5, -4, 0]}
    assert one.seal(KEY, 8) == 8
    assert all_sealed(other) == {7: [5, -4, 0], 8: [1, 0, 9]}
    assert [bucket for bucket, _ in one.sealed(KEY, 7)] == [8]
    assert [bucket for bucket, _ in one.sealed(KEY, -1, limit=1)] == [7]
    assert [vector.dtype for _, vector in one.sealed(KEY, -1)] == [np.int64, np.int64]


def test_sums_are_exact_up_to_the_ends_of_64_bits(store: SharedStore) -> None:
    large, small = 2**63 - 1, -(2**63)
    store.add(flush(1, 0, 1, large - 3, small + 3, 2**53, -(2**53)))
    store.add(flush(2, 0, 1, 3, -3, 1, -1))
    store.seal(KEY, 0)
    assert all_sealed(store) == {0: [2, large, small, 2**53 + 1, -(2**53) - 1]}


def test_long_vectors_add_up(store: SharedStore) -> None:
    vectors = np.random.default_rng(0).integers(-(2**50), 2**50, size=(3, 5000))
    for sequence, vector in enumerate(vectors, 1):
        store.add(Flush("a", sequence, {(KEY, 3): vector}))
    store.seal(KEY, 3)
    ((_, found),) = store.sealed(KEY, -1)
    np.testing.assert_array_equal(found, vectors.sum(axis=0))


def test_a_flush_that_was_taken_changes_nothing(store: SharedStore) -> None:
    first = flush(1, 7, 2, 5)
    for each in (first, first, flush(3, 7, 1, 1), flush(2, 7, 9, 9), first):
        store.add(each)
    store.seal(KEY, 7)
    assert all_sealed(store) == {7: [3, 6]}


def test_a_flush_is_added_whole_or_not_at_all(store: SharedStore) -> None:
    store.add(Flush("a", 1, {(KEY, 1): sums(1, 1), ("other", 1): sums(1, 1, 1)}))
    with pytest.raises(ValueError, match="expected 3 numbers, found 2"):
        store.add(Flush("a", 2, {(KEY, 1): sums(1, 1), ("other", 1): sums(1, 1)}))
    store.add(Flush("a", 2, {(KEY, 1): sums(4, 4)}))
    for key in (KEY, "other"):
        store.seal(key, 1)
    assert all_sealed(store) == {1: [5, 5]}
    assert all_sealed(store, "other") == {1: [1, 1, 1]}


def test_what_comes_late_is_counted_and_kept_apart(store: SharedStore) -> None:
    store.add(flush(1, 5, 10, 1))
    store.seal(KEY, 6)
    store.add(flush(2, 5, 3, 2))
    store.add(flush(3, 6, 4, 3))
    store.add(flush(3, 6, 4, 3))
    assert all_sealed(store) == {5: [10, 1]}
    assert store.late_rows(KEY) == 7
    assert [(bucket, vector.tolist()) for bucket, vector in store.late(KEY, -1)] == [(5, [3, 2]), (6, [4, 3])]
    assert store.late_rows("nothing") == 0


def test_a_seal_never_goes_back(store: SharedStore) -> None:
    assert store.seal(KEY, 6) == 6
    assert store.seal(KEY, 4) == 6


def test_forgotten_buckets_take_no_more(store: SharedStore) -> None:
    for bucket in range(4):
        store.add(flush(bucket + 1, bucket, 1, bucket))
    store.seal(KEY, 1)
    store.add(flush(5, 1, 1, 1))
    store.forget(KEY, 2)
    store.add(flush(6, 0, 2, 2))
    store.seal(KEY, 3)
    assert all_sealed(store) == {2: [1, 2], 3: [1, 3]}
    assert store.late(KEY, -1) == []
    assert store.late_rows(KEY) == 3


def test_keys_do_not_mix(store: SharedStore) -> None:
    store.add(Flush("a", 1, {("m/one", 1): sums(1), ("m/one/more", 1): sums(2), ("*", 1): sums(3)}))
    store.seal("m/one", 1)
    assert all_sealed(store, "m/one") == {1: [1]}
    assert all_sealed(store, "m/one/more") == {}


def test_the_one_who_read_last_may_swap(opened: Open) -> None:
    one, other = opened(), opened()
    assert one.load("state") is None
    assert one.swap("state", 0, b"first")
    assert not other.swap("state", 0, b"also first")
    assert other.load("state") == Kept(1, b"first")
    assert other.swap("state", 1, b"\x00\xff second")
    assert not one.swap("state", 1, b"stale")
    assert one.load("state") == Kept(2, b"\x00\xff second")
    assert not one.swap("unknown", 3, b"")


def test_a_value_is_put_once_and_dropped_in_time(opened: Open) -> None:
    one, other = opened(), opened()
    assert one.put_once("alarm/a/2", b"\x00x", 60.0)
    assert not other.put_once("alarm/a/2", b"y", 60.0)
    assert other.put_once("alarm/a/1", b"z", 60.0)
    assert other.put_once("alarm/b/1", b"b", 60.0)
    assert other.put_once("alarm/a/3", b"short", 0.3)
    assert list(one.values("alarm/a/", "2")) == ["alarm/a/2", "alarm/a/3"]
    assert list(one.values("alarm/a/", limit=2)) == ["alarm/a/2", "alarm/a/3"]
    time.sleep(0.4)
    assert one.values("alarm/a/") == {"alarm/a/1": b"z", "alarm/a/2": b"\x00x"}
    assert one.values("other") == {}
    assert one.put_once("alarm/a/3", b"again", 60.0)


def test_a_lease_has_one_holder_until_it_ends(opened: Open) -> None:
    one, other = opened(), opened()
    assert one.lease("drift", "a", 60.0)
    assert not other.lease("drift", "b", 60.0)
    assert one.lease("drift", "a", 0.05)
    time.sleep(0.1)
    assert other.lease("drift", "b", 60.0)
    assert not one.lease("drift", "a", 60.0)
    assert other.lease("other", "b", 60.0)


def test_the_log_keeps_the_newest_and_not_too_long(opened: Open) -> None:
    one, other = opened(), opened()
    for start in range(0, 1000, 25):
        ids = range(start, start + 25)
        one.log("m", [(f"id{n}", bytes([n % 256])) for n in ids], 60.0, 64)
    found = other.logged("m", [f"id{n}" for n in range(1000)])
    assert 32 <= len(found) <= 64
    assert found["id999"] == bytes([999 % 256])
    assert min(found, key=lambda name: int(name[2:])) == f"id{1000 - len(found)}"
    assert other.logged("other", ["id999"]) == {}
    assert other.logged("m", []) == {}


def test_the_log_forgets_in_time(store: SharedStore) -> None:
    store.log("m", [("a", b"1")], 0.3, 10)
    store.log("m", [], 0.3, 10)
    assert store.logged("m", ["a"]) == {"a": b"1"}
    time.sleep(0.4)
    assert store.logged("m", ["a"]) == {}


def test_a_row_of_a_logged_id_is_claimed_once(opened: Open) -> None:
    one, other = opened(), opened()
    one.log("m", [("a", b"1"), ("b", b"2")], 60.0, 64)
    assert one.claim("m", [("a", 0), ("a", 1), ("a", 0), ("c", 0), ("b", 0)]) == [True, True, False, False, True]
    assert other.claim("m", [("a", 1), ("a", 2), ("b", 0)]) == [False, True, False]
    assert other.claim("other", [("a", 3)]) == [False]
    assert other.logged("m", ["a", "b"]) == {"a": b"1", "b": b"2"}
    for start in range(0, 300, 10):
        one.log("m", [(f"id{n}", b"") for n in range(start, start + 10)], 60.0, 64)
    assert other.claim("m", [("a", 9)]) == [False]
    many = [("id299", row) for row in range(1500)]
    assert one.claim("m", many) == [True] * 1500
    assert other.claim("m", many) == [False] * 1500
