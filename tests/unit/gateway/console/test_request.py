from __future__ import annotations

import html
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from gateway.console.source import Source
from gateway.state.record import Record
from tests.traffic import odd, wild
from tests.unit.gateway.console.test_gate import key_in
from tests.visitor import Visitor


def test_the_page_tells_why(client: Visitor, records: list[Record]) -> None:
    page = client.get(f"/requests/{records[0].id[:10]}").text
    assert "Row 4 was rejected on the evidence of brightness." in page
    assert '<span class="remark">decided</span>' in page
    assert re.findall(r'href="\?row=(\d+)"', page) == ["0", "1", "2", "3", "4"]
    other = client.get(f"/requests/{records[0].id}?row=3").text
    assert "Row 3 was flagged" in other


def test_pictures_of_kept_rows(client: Visitor, records: list[Record]) -> None:
    home = f"/requests/{records[1].id}/0"
    for which in ("input", "purified", "difference"):
        answer = client.get(f"{home}/{which}.png")
        assert answer.headers["content-type"] == "image/png"
        assert min(Image.open(io.BytesIO(answer.content)).size) >= 200
    for absent in (f"{home}/other.png", f"/requests/{records[1].id}/7/input.png", f"/requests/{'0' * 32}/0/input.png"):
        assert client.get(absent).status_code == 404
    rejected = f"/requests/{records[3].id}/0"
    assert client.get(f"{rejected}/input.png").status_code == 200
    assert client.get(f"{rejected}/purified.png").status_code == 404


def test_rows_come_as_npz(client: Visitor, records: list[Record]) -> None:
    answer = client.get(f"/requests/{records[0].id}/rows.npz")
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as file:
        assert file["row"].tolist() == [3, 4]
        np.testing.assert_array_equal(file["input"], np.concatenate([odd(1), wild(1)]))
    assert client.get(f"/requests/{records[2].id}/rows.npz").status_code == 404


def test_the_curl_command_sends_the_very_row(client: Visitor, records: list[Record]) -> None:
    page = client.get(f"/requests/{records[1].id}").text
    command = html.unescape(re.findall(r'<pre id="curl"[^>]*>(.*?)</pre>', page, re.DOTALL)[0])
    assert command.startswith("curl -s http://127.0.0.1:3000/predict ")
    sent = json.loads(command.split("-d '")[1][:-1])
    assert sent["endpoint"] == "digits"
    np.testing.assert_array_equal(np.array(sent["x"], dtype=np.float32), odd(1))


def test_a_failed_request_has_a_page(client: Visitor, records: list[Record]) -> None:
    page = client.get(f"/requests/{records[2].id}").text
    assert "Refused without a verdict" in page


@pytest.mark.parametrize("path", ["/requests/zz", "/requests/0000000000", "/requests/%2e%2e"])
def test_what_is_not_there_is_a_page_too(client: Visitor, records: list[Record], path: str) -> None:
    assert client.get(path).status_code == 404


def test_alike_requests_are_together(client: Visitor, source: Source, records: list[Record]) -> None:
    page = client.get(f"/requests/{records[0].id}").text
    assert "The same principal" in page
    assert f'href="/requests/{records[1].id}"' in page


def test_marking_and_lifting(client: Visitor, source: Source, records: list[Record]) -> None:
    path = f"/requests/{records[1].id}"
    key = key_in(client.get(path).text)
    marked = client.post(f"{path}/mark", {"form_key": key, "word": "broken", "note": " <b>wrong</b> unit "})
    assert marked.url.path == path
    assert '<span class="mark broken">broken</span>' in marked.text
    assert "&lt;b&gt;wrong&lt;/b&gt; unit" in marked.text
    assert '<span class="mark broken">' in client.get("/requests").text
    with source.store() as store:
        (mark,) = store.marks.all("digits")
    assert (mark.word, mark.note, mark.verdict) == ("broken", "<b>wrong</b> unit", "flag")
    assert '<span class="mark' not in client.post(f"{path}/mark", {"form_key": key, "word": ""}).text
    assert client.post(f"/requests/{'0' * 32}/mark", {"form_key": key, "word": "attack"}).status_code == 404
