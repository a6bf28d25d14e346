from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest

from gateway.configfile import read
from gateway.console.access import Access
from gateway.console.app import build
from gateway.console.source import Source
from gateway.tracking.drift.report import DriftStatus
from tests.drifted import SERIES, VERSION, Evaluated, label, track, write_bundle
from tests.unit.gateway.console.conftest import CONFIG, HOSTILE
from tests.visitor import Visitor

WATCHED = f"{CONFIG}    drift: {{window: 200, every: 10s}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An operator's folder whose endpoint is watched for drift."""
    (tmp_path / "watchgate.yaml").write_text(WATCHED)
    write_bundle(tmp_path)
    return tmp_path


@pytest.fixture
def evaluated(folder: Path) -> Evaluated:
    return Evaluated(folder / "state", write_bundle(folder), time.time() - 500.0)


@pytest.fixture
def drifted(evaluated: Evaluated) -> DriftStatus:
    """The last evaluation: 16 buckets without drift, and 30 in which column `a` is shifted."""
    evaluated.go_on(16)
    return evaluated.go_on(30, shift=1.0)


@pytest.fixture
def accuracy(folder: Path) -> None:
    label(folder / "state")


def section(page: str, name: str) -> str:
    """A section's markup."""
    found = re.search(rf'aria-labelledby="{name}".*?</section>', page, re.DOTALL)
    assert found is not None, name
    return found[0]


@pytest.mark.usefixtures("drifted")
def test_the_farthest_series_is_shown_over_time_with_its_alarm(client: Visitor) -> None:
    page = client.get("/drift").text
    course = section(page, "course")
    assert "a over time" in course
    assert '<span class="verdict reject">drifted</span>' in course
    assert 'class="spell"' in course
    assert 'class="alarm"' in course
    assert 'class="line limit"' in course
    assert "Drift: since" in page
    assert "2" in re.findall(r"(\d+) alarms", course) or "1" in re.findall(r"(\d+) alarms", course)


def test_features_are_ranked_by_how_far_they_are(client: Visitor, drifted: DriftStatus) -> None:
    ranked = section(client.get("/drift").text, "ranked")
    names = re.findall(r'<th scope="row"><a href="[^"]+">([^<]+)</a>', ranked)
    assert names[0] == "a"
    assert set(names) == set(SERIES)
    assert ranked.count('class="spark"') == len(SERIES)
    calm = {one.name: one.statistic / one.threshold for one in drifted.series if not one.drifted}
    assert [name for name in names if name in calm] == sorted(calm, key=lambda name: -calm[name])


@pytest.mark.usefixtures("drifted")
def test_a_feature_is_shown_then_and_now(client: Visitor) -> None:
    bins = section(client.get("/drift?series=a").text, "bins")
    pairs = re.findall(r"<title>(\S[^<]*): held-out rows ([\d.]+)%, recent rows ([\d.]+)%</title>", bins)
    assert len(pairs) >= 16
    for shares in zip(*((float(then), float(now)) for _, then, now in pairs), strict=True):
        assert sum(shares) == pytest.approx(100.0, abs=2.0)
    low, high = [float(now) - float(then) for _, then, now in pairs if _ != "below all"][:3], float(pairs[-1][2])
    assert max(low) < 0.0 < high
    assert "Kolmogorov–Smirnov" in bins
    assert "last 200" in bins


@pytest.mark.usefixtures("drifted")
def test_a_predicted_class_is_shown_over_time(client: Visitor) -> None:
    page = client.get("/drift?class=2").text
    label = section(page, "label")
    assert "Class 2" in label
    assert "share of rows in which the model saw class 2, over time" in label
    assert "no feature can be narrowed to a class" in label
    assert "<option selected>2</option>" in page


@pytest.mark.usefixtures("drifted")
def test_alarms_are_listed(client: Visitor) -> None:
    alarms = section(client.get("/drift").text, "alarms")
    assert '<th scope="row">a</th><td><span class="verdict reject">began</span> shift</td>' in alarms
    assert VERSION in alarms


@pytest.mark.usefixtures("drifted")
def test_all_series_together_have_no_bins(client: Visitor) -> None:
    page = client.get("/drift?series=joint&range=24h").text
    assert "All series together have no bins" in section(page, "bins")
    assert "Do columns go together otherwise" in section(page, "course")


