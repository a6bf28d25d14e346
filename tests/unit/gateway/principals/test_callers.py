from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import Config
from gateway.configfile import read
from gateway.principals.callers import Caller, callers, step
from gateway.state.lists import Caller as Kept
from gateway.state.principals.measures import Measure
from gateway.state.principals.store import Mark

CONFIG = """
endpoints:
  m: {model: {kind: onnx, path: m.onnx}, reference: r.npz, queries: {steps: [slow, refuse], escalate_after: 10}}
  plain: {model: {kind: onnx, path: m.onnx}, reference: r.npz}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "watchgate.yaml").write_text(CONFIG)
    return read(tmp_path / "watchgate.yaml")


def marked(name: str, alike: int, endpoint: str = "m") -> Mark:
    return Mark(name, endpoint, "3 of its last 8 queries are like it", alike, 0, 10)


def measured(name: str, rows: int) -> Measure:
    return Measure("m", name, "v", rows, rows, 0, 1.0, b"\x01", 0)


def test_who_is_marked_comes_first_then_who_was_stopped_most(config: Config) -> None:
    kept = {"noisy": Kept({"reject": 9}), "mallory": Kept({"flag": 1}), "quiet": Kept({"allow": 3})}
    marks = {"mallory": marked("mallory", 4), "worse": marked("worse", 12)}
    found = callers(
        config,
        marks,
        {"alice": 7, "mallory": 2},
        kept,
        [measured("alice", 5), measured("alice", 9), measured("new", 1)],
    )
    assert [one.name for one in found] == ["worse", "mallory", "noisy", "alice", "quiet", "new"]
    assert [one.asked for one in found] == [None, 2, None, 7, None, None]
    assert found[3].measure == measured("alice", 9)
    assert found[0].measure is None


def test_a_mark_says_what_it_brings(config: Config) -> None:
    assert [step(config, marked("a", alike)) for alike in (1, 10, 11, 99)] == ["slow", "slow", "refuse", "refuse"]
    assert step(config, marked("a", 1, "plain")) is None
    assert step(config, marked("a", 1, "gone")) is None


@pytest.mark.parametrize(
    ("verdicts", "sample", "flag", "reject"),
    [
        ({"flag": 1, "reject": 1, "allow": 8}, 1.0, 0.2, 0.1),
        ({"flag": 2, "reject": 3, "allow": 5}, 0.01, 5 / 505, 3 / 505),
        ({"flag": 2, "allow": 4}, 0.01, None, None),  # four clean ones kept: 100 or 1000 were sent
        ({"flag": 2}, 1.0, 1.0, 0.0),
        ({}, 1.0, None, None),
        ({"reject": 1, "error": 1}, 1.0, 0.5, 0.5),
    ],
)
def test_shares_count_clean_requests_that_were_not_kept(
    verdicts: dict[str, int], sample: float, flag: float | None, reject: float | None
) -> None:
    one = Caller("a", Kept(verdicts), sample)  # type: ignore[arg-type]
    assert one.share("flag") == (None if flag is None else pytest.approx(flag))
    assert one.share("reject") == (None if reject is None else pytest.approx(reject))
