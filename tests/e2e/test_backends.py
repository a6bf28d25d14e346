"""Traces where people already look: a thousand requests to the real gateway, 37 of them stopped, and the filter that
docs/inspect.md gives finds those 37 in a real Arize Phoenix and in a real MLflow.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from gateway.configfile import read
from gateway.training.loading import load_endpoints
from gateway.verdict import Action
from models.batch import Array, Batch
from tests import digits
from tests.backends import environment, post, running
from tests.command import ENVIRONMENT, run, serving
from tests.ports import free_port
from tests.wired import tensor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
INFER = "/v2/models/digits/infer"
DOCUMENT = Path(__file__).parents[2] / "docs" / "inspect.md"
REQUESTS, FLAGGED, REJECTED = 1000, 25, 12


@dataclass(frozen=True)
class Sent:
    """Ids of the requests, by what was done with them; and how many of them were exported."""

    allowed: set[str] = field(default_factory=set)
    flagged: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)
    exported: int = 0

    @property
    def stopped(self) -> set[str]:
        return self.flagged | self.rejected


def documented(backend: str) -> str:
    """The filter that the page gives for what was flagged or rejected."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"### {backend}\n")[1].split("\n#")[0]
    found = re.search(r"```text\n(.+)\n```", section)
    assert found is not None
    return found[1]


def configure(folder: Path, url: str, state: str = "state", **telemetry: Any) -> None:
    """The config, with a state folder of this name: counters outlive a server."""
    endpoint = {
        **digits.ENDPOINT,
        "budget": {"flag": 0.1, "reject": 0.01},
        "wear": "none",
        "chain": [{"kind": "contract"}, {"kind": "mahalanobis"}],
    }
    document = {"endpoints": {"digits": endpoint}, "telemetry": {"otlp": url, **telemetry}, "state": {"path": state}}
    (folder / "watchgate.yaml").write_text(yaml.safe_dump(document))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("backends")
    digits.write(found)
    configure(found, "http://127.0.0.1:9")
    ran = run(found, "calibrate", "--quick")
    assert ran.returncode == 0, ran.stderr
    return found


@pytest.fixture(scope="module")
def x(folder: Path) -> Array:
    """A thousand rows in random order, of which the chain flags and rejects exactly as many as stated."""
    honest: Array = np.load(folder / "test.npz")["x"]
    chain = load_endpoints(read(folder / "watchgate.yaml"))["digits"].chain
    actions = chain.run(Batch(honest)).verdicts.actions
    allowed, flagged = (honest[actions == int(action)] for action in (Action.ALLOW, Action.FLAG))
    assert len(flagged) >= FLAGGED
    kept = np.resize(np.arange(len(allowed)), REQUESTS - FLAGGED - REJECTED)
    rejected = allowed[:REJECTED] + np.float32(0.01)  # no scan has such gray levels
    order = np.random.default_rng(0).permutation(REQUESTS)
    rows: Array = np.concatenate([allowed[kept], flagged[:FLAGGED], rejected])[order]
    return rows


@contextmanager
def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Iterator[None]:
    with monkeypatch.context() as patch:
        for name, value in variables.items():
            patch.setitem(ENVIRONMENT, name, value)
        yield


def send(folder: Path, x: Array) -> Sent:
    """Every row as a request of its own; the gateway has sent its traces when this comes back, and lost none."""
    sent = Sent()
    port = free_port()
    with serving(folder, port), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        for row in x:
            answer = client.post(INFER, json={"inputs": [tensor(row[None].tolist(), (1, *row.shape))]})
            told = [each["data"] for each in answer.json().get("outputs", ()) if each["name"] == "verdict"]
            kind = sent.rejected if answer.status_code == 403 else sent.flagged if told else sent.allowed
            kind.add(answer.headers["x-watchgate-id"])
        exported = arrived(client)
    assert (len(sent.flagged), len(sent.rejected)) == (FLAGGED, REJECTED)
    return replace(sent, exported=exported)


def arrived(client: httpx.Client) -> int:
    """Waits until all that the gateway has kept is with the receiver; how many requests that were."""
    deadline = time.monotonic() + 600
    while True:
        page = client.get("/metrics").text
        told = {name: float(value) for name, value in re.findall(r"^(watchgate_\S+) (\S+)$", page, re.MULTILINE)}
        observed = [told[f'watchgate_recorder_observations_total{{lane="{lane}",outcome="{outcome}"}}']
                    for lane in ("verdicts", "clean") for outcome in ("whole", "bare")]  # fmt: skip
        if told['watchgate_export_requests_total{outcome="exported"}'] >= sum(observed):
            break
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert told['watchgate_export_requests_total{outcome="lost"}'] == 0
    return int(sum(observed))


SPANS = """query($project: ID!, $filter: String, $after: String) { node(id: $project) { ... on Project {
  spans(first: 1000, after: $after, filterCondition: $filter) {
    pageInfo { hasNextPage endCursor }
    edges { node { name spanKind attributes context { traceId } } }
  }
} } }"""


