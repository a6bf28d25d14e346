from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gateway.configfile import read
from gateway.console.access import Access
from gateway.console.app import build
from gateway.console.source import Source
from gateway.metrics.meter import Meter
from gateway.metrics.tally import Tally
from gateway.state.record import Record
from gateway.state.sqlite import SqliteStore
from gateway.telemetry.describe import describe, facts_of
from tests.traffic import failed, info, observe, odd, typical, wild
from tests.visitor import Visitor

HOSTILE = "<script>alert(1)</script>'\"&\x1b[2J\u202e"
CONFIG = """
endpoints:
  digits:
    model: {kind: onnx, path: digits.onnx}
    reference: train.npz
    budget: {flag: 0.05, reject: 0.01}  # of honest rows
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An operator's folder; its gateway has not served yet."""
    (tmp_path / "watchgate.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def source(folder: Path) -> Iterator[Source]:
    source = Source(read(folder / "watchgate.yaml"), folder / "watchgate.yaml")
    yield source
    source.close()


@pytest.fixture
def records(folder: Path) -> list[Record]:
    """What the gateway kept, oldest first: a mixed batch, a flagged row, a failure, and one all of hostile text."""
    hostile = observe(wild(1), principal=HOSTILE)
    seen = [
        observe(np.concatenate([typical(3), odd(1), wild(1)])),
        observe(odd(1)),
        failed(),
        replace(hostile, user_agent=HOSTILE, request_id=HOSTILE, route=f"/v2/models/{HOSTILE}/infer"),
    ]
    entries = [describe(one) for one in seen]
    store = SqliteStore.open_for_writing(folder / "state")
    store.describe_chain("digits", info().version, facts_of(info()))
    store.write(entries)
    store.close()
    return [entry.record for entry in entries]


@pytest.fixture
def served(folder: Path) -> Iterator[Tally]:
    """The numbers of a worker that serves: 200 rows allowed, 10 flagged, 40 rejected."""
    meter = Meter("digits")
    meter.actions = [200, 10, 40]
    for _ in range(250):
        meter.answered(200, 0.0015)
    tally = Tally(folder / "state" / "metrics")
    tally.write({**meter.numbers(), ("watchgate_workers", ()): 1})
    yield tally
    tally.close()


@pytest.fixture
def client(source: Source) -> Iterator[Visitor]:
    """A browser on this machine."""
    with Visitor(build(source, Access(None), sampling=False, kept_s=0.0), base_url="http://127.0.0.1:3001") as client:
        yield client
