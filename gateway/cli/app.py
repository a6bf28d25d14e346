"""The commands, put together."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway.cli import calibrate, console, demo, drift, explain, init, keys, principals, serve, status
from gateway.cli.traces.app import app as traces
from gateway.errors import WatchgateError

ABOUT = """Serve a trained model behind a guard that knows what honest input looks like.

[bold]calibrate[/] turns a budget of false alarms into thresholds, [bold]serve[/] answers callers, \
[bold]console[/] and [bold]traces[/] show why a row was stopped.
"""
START = """Start here: [bold]watchgate demo[/] — or, with a model of your own:

  watchgate init --model clf.onnx --reference train.npz
  watchgate calibrate
  watchgate serve
"""


class Commands(TyperGroup):
    """Turns a mistake of the operator's into one line on standard error and exit status 2."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        from models.errors import ModelError

        try:
            return super().invoke(ctx)
        except (WatchgateError, ModelError) as error:
            typer.echo(f"watchgate: {error}", err=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=Commands,
    help=ABOUT,
    epilog=START,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"watchgate {version('watchgate')}")
        raise typer.Exit


@app.callback()
def watchgate(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = (
        False
    ),
) -> None:
    """The options before a command."""


app.command("init")(init.init)
app.command("calibrate")(calibrate.calibrate)
app.command("serve")(serve.serve)
app.command("explain")(explain.explain)
app.command("console")(console.console)
app.command("status")(status.status)
app.command("drift")(drift.drift)
app.command("demo")(demo.demo)
app.add_typer(traces, name="traces")
app.add_typer(principals.app, name="principals")
app.add_typer(keys.app, name="keys")
