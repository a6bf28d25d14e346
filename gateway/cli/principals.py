"""`watchgate principals`: who asked, who is marked for like queries, and since when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from gateway.cli.output import AsJson, note, print_json
from gateway.errors import OperatorError

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.principals.callers import Caller
    from gateway.state.lists import Caller as Kept
    from gateway.state.principals.measures import Measure
    from gateway.state.principals.store import PrincipalStore

DEFAULT_CONFIG = Path("watchgate.yaml")
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The config file.")]


class Named(TyperGroup):
    """`watchgate principals watchgate.yaml` is `watchgate principals --config watchgate.yaml`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the option's name before a file that stands alone."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["--config", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=Named, help="Look at who asks, and at who is marked.", invoke_without_command=True, rich_markup_mode="rich"
)


@app.callback()
def principals(
    ctx: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    marked: Annotated[bool, typer.Option("--marked", help="Only those that are marked.")] = False,
    since: Annotated[str, typer.Option(help="How far back requests count: 45m, 24h, 7d.")] = "24h",
    as_json: AsJson = False,
) -> None:
    """Lists principals, marked ones first: how many rows they asked, what was stopped, and why they are marked."""
    ctx.obj = config
    if ctx.invoked_subcommand is not None:
        return
    found = [each for each in _listed(config, since) if each["marked"] or not marked]
    if as_json:
        print_json(found)
    elif not found:
        note("no principal is marked" if marked else "nobody has asked")
    else:
        _show(found)


@app.command("lift")
def lift(
    ctx: typer.Context, principal: Annotated[str, typer.Argument(metavar="NAME", help="The marked principal.")]
) -> None:
    """Takes a principal's mark off, in all workers within a second; what it asked is forgotten."""
    with _store(ctx.obj) as store:
        if not store.lift(principal):
            raise OperatorError(f"principal {principal!r} is not marked")
    note(f"{principal}: the mark is lifted")


def _listed(config: Path, since: str) -> list[dict[str, Any]]:
    from gateway.cli.since import instant_ns
    from gateway.configfile import read
    from gateway.principals.callers import callers

    settings, now_ns = read(config), time.time_ns()
    with _store(config) as store:
        known = store.marks(now_ns), store.queries()
        measures = store.measures()
    kept = _kept(settings, instant_ns("--since", since, now_ns) or 0)
    return [_facts(one) for one in callers(settings, *known, kept, measures)]


def _kept(settings: Config, since_ns: int) -> dict[str, Kept]:
    """What the trace store has of each principal since then; {} where it has nothing yet."""
    from gateway.state.sqlite import FILE, SqliteStore

    if not (settings.state.path / FILE).is_file():
        return {}
    store = SqliteStore.open_for_reading(settings.state.path)
    try:
        return store.lists.callers(since_ns)
    finally:
        store.close()


def _facts(one: Caller) -> dict[str, Any]:
    from gateway.cli.since import iso

    mark = one.mark
    return {
        "principal": one.name,
        "marked": mark is not None,
        "reason": None if mark is None else mark.reason,
        "since": None if mark is None else iso(mark.since_ns),
        "queries": one.asked or 0,
        "endpoint": None if mark is None else mark.endpoint,
        "alike": 0 if mark is None else mark.alike,
        "until": None if mark is None else iso(mark.until_ns),
        "step": one.step,
        "asking": [_measured(each) for each in one.measures],
        "flagged_requests": one.kept.count("flag"),
        "rejected_requests": one.kept.count("reject"),
        "failed_requests": one.kept.count("error"),
        "flag_share": one.share("flag"),
        "reject_share": one.share("reject"),
    }


def _measured(measure: Measure) -> dict[str, Any]:
    return {
        "endpoint": measure.endpoint,
        "rows": measure.rows,
        "rows_per_minute": round(measure.rows_per_minute(time.time_ns()), 2),
        "near_boundary": measure.near_boundary,
        "coverage": measure.coverage,
    }


def _show(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "principal", "queries", "a minute", "near", "coverage", "stopped", "alike", "marked since", "why", box=None
    )
    for each in found:
        why = f"{each['step'] or 'marked'}; {each['endpoint']}: {each['reason']}" if each["marked"] else ""
        stopped = str(each["flagged_requests"] + each["rejected_requests"])
        name, since = each["principal"] or "-", each["since"] or ""
        cells = (name, str(each["queries"]), *_spread(each["asking"]), stopped, str(each["alike"]), since, why)
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)


def _spread(asking: list[dict[str, Any]]) -> tuple[str, str, str]:
    """Rate, share near the boundary and coverage, where it asks most."""
    if not asking:
        return "", "", ""
    most = max(asking, key=lambda each: int(each["rows"]))
    near = "" if most["near_boundary"] is None else f"{most['near_boundary']:.1%}"
    return f"{most['rows_per_minute']:.3g}", near, f"{most['coverage']:.1%}"


@contextmanager
def _store(config: Path) -> Iterator[PrincipalStore]:
    from gateway.configfile import read
    from gateway.state.opening import open_principals
    from gateway.state.store import StoreError

    try:
        store = open_principals(read(config), make=False)
    except StoreError as exc:
        raise OperatorError(str(exc)) from exc
    try:
        yield store
    except StoreError as exc:
        raise OperatorError(str(exc)) from exc
    finally:
        store.close()
