from __future__ import annotations

from gateway.telemetry.lane import Bounds, Lane, Place


def lane(items: int = 8, rows: int = 100, nbytes: int = 1000, share: float = 0.5) -> Lane[str]:
    return Lane(Bounds(items, rows, nbytes, share), str.lower)


def test_first_in_first_out() -> None:
    waiting = lane()
    for item in "ABC":
        assert waiting.put(item, item, 1, 10) is Place.WHOLE
    assert len(waiting) == 3
    assert waiting.take(2) == ["A", "B"]
    assert waiting.take(2) == ["C"]
    assert waiting.take(2) == []


def test_over_its_share_of_bytes_an_item_loses_its_payload() -> None:
    waiting = lane()
    assert waiting.put("A", "p", 1, 400) is Place.WHOLE
    assert waiting.put("B", "p", 1, 400) is Place.BARE
    assert waiting.put("C", "other", 1, 400) is Place.WHOLE
    assert waiting.take(9) == ["A", "b", "C"]
    assert waiting.put("D", "p", 1, 400) is Place.WHOLE


def test_over_its_share_of_items_a_principal_is_refused_and_others_are_not() -> None:
    waiting = lane(items=8)
    assert [waiting.put("A", "flooder", 1, 0) for _ in range(5)] == [Place.WHOLE] * 4 + [Place.REFUSED]
    assert not waiting.has_room("flooder")
    assert waiting.has_room("other")
    assert waiting.put("B", "other", 1, 0) is Place.WHOLE
    assert waiting.counts == [5, 0, 1]


def test_a_full_lane_has_room_for_nobody() -> None:
    waiting = lane(items=4)
    for number in range(4):
        waiting.put("A", f"p{number}", 1, 0)
    assert not waiting.has_room("another")
    assert waiting.put("B", "another", 1, 0) is Place.REFUSED
    waiting.take(1)
    assert waiting.has_room("another")


def test_a_lane_is_resized() -> None:
    waiting = lane(items=8)
    for number in range(6):
        waiting.put("A", f"p{number}", 1, 0)
    waiting.resize(4)
    assert not waiting.has_room("another")
    assert len(waiting.take(3)) == 3
    assert waiting.has_room("another")
    waiting.resize(100)
    assert [waiting.put("B", "p", 1, 0) for _ in range(51)] == [Place.WHOLE] * 50 + [Place.REFUSED]


def test_a_request_larger_than_the_bound_is_taken_once() -> None:
    waiting = lane(rows=10)
    assert waiting.put("A", "p", 64, 0) is Place.WHOLE
    assert waiting.put("B", "p", 64, 0) is Place.REFUSED
    waiting.take(1)
    assert waiting.put("B", "p", 64, 0) is Place.WHOLE
