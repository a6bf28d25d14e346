"""Every metric there is: the one list that the page, the OTLP export and docs/metrics.md are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram", "summary"]

# What a label says, and what bounds its values: no label ever holds what a caller wrote.
LABELS: Mapping[str, str] = {
    "endpoint": "an endpoint of the config",
    "status": "an HTTP status that the gateway answers with: at most 12",
    "reason": "a kind of refusal: at most 9",
    "action": "`allow`, `flag` or `reject`",
    "stage": "a stage of the endpoint's chain; `none` where no stage spoke",
    "kind": "`kept` or `clean` for observations; for drift the kind of test: at most 4",
    "lane": "`verdicts` (flagged, rejected, failed) or `clean` (the sampled others)",
    "outcome": "what became of it: at most 3, named in the metric's meaning",
    "version": "a digest of the loaded bundle, or the release: one at a time in each worker",
    "mode": "`enforce` or `shadow`",
    "series": "a series that drift is looked for in, fixed by the bundle",
}


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `name` is as on the page, a counter's with `_total`.

    `largest`: workers don't add up, the largest value holds (they all say the same, or one of them is ahead).
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str
    text: str
    largest: bool = False

    @property
    def base(self) -> str:
        """The name without a counter's suffix."""
        return self.name.removesuffix("_total") if self.kind == "counter" else self.name


_BY_ENDPOINT = ("endpoint",)
_BY_STAGE = ("endpoint", "stage")
_BY_ACTION = ("endpoint", "action")
_BY_SERIES = ("endpoint", "series", "kind")

