"""`watchgate init`: reads a model and its reference data, writes a config that serves as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import AsJson, note, print_json, program
from gateway.errors import OperatorError


def init(
    model: Annotated[Path, typer.Option(help="The model: .onnx, .pt2 or .safetensors.", show_default=False)],
    reference: Annotated[Path, typer.Option(help="Honest rows (.npz with x and y, or .csv).", show_default=False)],
    holdout: Annotated[Path | None, typer.Option(help="Honest rows the model was not trained on.")] = None,
    factory: Annotated[str | None, typer.Option(help="For .safetensors: ./net.py:make or pkg.mod:make.")] = None,
    name: Annotated[str | None, typer.Option(help="The endpoint's name; else the model file's.")] = None,
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("watchgate.yaml"),
    listed: Annotated[
        bool, typer.Option("--listed", help="List stages, rather than let calibrate choose them (`chain: auto`).")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    json: AsJson = False,
) -> None:
    """Write a commented watchgate.yaml for a model and its reference data."""
    from gateway.starting.start import start

    if output.exists() and not force:
        raise OperatorError(f"{output}: exists already; --force replaces it")
    found, notes = start(model, reference, holdout, factory, name, listed=listed)
    text = found.text(output.absolute().parent)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"{output}: {error.strerror}") from None
    for line in notes:
        note(f"note: {line}")
    if json:
        print_json({"config": str(output), **found.to_json(), "notes": notes})
        return
    typer.echo(f"{output}: endpoint {found.name!r}, {found.summary()}")
    typer.echo(f"next: {program()} calibrate{'' if output == Path('watchgate.yaml') else f' {output}'}")
