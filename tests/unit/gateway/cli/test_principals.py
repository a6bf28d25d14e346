"""The commands about principals and keys."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.principals.keys import Keys
from gateway.state.principals.file import PrincipalFile
from gateway.state.principals.store import Mark
from gateway.state.sqlite import SqliteStore
from gateway.telemetry.describe import describe
from tests.traffic import observe, wild

CONFIG = """
endpoints:
  m: {model: {kind: onnx, path: m.onnx}, reference: r.npz, queries: {}}
principal: {keys: secrets/keys.json}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "watchgate.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def store(config: Path) -> PrincipalFile:
    now_ns = time.time_ns()
    opened = PrincipalFile.open(config.parent / "state")
    mark = Mark("mallory", "m", "3 of its last 8 queries are like it", 4, now_ns, now_ns + 10**12)
    opened.add({"mallory": mark}, {"mallory": 9, "alice": 2}, now_ns)
    return opened


def run(*words: object, status: int = 0) -> str:
    ran = CliRunner().invoke(app, [str(word) for word in words])
    assert ran.exit_code == status, ran.output
    return ran.output if status else ran.stdout


@pytest.mark.parametrize("named", [("--config",), ()])
def test_principals_are_listed(config: Path, store: PrincipalFile, named: tuple[str, ...]) -> None:
    found = {each["principal"]: each for each in json.loads(run("principals", *named, config, "--json"))}
    assert found["mallory"]["marked"] is True
    assert found["mallory"]["reason"] == "3 of its last 8 queries are like it"
    assert found["mallory"]["queries"] == 9
    assert found["mallory"]["since"].startswith("20")
    assert (found["alice"]["marked"], found["alice"]["reason"], found["alice"]["since"]) == (False, None, None)


def test_marked_ones_only(config: Path, store: PrincipalFile) -> None:
    assert "alice" in run("principals", "--config", config)
    told = run("principals", "--config", config, "--marked")
    assert "mallory" in told
    assert "alice" not in told


def test_what_was_stopped_stands_beside_what_was_asked(config: Path, store: PrincipalFile) -> None:
    traces = SqliteStore.open_for_writing(config.parent / "state")
    traces.write([describe(observe(wild(1), principal=name)) for name in ("mallory", "bob", "bob")])
    traces.close()
    found = json.loads(run("principals", "--config", config, "--json"))
    assert [each["principal"] for each in found] == ["mallory", "bob", "alice"]
    assert [each["rejected_requests"] for each in found] == [1, 2, 0]
    assert [each["step"] for each in found] == ["slow", None, None]
    assert found[1]["reject_share"] is None  # of clean requests one in a hundred is kept: none here
    assert json.loads(run("principals", "--config", config, "--json", "--since", "0s"))[1]["rejected_requests"] == 0


def test_a_mark_is_lifted_once(config: Path, store: PrincipalFile) -> None:
    run("principals", "--config", config, "lift", "mallory")
    assert not store.marks(time.time_ns())
    assert "principal 'mallory' is not marked" in run("principals", "--config", config, "lift", "mallory", status=2)


def test_a_gateway_that_never_served_has_no_principals(config: Path) -> None:
    assert "expected the principals of a gateway that has served" in run("principals", config, status=2)


def test_a_key_is_shown_once_and_only_its_hash_is_kept(config: Path) -> None:
    key = run("keys", "add", "alice", "--config", config).strip().splitlines()[-1]
    file = config.parent / "secrets" / "keys.json"
    assert key.split("_", 2)[2] not in file.read_text()
    assert os.stat(file).st_mode & 0o777 == 0o600
    found = Keys(file).find(key)
    assert found is not None
    assert (found.name, found.operator) == ("alice", False)


def test_keys_are_listed_and_revoked(config: Path) -> None:
    key = run("keys", "add", "alice", "--config", config, "--expires", "30d").strip().splitlines()[-1]
    run("keys", "add", "root", "--operator", "--config", config)
    listed = json.loads(run("keys", "list", "--json", "--config", config))
    assert [(each["name"], each["live"], each["operator"]) for each in listed] == [
        ("alice", True, False),
        ("root", True, True),
    ]
    assert "root, operator  does not end" in run("keys", "list", "--config", config)
    run("keys", "revoke", "alice", "--config", config)
    assert Keys(config.parent / "secrets" / "keys.json").find(key) is None
    assert "no live key" in run("keys", "revoke", "alice", "--config", config, status=2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "1.2.3.4"), "name: expected a letter"),
        (("add", "bob", "--expires", "soon"), "--expires: expected a duration"),
        (("list",), "`watchgate keys add NAME` makes it"),
    ],
)
def test_mistakes_with_keys_are_told_in_a_line(config: Path, words: tuple[str, ...], told: str) -> None:
    assert told in run("keys", *words, "--config", config, status=2)


def test_without_a_file_in_the_config_there_are_no_keys(config: Path) -> None:
    config.write_text(CONFIG.partition("principal:")[0])
    assert "principal.keys: expected the path" in run("keys", "list", "--config", config, status=2)


def test_a_server_that_does_not_answer_is_told(config: Path) -> None:
    pytest.importorskip("redis")
    config.write_text(CONFIG + "state: {kind: redis, url: 'redis://me:hidden@127.0.0.1:1'}\n")
    told = run("principals", config, status=2)
    assert "redis://me:***@127.0.0.1:1: " in told
    assert "hidden" not in told
