"""The operator's file: watchgate.yaml as frozen models. Reading it, with line numbers in errors, is `configfile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from defenses.catalogue import AnyPurifierSpec
from detectors.catalogue import AnyDetectorSpec
from gateway.alerts.config import AlertsConfig
from gateway.disclosure import AnyAnswerPolicy
from gateway.principals.config import PrincipalConfig
from gateway.smoothing import Smoothing
from gateway.state.config import StateConfig
from gateway.strict import Share, Strict
from gateway.telemetry.config import TelemetryConfig
from gateway.tracking.drift.config import DriftConfig
from gateway.tracking.feedback.config import FeedbackConfig
from gateway.tracking.foreign.config import AlibiTracker
from gateway.tracking.queries.config import QueriesConfig
from models.specs import AnyModelSpec

__all__ = [
    "Budget",
    "Config",
    "EndpointConfig",
    "Limits",
    "PurifyConfig",
    "StageConfig",
]

Disclose = Literal["none", "verdict", "scores"]

# Keys of a chain entry that say how a stage is used; all others belong to its detector.
STAGE_KEYS = ("name", "when", "share", "weight", "mode", "on_error", "timeout_ms", "trust")


class Budget(Strict):
    """Which share of honest rows the whole chain may flag (rejected ones counted in) and reject.

    `guarantee: average` holds on average over calibration sets; `set` holds for this calibration set with
    95 % confidence, at the price of a lower cut.
    """

    flag: Share = 0.05
    reject: Share = 0.01
    guarantee: Literal["average", "set"] = "average"

    @model_validator(mode="after")
    def _ordered(self) -> Budget:
        if self.reject > self.flag:
            raise ValueError(f"reject ({self.reject:g}) must not exceed flag ({self.flag:g}), which counts it in")
        return self


class StageConfig(Strict):
    """One entry of `chain`: a detector, and how it is used."""

    detector: AnyDetectorSpec
    name: str
    when: Literal["always", "suspicious"] = "always"
    share: Share = 0.1  # of honest rows a `when: suspicious` stage runs on
    weight: Annotated[float, Field(gt=0.0)] = 1.0
    mode: Literal["enforce", "shadow"] = "enforce"
    on_error: Literal["reject", "allow"] = "reject"
    timeout_ms: Annotated[float, Field(gt=0.0)] | None = None
    trust: bool = False  # whether `serve` may run code for it that the bundle doesn't hold

    @model_validator(mode="before")
    @classmethod
    def _split(cls, entry: Any) -> Any:
        if not isinstance(entry, dict) or "detector" in entry:
            return entry
        usage = {key: value for key, value in entry.items() if key in STAGE_KEYS}
        detector = {key: value for key, value in entry.items() if key not in STAGE_KEYS}
        return {"name": entry.get("kind", ""), **usage, "detector": detector}


class PurifyConfig(Strict):
    """One entry of `purify`: a purifier, and on which rows it is used."""

    purifier: AnyPurifierSpec
    when: Literal["flagged", "always"] = "flagged"

    @model_validator(mode="before")
    @classmethod
    def _split(cls, entry: Any) -> Any:
        if not isinstance(entry, dict) or "purifier" in entry:
            return entry
        usage = {"when": entry["when"]} if "when" in entry else {}
        return {**usage, "purifier": {key: value for key, value in entry.items() if key != "when"}}


class Limits(Strict):
    """What one request may take. Times in milliseconds, sizes in bytes or rows."""

    max_body_bytes: Annotated[int, Field(gt=0)] = 16 * 2**20
    max_request_rows: Annotated[int, Field(gt=0)] = 1024
    max_image_pixels: Annotated[int, Field(gt=0)] = 16_000_000
    max_batch_rows: Annotated[int, Field(gt=0)] = 64
    max_queued_rows: Annotated[int, Field(gt=0)] = 4096
    timeout_ms: Annotated[float, Field(gt=0)] = 10_000.0


class EndpointConfig(Strict):
    """One protected model: POST /v2/models/<name>/infer.

    `chain: auto` is `selects`, and no stages: `calibrate` chooses them, and the bundle has them. `cost` is the most
    forward passes a row, on average over honest rows.
    """

    model: AnyModelSpec
    reference: Path
    holdout: Path | None = None
    group: str | None = None  # array in the holdout file whose equal values are never split apart
    budget: Budget = Budget()
    chain: tuple[StageConfig, ...] = ()
    selects: bool = Field(default=False, repr=False)
    cost: Annotated[float, Field(ge=1.0)] | None = None
    wear: Literal["auto", "mild", "none"] = "auto"  # what honest images and series may come with, and still be honest
    purify: tuple[PurifyConfig, ...] = ()
    mode: Literal["enforce", "shadow"] = "enforce"
    disclose: Disclose = "verdict"
    answers: tuple[AnyAnswerPolicy, ...] = ()  # in order; what of the model's classes callers don't see
    smoothing: Smoothing | None = None  # certificates on request; null: none
    queries: QueriesConfig | None = None  # memory of queries; null: none
    drift: DriftConfig | None = None  # what is watched for drift; null: nothing
    feedback: FeedbackConfig | None = None  # true labels of what was answered; null: none are taken
    trackers: tuple[AlibiTracker, ...] = ()  # other people's drift detectors, on a sample of the rows
    limits: Limits = Limits()
    examples: Annotated[int, Field(ge=0, le=10_000)] = 200  # reference rows in the bundle, for people to look at
    seed: int = 0

    @model_validator(mode="before")
    @classmethod
    def _auto(cls, entry: Any) -> Any:
        if not isinstance(entry, dict) or not isinstance(entry.get("chain"), str):
            return entry
        if entry["chain"] != "auto":
            raise ValueError(f"chain: expected auto or a list, found {entry['chain']!r}")
        return {**entry, "chain": (), "selects": True}

    @model_validator(mode="after")
    def _coarsened_labels_are_sure(self) -> EndpointConfig:
        coarsens = self.queries is not None and "coarsen" in self.queries.steps
        if coarsens and any(policy.kind == "high_confidence_only" for policy in self.answers):
            raise ValueError("queries.steps: `coarsen` would tell classes that `answers: high_confidence_only` hides")
        return self

    @model_validator(mode="after")
    def _one_tells_what_the_other_hides(self) -> EndpointConfig:
        if self.smoothing is not None and self.answers:
            raise ValueError("smoothing: a certified radius tells how sure the model is, which `answers` withholds")
        return self

    @model_validator(mode="after")
    def _trackers(self) -> EndpointConfig:
        names = [tracker.name for tracker in self.trackers]
        if len(set(names)) < len(names):
            raise ValueError("trackers: two have the same name: give one of them a `name`")
        return self

    @model_validator(mode="after")
    def _stages(self) -> EndpointConfig:
        if self.selects and self.chain:
            raise ValueError("selects: expected with `chain: auto`, found with a list of stages")
        names = [stage.name for stage in self.chain]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two stages are named {twice[0]!r}: give one of them a `name`")
        if self.chain and all(s.when == "suspicious" or s.mode == "shadow" for s in self.chain):
            raise ValueError("`when: suspicious` needs at least one unconditional enforcing stage before it")
        return self


class Config(Strict):
    """A whole watchgate.yaml."""

    endpoints: Annotated[dict[str, EndpointConfig], Field(min_length=1)]
    state: StateConfig = StateConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    alerts: AlertsConfig = AlertsConfig()  # who is told of drift, beside the log
    principal: PrincipalConfig | None = None  # null: the peer's address
    bundle: Path = Path("bundle")  # written by calibrate, verified and loaded by serve; relative to the config file
