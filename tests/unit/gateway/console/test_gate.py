from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.console.access import Access
from gateway.console.app import build
from gateway.console.source import Source
from gateway.state.record import Record
from tests.visitor import Visitor

TOKEN = "a-token-of-some-length"


@pytest.fixture
def far(source: Source) -> Iterator[Visitor]:
    """A browser elsewhere, of a console that asks for a token."""
    app = build(source, Access(TOKEN), sampling=False)
    with Visitor(app, base_url="http://console.example:3001", follow_redirects=False) as client:
        yield client


def key_in(page: str) -> str:
    return page.split('name="form_key" value="')[1].split('"')[0]


def test_every_answer_carries_the_policy(client: Visitor, records: list[Record]) -> None:
    for path in ("/", "/requests", f"/requests/{records[0].id}", "/nowhere", "/static/console.css"):
        headers = client.get(path).headers
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert client.get("/").headers["cache-control"] == "no-store"


def test_pages_hold_nothing_that_the_policy_forbids(client: Visitor, records: list[Record]) -> None:
    for path in ("/", "/requests", f"/requests/{records[0].id}"):
        page = client.get(path).text
        assert " style=" not in page
        assert "<style" not in page
        assert page.count("<script") == 2
        assert page.count('src="/static/') == 2
        assert " onclick" not in page


def test_another_name_for_this_machine_is_refused(client: Visitor) -> None:
    assert client.get("/", headers={"host": "rebound.example:3001"}).status_code == 421
    assert client.get("/", headers={"host": "localhost:3001"}).status_code == 200


def test_a_form_of_another_site_is_refused(client: Visitor, records: list[Record]) -> None:
    path = f"/requests/{records[0].id}"
    fields = {"word": "attack", "form_key": key_in(client.get(path).text)}
    answers = [
        client.post(f"{path}/mark", data=fields, headers={"origin": "http://evil.example"}),
        client.post(f"{path}/mark", data=fields, headers={"origin": "null"}),
        client.post(f"{path}/mark", data={**fields, "form_key": "guessed"}),
        client.post(f"{path}/mark", data={"word": "attack"}),
        client.post(f"{path}/mark", data={**fields, "note": "x" * 20_000}),
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert 'class="mark attack"' not in client.get(path).text
    assert client.get(f"{path}/mark").status_code == 405


def test_without_a_session_there_is_only_the_sign_in(far: Visitor, records: list[Record]) -> None:
    for path in ("/", "/requests", f"/requests/{records[0].id}", f"/requests/{records[0].id}/rows.npz", "/nowhere"):
        answer = far.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    part = far.get("/requests/rows", headers={"hx-request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/sign-in")
    assert far.post(f"/requests/{records[0].id}/mark", data={"word": "attack"}).status_code == 303


def test_signing_in_and_out(far: Visitor) -> None:
    key = key_in(far.get("/sign-in").text)
    assert far.post("/sign-in", data={"token": "wrong", "form_key": key}).status_code == 403
    entered = far.post("/sign-in", data={"token": TOKEN, "form_key": key})
    cookie = entered.headers["set-cookie"]
    assert entered.status_code == 303
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    page = far.get("/")
    assert page.status_code == 200
    assert far.get("/sign-in").status_code == 303
    assert far.post("/sign-out", data={"form_key": "guessed"}).status_code == 403
    assert far.post("/sign-out", data={"form_key": key_in(page.text)}).status_code == 303
    assert far.get("/").status_code == 303


def test_static_files_are_kept_for_good_under_their_own_address(client: Visitor) -> None:
    style = client.get("/").text.split('rel="stylesheet" href="')[1].split('"')[0]
    assert "immutable" in client.get(style).headers["cache-control"]
    assert client.get(style.partition("?")[0]).headers["cache-control"] == "no-store"
