"""Names of spans and attributes: the HTTP semantic conventions (stable ones), and ours under `watchgate.`.

Lists named `watchgate.row.*` and `watchgate.stage.scores|p_values` run in parallel: one value a row of
`watchgate.row.index`. NaN stands for "did not run". The kind of a span is OpenInference's.
"""

from __future__ import annotations

from opentelemetry.semconv.attributes import (
    client_attributes,
    error_attributes,
    http_attributes,
    service_attributes,
    url_attributes,
    user_agent_attributes,
)

SCOPE = "watchgate"
ROOT_SPAN = "watchgate.infer"
STAGE_SPAN = "watchgate.stage"  # and the stage's name
DRIFT_SPAN = "watchgate.drift"

METHOD = http_attributes.HTTP_REQUEST_METHOD
ROUTE = http_attributes.HTTP_ROUTE
STATUS = http_attributes.HTTP_RESPONSE_STATUS_CODE
CLIENT_ADDRESS = client_attributes.CLIENT_ADDRESS
URL_PATH = url_attributes.URL_PATH
URL_SCHEME = url_attributes.URL_SCHEME
USER_AGENT = user_agent_attributes.USER_AGENT_ORIGINAL
ERROR_TYPE = error_attributes.ERROR_TYPE
BODY_BYTES = "http.request.body.size"  # in development upstream, and widely used

SPAN_KIND = "openinference.span.kind"  # OpenInference's, which Phoenix sorts and filters by
GUARD_KIND = "GUARDRAIL"
STAGE_KIND = "EVALUATOR"

SERVICE_NAME = service_attributes.SERVICE_NAME
SERVICE_VERSION = service_attributes.SERVICE_VERSION
SERVICE_INSTANCE = service_attributes.SERVICE_INSTANCE_ID
PROCESS_ID = "process.pid"

ENDPOINT = "watchgate.endpoint"
CHAIN_VERSION = "watchgate.chain.version"
MODE = "watchgate.mode"
VERDICT = "watchgate.verdict"
ENFORCED = "watchgate.enforced"
DECIDED_BY = "watchgate.decided_by"
PRINCIPAL = "watchgate.principal"
REQUEST_ID = "watchgate.request.id"
CALLER_TRACE = "watchgate.caller.trace_id"
INPUT_DIGEST = "watchgate.input.sha256"
ROWS = "watchgate.rows.total"  # no name is also the beginning of others: receivers that nest by dots would lose one
ROWS_FLAGGED = "watchgate.rows.flagged"
ROWS_REJECTED = "watchgate.rows.rejected"
ROWS_RUN = "watchgate.rows.run"  # rows sent through the model, all passes together
FLAG_CUT = "watchgate.flag_cut"
REJECT_CUT = "watchgate.reject_cut"
ERROR = "watchgate.error"

ROW_INDEX = "watchgate.row.index"
ROW_VERDICT = "watchgate.row.verdict"
ROW_ACTION = "watchgate.row.action"
ROW_STATISTIC = "watchgate.row.statistic"
ROW_P_VALUE = "watchgate.row.p_value"
ROW_STAGE = "watchgate.row.decided_by"
ROW_EXPLANATION = "watchgate.row.explanation"
ROW_CLASS_BEFORE = "watchgate.row.class.before"
ROW_PROBABILITY_BEFORE = "watchgate.row.probability.before"
ROW_CLASS_AFTER = "watchgate.row.class.after"
ROW_PROBABILITY_AFTER = "watchgate.row.probability.after"
NO_CLASS = -1  # in the lists of classes: not asked, or not purified

STAGE_NAME = "watchgate.stage.name"
STAGE_SCORES = "watchgate.stage.scores"
STAGE_P_VALUES = "watchgate.stage.p_values"
STAGE_FLAG_SCORE = "watchgate.stage.flag_score"
STAGE_REJECT_SCORE = "watchgate.stage.reject_score"
STAGE_SHADOW = "watchgate.stage.shadow"
STAGE_CONDITIONAL = "watchgate.stage.conditional"
STAGE_DECIDED = "watchgate.stage.decided"  # whether its evidence was the strongest on some row
STAGE_TIME_MS = "watchgate.stage.time_ms"
STAGE_ERROR = "watchgate.stage.error"

DRIFT_STATE = "watchgate.drift.state"  # started or ended
DRIFT_SERIES = "watchgate.drift.series"
DRIFT_KIND = "watchgate.drift.kind"
DRIFT_STATISTIC = "watchgate.drift.statistic"
DRIFT_THRESHOLD = "watchgate.drift.threshold"
DRIFT_PSI = "watchgate.drift.psi"
DRIFT_ROWS = "watchgate.drift.window_rows"
