from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from gateway.console.overview import health, overview
from gateway.console.sampler import Sampler, sample
from gateway.console.source import Source
from gateway.metrics.tally import Tally
from gateway.state.record import Record
from gateway.state.sqlite import FILE, SqliteStore
from tests.unit.gateway.console.counted import grown
from tests.visitor import Visitor


def test_what_happened_is_told_against_the_budget(source: Source, records: list[Record], served: Tally) -> None:
    now = int(time.time())
    sample(source, now - 600)
    served.write(grown(served, rows=100, rejected=40))
    time.sleep(0.6)  # the metrics files are read again
    seen = overview(source, "digits", 3600, now)
    assert (seen.added.rows, seen.added.rejected, seen.seconds) == (140, 40, 600)
    assert seen.share("reject") == pytest.approx(40 / 140)
    assert (seen.facts.flag_budget, seen.facts.version) == (None, "a" * 64)  # there is no bundle to speak of a budget
    assert dict(seen.facts.stages) == {"brightness": 3}
    assert json.dumps(seen.to_json())


def test_without_a_watching_console_all_is_since_the_beginning(source: Source, served: Tally) -> None:
    seen = overview(source, "digits", 3600)
    assert (seen.seconds, seen.per_s, seen.added.rows) == (None, None, 250)


def test_health_counts_workers_and_what_is_kept(source: Source, records: list[Record], served: Tally) -> None:
    found = health(source)
    assert (found.workers, found.stored_requests, found.lost) == (1, 4, 0)
    served.close()
    time.sleep(0.6)
    assert health(source).workers == 0


def test_the_page_shows_curves_and_is_refreshed_in_part(
    client: Visitor, source: Source, records: list[Record], served: Tally
) -> None:
    for ago in (300, 200, 100):
        sample(source, int(time.time()) - ago)
    page = client.get("/?range=15m").text
    assert page.count("<svg") >= 4
    assert 'hx-get="/?range=15m&amp;part=1"' in page
    part = client.get("/?range=15m&part=1").text
    assert "<html" not in part
    assert client.get("/?range=nonsense").status_code == 200


def test_a_sampler_writes_until_it_is_stopped(source: Source, served: Tally) -> None:
    sampler = Sampler(source, every_s=0.01)
    sampler.start()
    time.sleep(0.2)
    sampler.stop()
    assert not sampler.is_alive()
    with source.store() as store:
        assert store.history.points("digits", 0, 1)


def test_a_removed_store_is_followed_by_the_one_in_its_place(
    source: Source, client: Visitor, records: list[Record], folder: Path
) -> None:
    assert records[0].id[:8] in client.get("/requests").text
    for file in (folder / "state").glob(f"{FILE}*"):
        file.unlink()
    assert "Nothing was stopped yet" in client.get("/requests").text


def test_a_store_that_can_not_be_read_is_a_page(client: Visitor, folder: Path) -> None:
    (folder / "state").mkdir()
    (folder / "state" / FILE).write_text("no database at all, but long enough to be one")
    answer = client.get("/requests")
    assert answer.status_code == 503
    assert "The store can&#39;t be read now" in answer.text


def test_a_later_releases_store_is_a_page(client: Visitor, folder: Path) -> None:
    SqliteStore.open_for_writing(folder / "state").close()
    db = sqlite3.connect(folder / "state" / FILE)
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert "a later watchgate wrote it" in client.get("/").text
