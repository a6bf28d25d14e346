"""The whole demonstration, in order."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from gateway.cli.output import note, print_json, program
from gateway.cli.serve import check_free
from gateway.configfile import read
from gateway.demo import digits, network
from gateway.demo.client import Client
from gateway.demo.digits import Digits
from gateway.demo.folder import Folder
from gateway.demo.malformed import requests, valid
from gateway.demo.network import Network
from gateway.demo.outcome import Outcome, Promise, ask, ask_malformed
from gateway.demo.server import HOST, serving
from gateway.demo.traffic import groups
from gateway.errors import OperatorError
from gateway.starting.start import start
from gateway.training.calibrate import calibrate

ID_SHOWN = 12  # digits of a trace's id: enough to find it


def show(path: Path, port: int, console_port: int, *, once: bool, as_json: bool) -> int:
    """Runs the demo; with `once` the exit status says whether all was as promised, else it serves until Ctrl-C.

    Raises:
        OperatorError: the port is taken, the folder holds somebody's files, or the server did not start.
    """
    check_free(HOST, port)
    if console_port:
        check_free(HOST, console_port, "--console-port")
    folder = Folder.prepare(path)
    with _terminable():
        with _step("trained a small network on handwritten digits and exported it to ONNX"):
            data, net = _model(folder)
        with _step("calibrated its guard (watchgate calibrate)"):
            promise = _calibrated(folder, len(data.honest))
        note("starting the server (watchgate serve) ...")
        with serving(folder / "watchgate.yaml", port, folder / "server.log", console_port) as server:
            with _step("sent honest, adversarial, foreign and malformed requests"):
                outcome = _traffic(port, net, data, promise)
            _tell(outcome, folder, port, console_port, as_json)
            if not once:
                _go_on(server, folder)
    return 1 if once and outcome.broken else 0


def _model(folder: Folder) -> tuple[Digits, Network]:
    data = digits.load()
    net = network.train(data.train)
    network.export(net, folder / "digits.onnx")
    data.train.save(folder / "train.npz")
    data.holdout.save(folder / "test.npz")
    (folder / "request.json").write_bytes(valid(data.honest.x[0]))
    return data, net


def _calibrated(folder: Folder, honest: int) -> Promise:
    """Writes the config as `watchgate init` would, calibrates, and tells what the cuts promise for honest rows."""
    found, _ = start(folder / "digits.onnx", folder / "train.npz", folder / "test.npz")
    config = folder / "watchgate.yaml"
    config.write_text(found.text(config.absolute().parent), encoding="utf-8")
    measured = calibrate(read(config, need_files=True), found.name).measured
    if measured.flag is None or measured.reject is None:
        raise OperatorError(f"{config}: expected a chain with stages, found none")
    return Promise.of(measured.flag.cut, measured.reject.cut, honest)


def _traffic(port: int, net: Network, data: Digits, promise: Promise) -> Outcome:
    client = Client(HOST, port)
    try:
        tallies = tuple(ask(client, group) for group in groups(net, data))
        malformed, let_in = ask_malformed(client, requests())
    finally:
        client.close()
    return Outcome(tallies, malformed, tuple(let_in), promise)


def _tell(outcome: Outcome, folder: Folder, port: int, console_port: int, as_json: bool) -> None:
    config = folder / "watchgate.yaml"
    if as_json:
        print_json({**outcome.to_json(), "config": str(config), "url": f"http://{HOST}:{port}"})
        sys.stdout.flush()
        return
    console = Console(highlight=False)
    console.print(outcome.table())
    for line in outcome.lines():
        console.print(line)
    console.print()
    if console_port:
        home = f"http://{HOST}:{console_port}"
        console.print(f"look at what was stopped, and why, in a browser:\n  [bold]{home}[/]", soft_wrap=True)
        if outcome.flagged_id is not None:
            console.print(
                f"one row that was flagged, there:\n  [bold]{home}/requests/{outcome.flagged_id}[/]", soft_wrap=True
            )
    for what, command in _commands(outcome, config, folder / "request.json", port):
        console.print(f"{what}\n  [bold]{command}[/]", soft_wrap=True)
    sys.stdout.flush()


def _commands(outcome: Outcome, config: Path, request: Path, port: int) -> Iterator[tuple[str, str]]:
    where = f"--config {config}"
    for what, found in (("flagged", outcome.flagged_id), ("rejected", outcome.rejected_id)):
        if found is not None:
            yield f"one row that was {what}:", f"{program()} traces show {found[:ID_SHOWN]} {where}"
    yield "all that was stopped:", f"{program()} traces list {where}"
    url = f"http://{HOST}:{port}/v2/models/digits/infer"
    yield "call it yourself:", f"curl {url} -H 'content-type: application/json' -d @{request}"


def _go_on(server: subprocess.Popen[bytes], folder: Folder) -> None:
    """Serves until Ctrl-C.

    Raises:
        OperatorError: the server ended by itself.
    """
    note("\nserving; Ctrl-C stops")
    try:
        status = server.wait()
    except KeyboardInterrupt:
        note("stopping")
        return
    raise OperatorError(f"the server ended with status {status}; its log is {folder / 'server.log'}")


@contextmanager
def _step(done: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    note(f"{done} ({time.monotonic() - started:.1f} s)")


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that the server is stopped with it."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
