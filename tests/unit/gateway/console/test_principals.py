from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.console.pages.principals import digest
from gateway.state.principals.file import PrincipalFile
from gateway.state.principals.measures import Asking
from gateway.state.principals.store import Mark
from gateway.state.record import Record
from tests.unit.gateway.console.conftest import HOSTILE
from tests.unit.gateway.console.test_gate import key_in
from tests.visitor import Visitor


@pytest.fixture
def known(folder: Path) -> Iterator[PrincipalFile]:
    """Two marked principals, one of them hostile, and one that only asked."""
    store = PrincipalFile.open(folder / "state")
    now_ns = time.time_ns()
    marks = {
        name: Mark(name, "digits", f"like {HOSTILE}", alike, now_ns, now_ns + 10**13)
        for name, alike in (("mallory", 4), (HOSTILE, 40))
    }
    store.add(marks, {"mallory": 9, "alice": 2, HOSTILE: 70}, now_ns)
    yield store
    store.close()


def test_who_asks_and_who_is_marked(client: Visitor, records: list[Record], known: PrincipalFile) -> None:
    page = client.get("/principals").text
    assert "2 marked for like queries" in page
    assert page.index("40 like queries") < page.index("4 like queries") < page.index(">192.0.2.7<")
    assert 'href="/requests?principal=192.0.2.7"' in page
    marked = client.get("/principals?marked=1").text
    assert "alice" not in marked
    assert "mallory" in marked
    assert "mallory" not in client.get("/principals?q=LIC").text
    assert "No principal matches." in client.get("/principals?q=nobody").text


def test_how_queries_are_spread(client: Visitor, records: list[Record], known: PrincipalFile) -> None:
    assert "Near boundary" not in client.get("/principals").text
    asking = Asking(rows=40, looked=40, near=10, cells={0, 1, 2, 3})
    known.measure("digits", "v1", 16, {"alice": asking}, time.time_ns())
    page = client.get("/principals?q=alice").text
    assert "Near boundary" in page
    assert re.findall(r'<td class="num wide">([^<]+)</td>', page)[1:] == ["25.0\N{NARROW NO-BREAK SPACE}%"] * 2


def test_a_hostile_name_is_text(client: Visitor, records: list[Record], known: PrincipalFile) -> None:
    page = client.get("/principals").text
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4  # name, button, two reasons


def test_a_mark_is_lifted_and_told(
    client: Visitor, records: list[Record], known: PrincipalFile, caplog: pytest.LogCaptureFixture
) -> None:
    key = key_in(client.get("/principals").text)
    caplog.set_level(logging.INFO, "watchgate.console")
    assert client.post("/principals/lift", {"principal": digest(HOSTILE), "form_key": "guessed"}).status_code == 403
    assert set(known.marks(time.time_ns())) == {"mallory", HOSTILE}
    lifted = client.post("/principals/lift", {"principal": digest(HOSTILE), "form_key": key})
    assert lifted.url.path == "/principals"
    assert "1 marked for like queries" in lifted.text
    assert set(known.marks(time.time_ns())) == {"mallory"}
    assert client.post("/principals/lift", {"principal": digest(HOSTILE), "form_key": key}).status_code == 404
    [said] = [record.getMessage() for record in caplog.records if "lifted" in record.getMessage()]
    assert "\x1b" not in said
    assert "<script>alert(1)</script>" in said


def test_before_anybody_asked(client: Visitor) -> None:
    page = client.get("/principals").text
    assert "Nobody has asked yet." in page
    assert "No endpoint remembers queries" in page
