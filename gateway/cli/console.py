"""`watchgate console`: the operator's pages over what the gateway recorded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import note

PORT = 3001
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The config file.")]


def console(
    config: ConfigOption = Path("watchgate.yaml"),
    host: Annotated[
        str, typer.Option(help="The address to listen on; any but this machine's own asks for a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of the pages.")] = PORT,
    gateway: Annotated[str, typer.Option(help="Where the endpoints answer, for commands to copy.")] = (
        "http://127.0.0.1:3000"
    ),
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Show what was stopped and why, in a browser, until Ctrl-C."""
    from gateway.cli.serve import address, check_free
    from gateway.configfile import read
    from gateway.console.access import token_for
    from gateway.console.server import is_loopback, run
    from gateway.console.source import Source

    settings = read(config)
    host = address(host)
    check_free(host, port)
    if parent is None:
        note(f"console: http://{f'[{host}]' if ':' in host else host}:{port}")
        if not is_loopback(host):
            note(f"sign in with the token from {token_for(settings.state.path)[1]}")
    run(Source(settings, config.absolute(), gateway), host, port, parent)


def start_beside(config: Path, port: int, gateway: str) -> None:
    """Starts the console as a child, which ends when this process does, also after it has become another program."""
    options = ["--config", str(config.absolute()), "--port", str(port), "--gateway", gateway]
    command = [sys.executable, "-m", "gateway.cli", "console", *options, "--parent", str(os.getpid())]
    subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