FAMILIES: tuple[Family, ...] = (
    Family("watchgate_requests_total", "counter", ("endpoint", "status"), "requests", "Requests answered."),
    Family(
        "watchgate_request_seconds",
        "histogram",
        _BY_ENDPOINT,
        "seconds",
        "Time from reading a request's head to its answer.",
    ),
    Family(
        "watchgate_refusals_total",
        "counter",
        ("endpoint", "reason"),
        "requests",
        "Requests refused without a verdict: malformed, marked, unknown or too many.",
    ),
    Family("watchgate_rows_total", "counter", _BY_ACTION, "rows", "Rows judged, by what was done with them."),
    Family(
        "watchgate_shadow_rows_total",
        "counter",
        _BY_ACTION,
        "rows",
        "Rows of requests that a shadowing endpoint let through and would have stopped, by what it would have done.",
    ),
    Family(
        "watchgate_decided_rows_total",
        "counter",
        ("endpoint", "action", "stage"),
        "rows",
        "Rows flagged or rejected, by the stage whose evidence was the strongest.",
    ),
    Family(
        "watchgate_budget_ratio",
        "gauge",
        _BY_ACTION,
        "share",
        "Share of honest rows that may be flagged (rejected ones counted in) or rejected, as the config says.",
        largest=True,
    ),
    Family(
        "watchgate_calibration_ratio",
        "gauge",
        _BY_ACTION,
        "share",
        "Share of held-out honest rows that calibrate saw flagged (rejected ones counted in) or rejected.",
        largest=True,
    ),
    Family(
        "watchgate_calibration_rows",
        "gauge",
        _BY_ENDPOINT,
        "rows",
        "Rows that the thresholds were set on: how far to trust the budget.",
        largest=True,
    ),
    Family("watchgate_stage_rows_total", "counter", _BY_STAGE, "rows", "Rows that a stage scored."),
    Family("watchgate_stage_seconds", "summary", _BY_STAGE, "seconds", "Time of a stage on a batch."),
    Family(
        "watchgate_stage_errors_total",
        "counter",
        _BY_STAGE,
        "batches",
        "Batches a stage raised on or took too long for.",
    ),
    Family("watchgate_batch_seconds", "summary", _BY_ENDPOINT, "seconds", "Time of a batch in the chain."),
    Family("watchgate_batch_rows", "histogram", _BY_ENDPOINT, "rows", "Rows in a batch."),
    Family("watchgate_queued_rows", "gauge", _BY_ENDPOINT, "rows", "Rows that wait for the chain."),
    Family(
        "watchgate_dropped_observations_total",
        "counter",
        ("endpoint", "kind"),
        "requests",
        "Verdicts that the recorder had no room for.",
    ),
    Family(
        "watchgate_recorder_observations_total",
        "counter",
        ("lane", "outcome"),
        "requests",
        "Requests offered to the recorder: taken `whole`, `bare` (without their rows) or `dropped`.",
    ),
    Family(
        "watchgate_store_records_total",
        "counter",
        ("outcome",),
        "records",
        "Records on their way to the trace store: `stored`, `lost`, or `undescribed` (the recorder failed on them).",
    ),
    Family("watchgate_store_failures_total", "counter", (), "attempts", "Failed attempts to write the trace store."),
    Family(
        "watchgate_store_lost_payloads_total",
        "counter",
        (),
        "records",
        "Records stored without the rows they should have.",
    ),
    Family("watchgate_store_waiting_records", "gauge", (), "records", "Records that wait to be written again."),
    Family(
        "watchgate_store_last_write_timestamp_seconds",
        "gauge",
        (),
        "seconds since 1970",
        "When the trace store last took records.",
        largest=True,
    ),
    Family(
        "watchgate_export_requests_total",
        "counter",
        ("outcome",),
        "requests",
        "Kept requests on their way to the OTLP receiver: `exported` or `lost`.",
    ),
    Family("watchgate_export_failures_total", "counter", (), "batches", "Batches of spans that the receiver refused."),
    Family(
        "watchgate_export_metrics_failures_total",
        "counter",
        (),
        "batches",
        "Batches of metrics that the OTLP receiver refused.",
    ),
    Family("watchgate_query_rows_total", "counter", (), "rows", "Rows that the memory of queries was given."),
    Family("watchgate_query_new_rows_total", "counter", (), "rows", "Rows compared and remembered."),
    Family("watchgate_query_alike_rows_total", "counter", (), "rows", "Rows alike to earlier ones of their principal."),
    Family("watchgate_query_unsampled_rows_total", "counter", (), "rows", "Rows beyond what may be compared."),
    Family("watchgate_query_marks_total", "counter", (), "principals", "Principals marked."),
    Family("watchgate_tracking_taken_total", "counter", (), "requests", "Requests that the tracker took."),
    Family(
        "watchgate_tracking_dropped_total",
        "counter",
        (),
        "requests",
        "Requests that the tracker had no room or time for.",
    ),
    Family("watchgate_tracker_failures_total", "counter", (), "turns", "Turns of the tracker that failed."),
    Family(
        "watchgate_tracker_store_failures_total",
        "counter",
        (),
        "attempts",
        "Failed attempts of the tracker to use a store.",
    ),
    Family(
        "watchgate_tracker_store_reached",
        "gauge",
        (),
        "workers",
        "Workers whose last attempt at the shared store succeeded.",
    ),
    Family("watchgate_drift_rows_total", "counter", (), "rows", "Rows counted for drift."),
    Family(
        "watchgate_drift_unsampled_rows_total", "counter", (), "rows", "Rows beyond the rate that drift is counted at."
    ),
    Family(
        "watchgate_drift_lost_rows_total", "counter", (), "rows", "Counted rows that did not reach the shared store."
    ),
    Family(
        "watchgate_drift_pending_rows", "gauge", (), "rows", "Counted rows that the shared store has not taken yet."
    ),
    Family("watchgate_drift_flushes_total", "counter", (), "flushes", "Flushes of drift counts to the shared store."),
    Family(
        "watchgate_drift_flush_age_seconds",
        "gauge",
        (),
        "seconds",
        "Time since the drift counts of the worker that is behind the most reached the shared store.",
        largest=True,
    ),
    Family("watchgate_drift_evaluations_total", "counter", (), "evaluations", "Evaluations of drift."),
    Family(
        "watchgate_drift_evaluation_failures_total", "counter", (), "evaluations", "Evaluations of drift that failed."
    ),
    Family("watchgate_drift_alarms_total", "counter", (), "alarms", "Drift alarms, beginnings and ends."),
    Family(
        "watchgate_drift_drifted",
        "gauge",
        _BY_ENDPOINT,
        "0 or 1",
        "Whether the endpoint's input drifts, as last evaluated.",
        largest=True,
    ),
    Family(
        "watchgate_drift_statistic",
        "gauge",
        _BY_SERIES,
        "",
        "A series' statistic at the last evaluation.",
        largest=True,
    ),
    Family(
        "watchgate_drift_threshold",
        "gauge",
        _BY_SERIES,
        "",
        "The statistic from which on a series drifts.",
        largest=True,
    ),
    Family(
        "watchgate_drift_series_drifted",
        "gauge",
        ("endpoint", "series"),
        "0 or 1",
        "Whether a series drifts, as last evaluated: for a while after it fell below its threshold, too.",
        largest=True,
    ),
    Family(
        "watchgate_drift_window_rows",
        "gauge",
        ("endpoint", "series"),
        "rows",
        "Rows of the window that says most of a series.",
        largest=True,
    ),
    Family(
        "watchgate_drift_late_rows_total",
        "counter",
        _BY_ENDPOINT,
        "rows",
        "Rows that came after their bucket was evaluated.",
        largest=True,
    ),
    Family(
        "watchgate_feedback_labels_total",
        "counter",
        ("outcome",),
        "labels",
        "True labels that callers told: `counted`, `repeated` (the row had one) or `unknown` (no such answer).",
    ),
    Family(
        "watchgate_feedback_answers_total",
        "counter",
        ("outcome",),
        "requests",
        "Answers that true labels may find: `logged`, or `lost` while the shared store was out of reach.",
    ),
    Family(
        "watchgate_traffic_rows_total",
        "counter",
        ("outcome",),
        "rows",
        "Rows drawn for `calibrate --from-traffic`: `kept`, or `lost` (beyond the rate, or the file not writable).",
    ),
    Family("watchgate_foreign_rows_total", "counter", (), "rows", "Rows that other people's drift detectors saw."),
    Family("watchgate_foreign_unsampled_rows_total", "counter", (), "rows", "Rows beyond the rate of such detectors."),
    Family("watchgate_foreign_failures_total", "counter", (), "windows", "Windows that such a detector failed on."),
    Family(
        "watchgate_alerts_total",
        "counter",
        ("outcome",),
        "messages",
        "Alarms to webhooks and OTLP receivers, one message each: `sent` or `lost` (refused, or given up).",
    ),
    Family("watchgate_alerts_failures_total", "counter", (), "attempts", "Attempts to send an alarm that failed."),
    Family("watchgate_workers", "gauge", (), "processes", "Workers whose numbers these are."),
    Family(
        "watchgate_bundle_info",
        "gauge",
        ("endpoint", "version", "mode"),
        "1",
        "The bundle that an endpoint was loaded from.",
        largest=True,
    ),
    Family("watchgate_build_info", "gauge", ("version",), "1", "The release that serves.", largest=True),
)
BY_NAME: Mapping[str, Family] = {family.name: family for family in FAMILIES}
_PARTS = ("_bucket", "_sum", "_count")


def family_of(sample: str) -> Family | None:
    """The family of a sample's name; None for none of ours."""
    found = BY_NAME.get(sample)
    if found is not None:
        return found
    part = next((part for part in _PARTS if sample.endswith(part)), "")
    return BY_NAME.get(sample.removesuffix(part))
