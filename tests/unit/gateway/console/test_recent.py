from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.console.access import Access
from gateway.console.app import build
from gateway.console.source import Source
from gateway.state.record import Record
from gateway.telemetry.describe import describe
from tests.traffic import observe, wild
from tests.unit.gateway.console.test_gate import TOKEN, key_in
from tests.unit.gateway.console.test_requests import listed
from tests.visitor import Visitor


@pytest.fixture
def patient(source: Source) -> Iterator[Visitor]:
    """A browser of a console that keeps its pages for a minute."""
    app = build(source, Access(None), sampling=False, kept_s=60.0)
    with Visitor(app, base_url="http://127.0.0.1:3001") as client:
        yield client


def test_a_page_is_made_once_for_fast_reloads(patient: Visitor, source: Source, records: list[Record]) -> None:
    first = patient.get("/requests")
    with source.store() as store:
        store.write([describe(observe(wild(1)))])
    again = patient.get("/requests")
    assert again.text == first.text
    assert again.headers == first.headers
    assert len(listed(patient.get("/requests?verdict=reject").text)) == 3  # another address, with the news
    assert listed(patient.get("/requests", headers={"hx-request": "true"}).text) != listed(first.text)


def test_what_is_written_makes_pages_old(patient: Visitor, records: list[Record]) -> None:
    path = f"/requests/{records[1].id}"
    key = key_in(patient.get(path).text)
    assert '<span class="mark attack">' not in patient.get("/requests").text
    assert '<span class="mark attack">' in patient.post(f"{path}/mark", {"form_key": key, "word": "attack"}).text
    assert '<span class="mark attack">' in patient.get("/requests").text


def test_errors_pictures_and_rows_are_made_anew(patient: Visitor, source: Source, records: list[Record]) -> None:
    new = describe(observe(wild(1)))
    assert patient.get(f"/requests/{new.record.id}").status_code == 404
    with source.store() as store:
        store.write([new])
    assert patient.get(f"/requests/{new.record.id}").status_code == 200


def test_a_page_is_only_for_its_own_session(source: Source, records: list[Record]) -> None:
    app = build(source, Access(TOKEN), sampling=False, kept_s=60.0)
    host = "http://console.example:3001"
    with Visitor(app, base_url=host) as one, Visitor(app, base_url=host, follow_redirects=False) as other:
        one.post("/sign-in", {"token": TOKEN, "form_key": key_in(one.get("/sign-in").text)})
        assert "Sign out" in one.get("/requests").text
        assert other.get("/requests").status_code == 303
        one.post("/sign-out", {"form_key": key_in(one.get("/requests").text)})
        assert "Sign in" in one.get("/requests").text
