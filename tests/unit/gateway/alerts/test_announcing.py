from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path

import pytest

from gateway.alerts.announcing import open_alerts
from gateway.config import Config
from gateway.errors import OperatorError
from tests.hooks import Hooks
from tests.otlp import Receiver, attributes
from tests.unit.gateway.alerts.alarming import AT_S, ended, started

SECRET = "0123456789abcdef"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENDPOINT", "TRACES_ENDPOINT", "LOGS_ENDPOINT"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    for name in ("OTEL_SDK_DISABLED", "OTEL_LOGS_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def _config(*urls: str, otlp: str | None = None) -> Config:
    return Config.model_validate(
        {
            "endpoints": {"digits": {"model": {"kind": "onnx", "path": "a.onnx"}, "reference": "a.npz"}},
            "telemetry": {"otlp": otlp},
            "alerts": {"webhooks": [{"url": url, "secret_env": "HOOK_SECRET"} for url in urls]},
        }
    )


def test_an_alarm_is_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    alerts = open_alerts(_config())
    with caplog.at_level(logging.INFO, "watchgate.drift"):
        alerts.announce(started())
        alerts.announce(ended())
    alerts.close()
    assert [(record.levelname, record.getMessage().split(" since")[0]) for record in caplog.records] == [
        ("WARNING", "endpoint digits: column <a> drifts"),
        ("INFO", "endpoint digits: drift of column <a> has ended; it began 2026-05-28T20:26:40Z"),
    ]
    assert alerts.stats() == {"sent": 0, "failures": 0, "lost": 0}


def test_every_webhook_hears_and_one_that_hangs_delays_nobody() -> None:
    ended_ = threading.Event()
    with Hooks(wait=ended_) as slow, Hooks(503) as quick:
        alerts = open_alerts(_config(slow.url, quick.url))
        begun = time.monotonic()
        alerts.announce(started())
        alerts.announce(ended())
        assert time.monotonic() - begun < 0.5
        while len(quick.posts) < 3:
            assert time.monotonic() - begun < 5.0
            time.sleep(0.01)
        ended_.set()
        alerts.close(5)
    kinds = [json.loads(post.body)["type"] for post in quick.posts]
    assert kinds == ["drift.started", "drift.started", "drift.ended"]
    assert [json.loads(post.body)["type"] for post in slow.posts] == ["drift.started", "drift.ended"]
    assert alerts.stats() == {"sent": 4, "failures": 1, "lost": 0}


def test_an_alarm_is_a_span_and_a_log_event() -> None:
    with Receiver() as receiver:
        alerts = open_alerts(_config(otlp=receiver.url))
        for alarm in (started(), ended(), started("other")):
            alerts.announce(alarm)
        alerts.close(10)
        assert alerts.stats() == {"sent": 6, "failures": 0, "lost": 0}
    begun, over, other = receiver.spans
    assert {span.name for span in receiver.spans} == {"watchgate.drift"}
    assert (begun.trace_id, begun.span_id) == (over.trace_id, over.parent_span_id)
    assert other.trace_id != begun.trace_id
    assert begun.start_time_unix_nano == over.start_time_unix_nano == int(AT_S * 1e9)
    assert over.end_time_unix_nano == int((AT_S + 600.0) * 1e9)
    assert attributes(begun.attributes) == {
        "watchgate.endpoint": "digits",
        "watchgate.chain.version": "c0ffee",
        "watchgate.drift.state": "started",
        "watchgate.drift.series": "column <a>",
        "watchgate.drift.kind": "shift",
        "watchgate.drift.statistic": 7.25,
        "watchgate.drift.threshold": 4.125,
        "watchgate.drift.psi": 0.31,
        "watchgate.drift.window_rows": 400,
    }
    first, second, _ = receiver.logs
    assert (first.event_name, first.severity_text) == ("watchgate.drift.started", "WARN")
    assert (second.event_name, second.severity_text) == ("watchgate.drift.ended", "INFO")
    assert first.body.string_value.startswith("endpoint digits: column <a> drifts since")
    assert (first.trace_id, first.span_id) == (begun.trace_id, begun.span_id)
    assert attributes(first.attributes) == attributes(begun.attributes)


def test_a_receiver_of_traces_alone_is_spared_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    with Receiver() as receiver:
        alerts = open_alerts(_config(otlp=receiver.url))
        alerts.announce(started())
        alerts.close(10)
    assert (len(receiver.spans), receiver.logs, receiver.paths) == (1, [], ["/v1/traces"])


def test_a_secret_that_is_missing_shows_before_serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK_SECRET")
    with pytest.raises(OperatorError, match="HOOK_SECRET"):
        open_alerts(_config("http://127.0.0.1:9/x"))
