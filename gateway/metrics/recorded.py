"""Which metric each counter of the trace recorder and of the tracker is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.metrics.meter import Key, Numbers, key

_OBSERVED = "watchgate_recorder_observations_total"
_RECORDS = "watchgate_store_records_total"
_EXPORTED = "watchgate_export_requests_total"
_LABELS = "watchgate_feedback_labels_total"
_ANSWERS = "watchgate_feedback_answers_total"

RECORDER: Mapping[str, Key] = {
    **{
        f"{word}_{lane}": key(_OBSERVED, {"lane": lane, "outcome": outcome})
        for lane in ("verdicts", "clean")
        for word, outcome in (("taken", "whole"), ("taken_bare", "bare"), ("dropped", "dropped"))
    },
    "stored": key(_RECORDS, {"outcome": "stored"}),
    "store_lost": key(_RECORDS, {"outcome": "lost"}),
    "undescribed": key(_RECORDS, {"outcome": "undescribed"}),
    "store_failures": key("watchgate_store_failures_total", {}),
    "payloads_lost": key("watchgate_store_lost_payloads_total", {}),
    "waiting": key("watchgate_store_waiting_records", {}),
    "written_s": key("watchgate_store_last_write_timestamp_seconds", {}),
    "exported": key(_EXPORTED, {"outcome": "exported"}),
    "export_lost": key(_EXPORTED, {"outcome": "lost"}),
    "export_failures": key("watchgate_export_failures_total", {}),
}
TRACKER: Mapping[str, Key] = {
    "taken": key("watchgate_tracking_taken_total", {}),
    "dropped": key("watchgate_tracking_dropped_total", {}),
    "rows": key("watchgate_query_rows_total", {}),
    "new_rows": key("watchgate_query_new_rows_total", {}),
    "alike_rows": key("watchgate_query_alike_rows_total", {}),
    "unsampled_rows": key("watchgate_query_unsampled_rows_total", {}),
    "marks": key("watchgate_query_marks_total", {}),
    "failures": key("watchgate_tracker_failures_total", {}),
    "store_failures": key("watchgate_tracker_store_failures_total", {}),
    "store_reached": key("watchgate_tracker_store_reached", {}),
    "drift_rows": key("watchgate_drift_rows_total", {}),
    "drift_unsampled_rows": key("watchgate_drift_unsampled_rows_total", {}),
    "drift_lost_rows": key("watchgate_drift_lost_rows_total", {}),
    "drift_pending_rows": key("watchgate_drift_pending_rows", {}),
    "drift_flushes": key("watchgate_drift_flushes_total", {}),
    "drift_evaluations": key("watchgate_drift_evaluations_total", {}),
    "drift_evaluation_failures": key("watchgate_drift_evaluation_failures_total", {}),
    "drift_alarms": key("watchgate_drift_alarms_total", {}),
    **{f"feedback_{what}": key(_LABELS, {"outcome": what}) for what in ("counted", "repeated", "unknown")},
    **{f"answers_{what}": key(_ANSWERS, {"outcome": what}) for what in ("logged", "lost")},
    **{f"traffic_{what}_rows": key("watchgate_traffic_rows_total", {"outcome": what}) for what in ("kept", "lost")},
    "tracker_rows": key("watchgate_foreign_rows_total", {}),
    "tracker_unsampled_rows": key("watchgate_foreign_unsampled_rows_total", {}),
    "tracker_failures": key("watchgate_foreign_failures_total", {}),
    "alerts_sent": key("watchgate_alerts_total", {"outcome": "sent"}),
    "alerts_lost": key("watchgate_alerts_total", {"outcome": "lost"}),
    "alerts_failures": key("watchgate_alerts_failures_total", {}),
}
PUSH: Mapping[str, Key] = {"push_failures": key("watchgate_export_metrics_failures_total", {})}
_ABSENT = "written_s"  # until the first write there is no time to tell


def named(counts: Mapping[str, float], which: Mapping[str, Key]) -> Iterator[tuple[Key, float]]:
    """The counters that are metrics, under their names."""
    for what, count in counts.items():
        if what in which and (count or what != _ABSENT):
            yield which[what], count


def recorded(numbers: Numbers) -> dict[str, int]:
    """The recorder's counters by the names that the recorder gives them."""
    return {what: int(numbers[name]) for what, name in RECORDER.items() if name in numbers}
