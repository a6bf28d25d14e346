from __future__ import annotations

from pathlib import Path

from benchmarks.command import Run
from benchmarks.tracking.__main__ import keep
from benchmarks.tracking.cost import beside, request_us, requests
from detectors.drift.encoder import Rows
from tests import drifting, watching


def test_every_row_is_counted_flushed_and_evaluated() -> None:
    found = beside(watching.watched(), drifting.rows(500, 1), None, total=3000, per_second=100)
    assert found.rows == 3000
    assert found.evaluations >= 1
    assert found.counting_us > 0.0
    assert found.store_us > 0.0


def test_rows_have_an_input_of_their_own_where_features_are_tracked() -> None:
    rows = drifting.rows(5, 1)
    images = drifting.rows(5, 2).columns
    some = list(requests(Rows(rows.columns, rows.logits), images, 5))
    assert [len(each) for each in some] == [1] * 5
    assert images is not None
    assert (some[3].x == images[3:4])[:, :2].all()
    assert some[3].judged.outputs is not None
    assert some[3].judged.outputs.features is not None


def test_handing_a_request_over_takes_less_than_two_microseconds() -> None:
    assert request_us(next(requests(drifting.rows(1, 1), None, 1)).judged) < 2.0


def test_the_page_has_a_line_for_each_rate(tmp_path: Path) -> None:
    found = {"made": [beside(watching.watched(), drifting.rows(50, 1), None, 200, rate) for rate in (100, 10)]}
    facts = {
        "date": "",
        "cores": 1,
        "processor": "",
        "system": "",
        "load_1min_before": 0.0,
        "python": "",
        "packages": {},
    }

    class Kept(Run):
        @property
        def folder(self) -> Path:
            return tmp_path

    text = keep(found, {"made": 0.5}, {"made": 7}, Kept("python -m benchmarks.tracking", True, facts)).read_text()
    assert text.count("made, 7 series") == 2
