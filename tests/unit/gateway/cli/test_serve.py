from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gateway
from gateway.cli.output import program
from gateway.cli.serve import address, check_free, command, environment, welcome
from gateway.configfile import read
from gateway.errors import OperatorError
from gateway.training.loading import load_endpoints

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def calibrated(run: Run, folder: Path) -> Path:
    run("init", "--listed", "--model", "digits.onnx", "--reference", "train.npz", "--holdout", "test.npz")
    assert run("calibrate")[0] == 0
    return folder


@pytest.fixture
def busy() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_service_is_found_from_every_folder() -> None:
    line = command("127.0.0.1", 3000)
    where = Path(line[line.index("--working-dir") + 1])
    assert where == Path(gateway.__file__).parents[1]
    assert (where / "gateway/service.py").is_file()
    assert line[line.index("--port") + 1] == "3000"


def test_the_service_reads_the_config_and_tracks_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENTOML_DO_NOT_TRACK", raising=False)
    found = environment(Path("watchgate.yaml"), 3)
    assert found["WATCHGATE_CONFIG"] == str(tmp_path / "watchgate.yaml")
    assert found["WATCHGATE_WORKERS"] == "3"
    assert found["BENTOML_DO_NOT_TRACK"] == "true"
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "false")
    assert environment(Path("watchgate.yaml"), 1)["BENTOML_DO_NOT_TRACK"] == "false"


def test_a_port_in_use_is_told(busy: int) -> None:
    with pytest.raises(OperatorError, match=f"can't listen on 127.0.0.1:{busy}: Address already in use"):
        check_free("127.0.0.1", busy)


def test_hosts() -> None:
    assert address("127.0.0.1") == "127.0.0.1"
    assert address("localhost") in ("127.0.0.1", "::1")
    with pytest.raises(OperatorError, match="--host: expected an address or host name, found 'no such host'"):
        address("no such host")


def test_what_it_says_first(calibrated: Path) -> None:
    config = read(calibrated / "watchgate.yaml")
    lines = welcome(config, Path("watchgate.yaml"), load_endpoints(config).values(), "http://127.0.0.1:3000")
    assert lines[0].startswith("digits: POST http://127.0.0.1:3000/v2/models/digits/infer (contract, ")
    assert f"what it stopped: {program()} traces list" in lines
    named = welcome(config, Path("a/b.yaml"), [], "http://127.0.0.1:3000")
    assert f"what it stopped: {program()} traces list --config a/b.yaml" in named


def test_it_refuses_what_was_not_calibrated(run: Run, folder: Path) -> None:
    run("init", "--listed", "--model", "digits.onnx", "--reference", "train.npz")
    status, _, error = run("serve")
    assert status == 2
    assert len(error.splitlines()) == 1
    assert "watchgate calibrate" in error


def test_it_refuses_an_altered_bundle(run: Run, calibrated: Path) -> None:
    file = calibrated / "bundle/digits/stage-1.npz"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    status, _, error = run("serve")
    assert status == 2
    assert "stage-1.npz" in error


def test_it_refuses_another_budget_than_was_calibrated(run: Run, calibrated: Path) -> None:
    file = calibrated / "watchgate.yaml"
    file.write_text(file.read_text().replace("flag: 0.05 ", "flag: 0.1 "))
    status, _, error = run("serve")
    assert status == 2
    assert "budget.flag" in error


def test_a_store_that_can_not_be_written_is_told_before_workers_start(run: Run, calibrated: Path) -> None:
    file = calibrated / "watchgate.yaml"
    file.write_text(file.read_text().replace("path: state ", "path: train.npz "))
    status, _, error = run("serve")
    assert status == 2
    assert "state.path" in error


def test_a_busy_port_is_told_before_workers_start(run: Run, calibrated: Path, busy: int) -> None:
    status, _, error = run("serve", "--port", str(busy))
    assert status == 2
    assert error.startswith(f"watchgate: can't listen on 127.0.0.1:{busy}")