class Phoenix:
    """What its pages ask its server for."""

    def __init__(self, url: str, project: str, requests: int) -> None:
        """Waits until it has stored so many requests: it does that some time after it took them."""
        self._url = url + "/graphql"
        self._project: str | None = None
        deadline = time.monotonic() + 120
        while self._project is None or len(self.traces("parent_id is None")) < requests:
            assert time.monotonic() < deadline
            time.sleep(0.5)
            found = post(self._url, {"query": "{ projects(first: 100) { edges { node { id name } } } }"})
            named = {edge["node"]["name"]: edge["node"]["id"] for edge in found["data"]["projects"]["edges"]}
            self._project = named.get(project)

    def spans(self, condition: str) -> list[Any]:
        found: list[Any] = []
        after = None
        while True:
            variables = {"project": self._project, "filter": condition, "after": after}
            answer = post(self._url, {"query": SPANS, "variables": variables})
            assert "errors" not in answer, answer
            page = answer["data"]["node"]["spans"]
            found += [edge["node"] for edge in page["edges"]]
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]

    def traces(self, condition: str) -> list[str]:
        return sorted(span["context"]["traceId"] for span in self.spans(condition))


def test_phoenix_finds_what_was_stopped(
    folder: Path, x: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = environment("phoenix")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    own = {
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_WORKING_DIR": str(tmp_path),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    with running([str(programs / "phoenix"), "serve"], f"{url}/healthz", tmp_path, own):
        sent = {}
        for project, telemetry in (("everything", {"sample_clean": 1.0}), ("default-share", {})):
            configure(folder, url, project, **telemetry)
            with settings(monkeypatch, OTEL_RESOURCE_ATTRIBUTES=f"openinference.project.name={project}"):
                sent[project] = send(folder, x)
        everything, usual = (Phoenix(url, project, one.exported) for project, one in sent.items())
        stopped = documented("Arize Phoenix")
        assert everything.traces(stopped) == sorted(sent["everything"].stopped)
        assert usual.traces(stopped) == sorted(sent["default-share"].stopped)
        assert len(everything.traces("parent_id is None")) == REQUESTS
        clean = set(usual.traces("parent_id is None")) - sent["default-share"].stopped
        assert clean <= sent["default-share"].allowed
        assert len(clean) < 40  # a hundredth of 963
        by_attributes(everything, sent["everything"])


def by_attributes(seen: Phoenix, sent: Sent) -> None:
    """What else a person would search for."""
    guarded = "attributes['watchgate']"
    rejected = f"{guarded}['verdict'] == 'reject'"
    assert seen.traces(f"{guarded}['decided_by'] == 'contract' and {rejected}") == sorted(sent.rejected)
    assert seen.traces(f"{guarded}['rows']['flagged'] > 0") == sorted(sent.flagged)
    assert len(seen.traces(f"{guarded}['endpoint'] == 'digits' and span_kind == 'GUARDRAIL'")) == REQUESTS
    assert len(seen.traces(f"{guarded}['stage']['name'] == 'contract'")) == REQUESTS
    assert seen.traces("attributes['http']['response']['status_code'] == 403") == sorted(sent.rejected)
    [span] = [
        span for span in seen.spans(documented("Arize Phoenix")) if span["context"]["traceId"] == min(sent.rejected)
    ]
    assert (span["name"], span["spanKind"]) == ("watchgate.infer", "guardrail")
    facts = json.loads(span["attributes"])["watchgate"]
    assert facts["rows"] == {"total": 1, "flagged": 0, "rejected": 1, "run": 0}
    assert facts["row"]["verdict"] == ["reject"]


def test_mlflow_finds_what_was_stopped(folder: Path, x: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = environment("mlflow")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    own = {
        "PATH": f"{programs}:{ENVIRONMENT['PATH']}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with running([str(programs / "mlflow"), "server", *options, *store], f"{url}/health", tmp_path, own):
        made = post(f"{url}/api/2.0/mlflow/experiments/create", {"name": "digits"})["experiment_id"]
        configure(folder, url, "state-mlflow", sample_clean=1.0)
        with settings(monkeypatch, OTEL_EXPORTER_OTLP_HEADERS=f"x-mlflow-experiment-id={made}"):
            sent = send(folder, x)
        assert found(url, made, documented("MLflow")) == sorted(sent.stopped)
        assert found(url, made, "span.attributes.watchgate.verdict RLIKE '^reject$'") == sorted(sent.rejected)
        assert len(found(url, made, "")) == REQUESTS


def found(url: str, experiment: str, condition: str) -> list[str]:
    """Trace ids, page by page."""
    where = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}]
    asked = {"locations": where, "filter": condition, "max_results": 500}
    ids: list[str] = []
    while True:
        answer = post(f"{url}/api/3.0/mlflow/traces/search", asked)
        ids += [trace["trace_id"].removeprefix("tr-") for trace in answer.get("traces", ())]
        if not answer.get("next_page_token"):
            return sorted(ids)
        asked["page_token"] = answer["next_page_token"]
