"""Verdicts through the recorder into the store and over a real socket to an OTLP receiver."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gateway.state.sqlite import SqliteStore
from gateway.telemetry.export import exporter_for
from gateway.telemetry.recorder import SideRecorder
from tests.otlp import Receiver, attributes
from tests.traffic import NOT_SAMPLED, info, observe, odd, typical, wild


@pytest.fixture(autouse=True)
def _no_otel_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)


def recorder(folder: Path, otlp: str | None) -> SideRecorder:
    return SideRecorder(
        lambda: SqliteStore.open_for_writing(folder),
        [info()],
        exporter=lambda: exporter_for(otlp),
        service_name="guard",
        sample_clean=0.0,
    )


def stored(folder: Path) -> set[str]:
    store = SqliteStore.open_for_reading(folder)
    found = {trace.record.id for trace in store.walk()}
    store.close()
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_exactly_the_rejected_requests_arrive_with_all_their_stages(tmp_path: Path) -> None:
    """200 requests that ask not to be sampled, 20 of them rejected, no clean ones kept."""
    places = set(np.random.default_rng(0).choice(200, size=20, replace=False).tolist())
    seen = [observe(wild(1) if n in places else typical(1), traceparent=NOT_SAMPLED) for n in range(200)]
    rejected = {one.id for n, one in enumerate(seen) if n in places}
    with Receiver() as receiver:
        side = recorder(tmp_path, receiver.url)
        for one in seen:
            assert side.offer(one)
        side.close(timeout_s=20.0)
        traces = receiver.traces()
    assert stored(tmp_path) == rejected
    assert set(traces) == rejected
    for trace_id, spans in traces.items():
        (root,) = (span for span in spans if not span.parent_span_id)
        stages = [span for span in spans if span.parent_span_id == root.span_id]
        assert sorted(span.name for span in stages) == ["watchgate.stage brightness", "watchgate.stage margin"]
        assert len(spans) == 3
        facts = attributes(root.attributes)
        assert facts["watchgate.verdict"] == "reject"
        assert facts["watchgate.caller.trace_id"] == NOT_SAMPLED.split("-")[1]
        assert root.links[0].trace_id.hex() == NOT_SAMPLED.split("-")[1]
        assert trace_id not in NOT_SAMPLED
        assert all(attributes(span.attributes)["watchgate.stage.scores"] for span in stages)
    assert receiver.paths[0] == "/v1/traces"
    assert receiver.resources[0]["service.name"] == "guard"
    assert side.stats()["exported"] == 20


def test_spans_have_the_times_they_had(tmp_path: Path) -> None:
    one = observe(np.concatenate([typical(2), odd(1)]))
    assert one.judged is not None
    with Receiver() as receiver:
        side = recorder(tmp_path, receiver.url)
        side.offer(one)
        side.close(timeout_s=20.0)
    spans = {span.name: span for span in receiver.spans}
    root = spans["watchgate.infer"]
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (one.started_ns, one.ended_ns)
    for run in one.judged.verdicts.stages:
        span = spans[f"watchgate.stage {run.name}"]
        assert (span.start_time_unix_nano, span.end_time_unix_nano) == (run.started_ns, run.ended_ns)


def test_a_receiver_that_comes_back_gets_what_it_missed(tmp_path: Path) -> None:
    with Receiver(400, 400) as receiver:  # 4xx is final for the exporter; the recorder tries again
        side = recorder(tmp_path, receiver.url)
        one = observe(wild(1))
        side.offer(one)
        wait_for(lambda: side.stats()["exported"] == 1)
        side.close()
    assert set(receiver.traces()) == {one.id}
    assert side.stats()["export_failures"] == 2
    assert side.stats()["export_lost"] == 0


def test_without_a_receiver_the_store_has_everything_and_close_is_quick(tmp_path: Path) -> None:
    with Receiver() as receiver:
        gone = receiver.url
    side = recorder(tmp_path, gone)
    seen = [observe(wild(1)) for _ in range(5)]
    for one in seen:
        assert side.offer(one)
    wait_for(lambda: side.stats()["stored"] == 5)
    start = time.monotonic()
    side.close(timeout_s=1.0)
    assert time.monotonic() - start < 3.0
    assert stored(tmp_path) == {one.id for one in seen}
    wait_for(lambda: side.stats()["export_lost"] == 5)


def test_the_standard_variables_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert exporter_for(None) is None
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        side = recorder(tmp_path, None)
        one = observe(wild(1))
        side.offer(one)
        side.close(timeout_s=20.0)
    assert set(receiver.traces()) == {one.id}
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert exporter_for(None) is None
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    assert exporter_for(None) is None
