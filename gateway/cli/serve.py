"""`watchgate serve`: checks the bundle, then becomes BentoML's server."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.console import PORT, start_beside
from gateway.cli.output import ConfigFile, note, program
from gateway.errors import OperatorError

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.endpoint import Endpoint

DRAIN_S = 30  # how long accepted requests may take after Ctrl-C or SIGTERM


def serve(
    config: ConfigFile = Path("watchgate.yaml"),
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of the protected endpoints.")] = 3000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
    console_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="The port of the console, on 127.0.0.1; 0: none.", show_default=str(PORT)),
    ] = None,
    no_console: Annotated[bool, typer.Option("--no-console", help="Start no console.")] = False,
) -> None:
    """Serve the calibrated endpoints until Ctrl-C, with the operator's console beside them.

    The bundle is verified first: altered files, or a config that it was not calibrated for, are refused.
    """
    from gateway.configfile import read
    from gateway.principals.admission import Admission
    from gateway.telemetry.recorder import open_recorder
    from gateway.tracking.opening import open_tracker
    from gateway.training.loading import load_endpoints

    settings = read(config)
    # Workers that fail as they start are started again and again: what could stop them is tried here first.
    endpoints = load_endpoints(settings)
    open_recorder(settings, [endpoint.info for endpoint in endpoints.values()])
    Admission.of(settings, open_tracker(settings, endpoints))
    host = address(host)
    check_free(host, port)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    for line in welcome(settings, config, endpoints.values(), url):
        note(line)
    if not no_console:
        note(begin_console(config, console_port, url))
    sys.stderr.flush()
    os.execve(sys.executable, command(host, port), environment(config, workers))


def begin_console(config: Path, port: int | None, url: str) -> str:
    """Starts the console beside the server, and says where it is. A default port in use is no reason not to serve.

    Raises:
        OperatorError: the port that was asked for is in use.
    """
    if port == 0:
        return "no console"
    wanted = PORT if port is None else port
    try:
        check_free("127.0.0.1", wanted, "--console-port")
    except OperatorError as error:
        if port is not None:
            raise
        return f"no console: {error}"
    start_beside(config, wanted, url)
    return f"console: http://127.0.0.1:{wanted}"


def command(host: str, port: int) -> list[str]:
    """The server's command line. The service is imported from where this package is, whatever folder one is in."""
    where = Path(__file__).parents[2]
    options = ["--host", host, "--port", str(port), "--working-dir", str(where)]
    options += ["--timeout-graceful-shutdown", str(DRAIN_S)]
    return [sys.executable, "-m", "bentoml", "serve", "gateway.service:Gateway", *options]


def environment(config: Path, workers: int) -> dict[str, str]:
    """What the service reads; BentoML's usage tracking is off unless it was asked for."""
    stated = {"WATCHGATE_CONFIG": str(config.absolute()), "WATCHGATE_WORKERS": str(workers)}
    return {"BENTOML_DO_NOT_TRACK": "true", **os.environ, **stated}


def address(host: str) -> str:
    """The IP address of a host name.

    Raises:
        OperatorError: it has none on this machine.
    """
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        raise OperatorError(f"--host: expected an address or host name, found {host!r}") from None


def check_free(host: str, port: int, option: str = "--port") -> None:
    """Raises:
    OperatorError: the port can't be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OperatorError(f"can't listen on {host}:{port}: {error.strerror}; choose another {option}") from None


def welcome(config: Config, path: Path, endpoints: Iterable[Endpoint], url: str) -> list[str]:
    """Where the endpoints are, how to call the first one, and how to look at what was stopped."""
    lines = []
    for endpoint in endpoints:
        stages = ", ".join(endpoint.chain.names) or "no stages"
        lines.append(f"{endpoint.name}: POST {url}/v2/models/{endpoint.name}/infer ({stages})")
    first = next(iter(config.endpoints))
    where = "" if path == Path("watchgate.yaml") else f" --config {path}"
    return [
        *lines,
        f"its inputs: curl {url}/v2/models/{first}",
        f"what it stopped: {program()} traces list{where}",
        "Ctrl-C stops, after answering what was accepted.",
    ]