@pytest.mark.usefixtures("accuracy", "drifted")
def test_accuracy_is_shown_where_labels_came(client: Visitor) -> None:
    page = client.get("/drift").text
    accuracy = section(page, "accuracy")
    assert re.search(r"accuracy of digits over time, now 84\.0%", accuracy)
    assert "95.0" in accuracy
    assert accuracy.count('class="interval"') == 9
    assert "<dt>error</dt><dd>6.5 of 4, drifted since" in accuracy
    assert ">error</a>" in section(page, "ranked")
    assert "Its counts are not shown" in client.get("/drift?series=error").text


@pytest.mark.parametrize("error", [None, "the window is not full"])
def test_other_detectors_are_shown_without_drift(folder: Path, error: str | None) -> None:
    text = (folder / "watchgate.yaml").read_text()
    tracked = "trackers: [{kind: alibi, path: saved, name: mmd}]"
    (folder / "watchgate.yaml").write_text(re.sub("drift: .*", tracked, text))
    track(folder / "state", error)
    source = Source(read(folder / "watchgate.yaml"), folder / "watchgate.yaml")
    with Visitor(build(source, Access(None), sampling=False), base_url="http://127.0.0.1:3001") as client:
        page = client.get("/drift").text
    trackers = section(page, "trackers")
    assert '<th scope="row">mmd</th><td>MMDDrift</td>' in trackers
    assert (error or "no drift") in trackers
    assert "does not ask for <code>drift</code>" in page


def test_without_accuracy_nothing_is_said_of_it(client: Visitor, drifted: DriftStatus) -> None:
    assert 'aria-labelledby="accuracy"' not in client.get("/drift").text


@pytest.mark.usefixtures("drifted")
def test_a_hostile_address_changes_nothing(client: Visitor) -> None:
    answer = client.get(f"/drift?{urlencode(dict.fromkeys(('endpoint', 'series', 'class', 'range'), HOSTILE))}")
    assert answer.status_code == 200
    assert "a over time" in answer.text
    assert "<script>alert" not in answer.text


@pytest.mark.usefixtures("drifted")
def test_the_part_that_changes_comes_alone(client: Visitor) -> None:
    whole, part = client.get("/drift?range=6h").text, client.get("/drift?range=6h&part=1").text
    assert part.startswith('<div id="drift"')
    assert 'hx-get="/drift?endpoint=digits&amp;range=6h&amp;part=1"' in part
    assert "<form" not in part
    assert "<form" in whole


def test_before_the_first_evaluation_it_says_so(client: Visitor) -> None:
    assert "Nothing was evaluated yet" in client.get("/drift").text


def test_a_bundle_without_a_monitor_says_what_to_do(client: Visitor, folder: Path) -> None:
    (folder / "bundle" / "digits" / "drift.npz").write_bytes(b"none")
    answer = client.get("/drift")
    assert (answer.status_code, "run <code>watchgate calibrate</code>" in answer.text) == (200, True)


def test_where_nothing_is_watched_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "watchgate.yaml").write_text(CONFIG)
    source = Source(read(tmp_path / "watchgate.yaml"), tmp_path / "watchgate.yaml")
    with Visitor(build(source, Access(None), sampling=False), base_url="http://127.0.0.1:3001") as client:
        answer = client.get("/drift")
    assert (answer.status_code, "nothing is watched for drift" in answer.text) == (404, True)


@pytest.fixture
def broken(folder: Path) -> None:
    (folder / "state").mkdir(exist_ok=True)
    (folder / "state" / "shared.db").write_bytes(b"not a database, and long enough to be looked at" * 100)


@pytest.mark.usefixtures("broken")
def test_a_store_that_fails_is_a_page_and_the_overview_goes_on(client: Visitor) -> None:
    assert client.get("/drift").status_code == 503
    overview = client.get("/").text
    assert "Whether it drifts is not known" in overview or "No worker serves it" in overview
    assert "not known" in overview


@pytest.mark.usefixtures("drifted", "served")
def test_the_overview_says_that_it_drifts(client: Visitor) -> None:
    page = client.get("/").text
    assert re.search(r"(Also, since|Drift: since) .*the rows differ from the held-out ones in a", page)
    assert '<a class="more" href="/drift?endpoint=digits">Drift</a>' in page
    assert re.search(r'<dt>drift</dt><dd class="over">yes</dd><dd class="dim">since', page)
