"""`watchgate demo`: a small model of handwritten digits, protected, served and attacked."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.console import PORT
from gateway.cli.output import AsJson
from gateway.errors import OperatorError

NEEDED = {"torch": "torch", "sklearn": "scikit-learn", "onnxscript": "onnxscript"}


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the table; status 0 only if all is as promised.")] = (
        False
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of the endpoint, on 127.0.0.1.")] = 3000,
    console_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="The port of its console; 0: none. With --once there is none.",
            show_default=str(PORT),
        ),
    ] = None,
    directory: Annotated[Path, typer.Option("--dir", help="The folder for the demo's files.")] = Path("demo"),
    json: AsJson = False,
) -> None:
    """Train, protect, serve and attack a small model; then go on serving it until Ctrl-C."""
    absent = [package for module, package in NEEDED.items() if find_spec(module) is None]
    if absent:
        raise OperatorError(f"the demo needs {', '.join(absent)}: pip install 'watchgate[demo]'")
    from gateway.demo.show import show

    wanted = PORT if console_port is None else console_port
    raise typer.Exit(show(directory, port, 0 if once else wanted, once=once, as_json=json))
