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
    from gateway.state.measures import Measure
    from gateway.state.principals import PrincipalStore

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
    as_json: AsJson = False,
) -> None:
    """Lists principals, the latest to ask first, with how many rows they asked and why they are marked."""
    ctx.obj = config
    if ctx.invoked_subcommand is not None:
        return
    with _store(config) as store:
        found = [each for each in _listed(store) if each["marked"] or not marked]
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


def _listed(store: PrincipalStore) -> list[dict[str, Any]]:
    from gateway.cli.since import iso

    marks = store.marks(time.time_ns())
    queries = store.queries()
    measures: dict[str, list[dict[str, Any]]] = {}
    for each in store.measures():
        measures.setdefault(each.principal, []).append(_measured(each))
    names = [*(name for name in marks if name not in queries), *queries]
    return [
        {
            "principal": name,
            "marked": name in marks,
            "reason": marks[name].reason if name in marks else None,
            "since": iso(marks[name].since_ns) if name in marks else None,
            "queries": queries.get(name, 0),
            "endpoint": marks[name].endpoint if name in marks else None,
            "alike": marks[name].alike if name in marks else 0,
            "until": iso(marks[name].until_ns) if name in marks else None,
            "asking": measures.get(name, []),
        }
        for name in names
    ]


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

    table = Table("principal", "queries", "a minute", "near", "coverage", "alike", "marked since", "why", box=None)
    for each in found:
        why = f"{each['endpoint']}: {each['reason']}" if each["marked"] else ""
        name, since = each["principal"] or "-", each["since"] or ""
        cells = (name, str(each["queries"]), *_spread(each["asking"]), str(each["alike"]), since, why)
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
