"""`watchgate explain`: what each piece of evidence says of a row, and why the chain decides so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.output import AsJson, note, print_json

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.endpoint import Endpoint
    from gateway.explaining.explanation import Explanation
    from models.batch import Batch

SHOWN_ROWS = 20


def explain(
    file: Annotated[Path | None, typer.Argument(metavar="[ROW.npz]", help="Rows, as in the reference file.")] = None,
    config: Annotated[Path, typer.Option("--config", "-c", help="The config file.")] = Path("watchgate.yaml"),
    row: Annotated[int | None, typer.Option(min=0, help="Only this row of the file or of the trace.")] = None,
    trace: Annotated[str | None, typer.Option(help="A stored trace, by its id or enough of its beginning.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Which endpoint, where there are several.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Draw one row here, a .png file.")] = None,
    json: AsJson = False,
) -> None:
    """Explain what the calibrated chain says of a row, from a file or from a stored trace."""
    from gateway.configfile import read
    from gateway.errors import OperatorError

    if (file is None) == (trace is None):
        raise OperatorError("expected either a file with rows or --trace ID")
    if figure is not None and figure.suffix.lower() != ".png":
        raise OperatorError(f"--figure: expected a name that ends in .png, found {figure.name!r}")
    settings = read(config)
    found, batch, rows, origin = (
        _from_file(settings, endpoint, file) if file is not None else _from_trace(settings, trace or "")
    )
    if row is not None and row not in rows:
        raise OperatorError(f"--row: expected one of {_listed(rows)}, found {row}")
    if figure is not None and row is None and len(rows) > 1:
        raise OperatorError(f"--row: a figure shows one row, expected one of {_listed(rows)}")
    picked = [(index, number) for index, number in enumerate(rows) if row in (None, number)][:SHOWN_ROWS]
    told = [(number, _explained(settings, found, batch, index)) for index, number in picked]
    _print(told, origin, len(rows) if row is None else 1, json)
    if figure is not None:
        _draw(found, told[0][1], f"{origin} row {told[0][0]}", figure)


def _from_file(config: Config, name: str | None, file: Path) -> tuple[Endpoint, Batch, list[int], str]:
    from gateway.training.data import dataset
    from gateway.training.table import read

    endpoint = _endpoint(config, name)
    data = dataset(read(file), endpoint.chain.backend)
    for said in data.notes:
        note(said)
    return endpoint, data.batch, list(range(len(data))), file.name


def _from_trace(config: Config, prefix: str) -> tuple[Endpoint, Batch, list[int], str]:
    from gateway.errors import OperatorError
    from gateway.state.sqlite import SqliteStore
    from models.batch import Batch

    store = SqliteStore.open_for_reading(config.state.path)
    try:
        trace = store.get(prefix.lower())
        arrays = store.arrays(trace.record.id)
    except LookupError as error:
        note(f"watchgate: {error.args[0]}")
        raise typer.Exit(1) from None
    finally:
        store.close()
    record = trace.record
    if "input" not in arrays:
        raise OperatorError(f"trace {record.id[:8]}: its rows are not kept ({trace.payload})")
    endpoint = _endpoint(config, record.endpoint)
    if record.version != endpoint.chain.version:
        note(f"the trace is of chain {record.version[:12]}; explained by {endpoint.chain.version[:12]}, today's")
    extras = {key.removeprefix("extra:"): array for key, array in arrays.items() if key.startswith("extra:")}
    missing = {tensor.name for tensor in endpoint.chain.backend.inputs if tensor.datatype == "BYTES"} - extras.keys()
    if missing:
        raise OperatorError(f"trace {record.id[:8]}: input {min(missing)!r} is not kept: explain the rows from a file")
    return endpoint, Batch(arrays["input"], extras), list(record.captured), f"trace {record.id[:8]}"


def _endpoint(config: Config, name: str | None) -> Endpoint:
    from gateway.errors import OperatorError
    from gateway.training.loading import load_endpoints

    names = list(config.endpoints)
    if name is None and len(names) == 1:
        name = names[0]
    if name not in config.endpoints:
        raise OperatorError(f"--endpoint: expected one of {', '.join(names)}, found {name or 'nothing'}")
    one = config.model_copy(update={"endpoints": {name: config.endpoints[name]}})
    return load_endpoints(one)[name]


def _explained(config: Config, endpoint: Endpoint, batch: Batch, index: int) -> Explanation:
    from gateway.explaining.explanation import explain

    found = explain(endpoint, batch.take(slice(index, index + 1)))
    if endpoint.chain.backend.spec.kind != "table":
        return found
    return _with_columns(endpoint, found)


def _with_columns(endpoint: Endpoint, found: Explanation) -> Explanation:
    from gateway.errors import OperatorError
    from gateway.explaining.columns import farthest
    from gateway.training.data import dataset
    from gateway.training.table import read

    spec = endpoint.chain.backend.spec
    try:
        reference = dataset(read(endpoint.config.reference), endpoint.chain.backend).batch.x
    except OperatorError as error:
        return replace(found, notes=(f"columns are not compared: {error}",))
    names = spec.columns or tuple(f"x[{index}]" for index in range(spec.size))
    return replace(found, columns=farthest(found.x.ravel(), reference.reshape(len(reference), -1), names))


def _print(told: list[tuple[int, Explanation]], origin: str, rows: int, json: bool) -> None:
    from rich.console import Console

    from gateway.explaining.page import document, show

    if json:
        documents: list[dict[str, Any]] = [{"number": number, **document(found)} for number, found in told]
        print_json({"origin": origin, "rows": documents})
        return
    console = Console(highlight=False, markup=False, emoji=False)
    for place, (number, found) in enumerate(told):
        if place:
            console.rule()
        show(console, found, f"{origin} row {number}")
    if rows > len(told):
        note(f"and {rows - len(told)} more rows: name one with --row")


def _draw(endpoint: Endpoint, found: Explanation, title: str, figure: Path) -> None:
    from gateway.errors import OperatorError
    from gateway.explaining.figure import draw_figure
    from gateway.telemetry.describe import facts_of
    from gateway.telemetry.summary import summary

    facts: Any = facts_of(endpoint.info)["input"]
    try:
        draw_figure(found, facts, summary(found.record), title).save(figure)
    except OSError as error:
        raise OperatorError(f"{figure}: {error.strerror or error}") from None
    note(f"wrote {figure}")


def _listed(rows: list[int]) -> str:
    return f"{rows[0]} to {rows[-1]}" if rows == list(range(len(rows))) and len(rows) > 1 else ", ".join(map(str, rows))
