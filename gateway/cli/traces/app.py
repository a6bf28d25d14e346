"""The commands of `watchgate traces`, put together."""

from __future__ import annotations

import typer

from gateway.cli.traces.exporting import export
from gateway.cli.traces.listing import list_all
from gateway.cli.traces.marking import mark
from gateway.cli.traces.showing import show

app = typer.Typer(
    help="Look at requests that were flagged, rejected or refused for want of evidence.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.command("list")(list_all)
app.command("show")(show)
app.command("export")(export)
app.command("mark")(mark)
