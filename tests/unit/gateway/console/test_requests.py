from __future__ import annotations

import re
import time

import pytest

from gateway.console.source import Source
from gateway.state.record import Record
from gateway.telemetry.describe import describe
from tests.traffic import observe, wild
from tests.unit.gateway.console.conftest import HOSTILE
from tests.visitor import Visitor


def listed(page: str) -> list[str]:
    return re.findall(r'id="r-([0-9a-f]+)"', page)


def test_newest_first_and_without_clean_ones(client: Visitor, records: list[Record]) -> None:
    assert listed(client.get("/requests").text) == [record.id for record in reversed(records)]
    assert listed(client.get("/requests?verdict=error").text) == [records[2].id]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("endpoint=digits", [3, 2, 1, 0]),
        ("endpoint=other", []),
        ("stage=broken", [2]),
        ("verdict=flag&verdict=error", [2, 1]),
        ("principal=192.0.2.7", [2, 1, 0]),
        ("age=15m", [3, 2, 1, 0]),
        ("label=99", []),
        ("label=x&age=x&verdict=x", [3, 2, 1, 0]),
        ("digest=' OR 1 --", []),
    ],
)
def test_filters(client: Visitor, records: list[Record], query: str, found: list[int]) -> None:
    assert listed(client.get(f"/requests?{query}").text) == [records[i].id for i in found]


def test_a_search_for_one_leads_there(client: Visitor, records: list[Record]) -> None:
    answer = client.get(f"/requests?q={records[1].id[:9].upper()}")
    assert answer.url.path == f"/requests/{records[1].id}"
    assert listed(client.get("/requests?q=nothing to find").text) == []


def test_an_open_list_gets_news_only(client: Visitor, source: Source, records: list[Record]) -> None:
    page = client.get("/requests").text
    address = re.findall(r'hx-get="(/requests/rows[^"]*)"', page)[0].replace("&amp;", "&")
    assert client.get(address).status_code == 204
    new = describe(observe(wild(1)))
    with source.store() as store:
        store.write([new])
    news = client.get(address)
    assert news.status_code == 200
    assert listed(news.text)[0] == new.record.id
    assert "<html" not in news.text


def test_pages_follow_one_another(client: Visitor, source: Source, records: list[Record]) -> None:
    with source.store() as store:
        store.write([describe(observe(wild(1))) for _ in range(60)])
    first = client.get("/requests?verdict=reject").text
    older = re.findall(r'href="(/requests\?[^"]*after=[^"]*)"', first)[0].replace("&amp;", "&")
    second = client.get(older).text
    assert len(listed(first)) == 50
    assert len(set(listed(first) + listed(second))) == 62
    assert "hx-get" not in second
    assert client.get("/requests?after=0000").status_code == 404


def test_hostile_text_shows_as_text(client: Visitor, records: list[Record]) -> None:
    for path in (
        "/",
        "/requests",
        "/requests/rows?together=<script>alert(1)</script>",
        "/requests?together=principal",
        "/requests?together=digest",
        f"/requests/{records[3].id}",
        "/requests?principal=<script>alert(1)</script>",
        "/principals",
        "/principals?q=<script>alert(1)</script>&age='\"",
        "/drift?endpoint=<script>alert(1)</script>",
        "/calibration/<script>alert(1)</script>",
    ):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "\x1b" not in page
        assert "\u202e" not in page
    shown = client.get(f"/requests/{records[3].id}").text
    assert shown.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4  # principal, agent, route, caller's id
    assert HOSTILE not in shown


def test_an_open_list_hears_of_a_mark(client: Visitor, source: Source, records: list[Record]) -> None:
    address = re.findall(r'hx-get="(/requests/rows[^"]*)"', client.get("/requests").text)[0].replace("&amp;", "&")
    assert [client.get(address).status_code for _ in range(2)] == [204, 204]
    with source.store() as store:
        store.marks.put(records[0], "attack")
    assert '<span class="mark attack">' in client.get(address).text


def test_requests_are_put_together(client: Visitor, source: Source, records: list[Record]) -> None:
    with source.store() as store:
        store.write([describe(observe(wild(1), principal="many")) for _ in range(3)])
    page = client.get("/requests?together=principal").text
    assert re.findall(r'<td class="num">(\d+)</td>', page) == ["3", "1", "3"]  # the newest principal first
    assert 'href="/requests?principal=many"' in page
    assert "<script>alert" not in page
    same = client.get("/requests?together=digest&verdict=reject").text
    inside = re.findall(r'href="(/requests\?[^"]*digest=[0-9a-f]{64}[^"]*)"', same)[0].replace("&amp;", "&")
    assert len(listed(client.get(inside).text)) == 4  # the same input of two principals


def test_times_say_their_zone(client: Visitor, records: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        page = client.get("/requests").text
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "Times are in IST (UTC+05:30)." in page
    assert "Time, IST" in page
