"""`watchgate traces export`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import AsJson, note, print_json
from gateway.cli.traces.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    EndpointOption,
    PrincipalOption,
    Since,
    StageOption,
    Until,
    VerdictOption,
    VerdictWord,
    matching,
    opened,
)
from gateway.errors import OperatorError


class FileForm(str, Enum):
    """How exported rows are written."""

    npz = "npz"
    jsonl = "jsonl"
    parquet = "parquet"


def export(
    file: Annotated[Path, typer.Argument(help="Where to: .npz, .jsonl for one JSON object a row, or .parquet.")],
    config: ConfigOption = DEFAULT_CONFIG,
    since: Since = None,
    until: Until = None,
    endpoint: EndpointOption = None,
    verdict: VerdictOption = None,
    stage: StageOption = None,
    principal: PrincipalOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows of at most so many traces.")] = None,
    form: Annotated[
        FileForm | None, typer.Option("--format", help="The file's form, where its name does not say.")
    ] = None,
    window: Annotated[
        bool,
        typer.Option(
            "--window",
            help="Parquet: all rows judged in the time, sampled `allow` ones too, values kept or not.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Writes the kept rows of matching traces to one file, newest first."""
    from gateway.cli.traces.files import export_jsonl, export_npz, kept_rows

    chosen = _form(file, form, window)
    wanted = matching(since, until, endpoint, verdict or (list(VerdictWord) if window else None), stage, principal)
    with opened(config) as store:
        if chosen is FileForm.parquet:
            from gateway.cli.traces.parquetfile import export_parquet, judged_rows

            rows = export_parquet(list(judged_rows(store, wanted, limit, window=window)), store.inputs(), file)
        else:
            writer = export_npz if chosen is FileForm.npz else export_jsonl
            rows = writer(kept_rows(store, wanted, limit), file)
    if as_json:
        print_json({"file": file, "rows": rows})
    else:
        note(f"wrote {rows} rows to {file}")


def _form(file: Path, stated: FileForm | None, window: bool) -> FileForm:
    form = stated or next((each for each in FileForm if file.suffix == f".{each.value}"), None)
    if form is None:
        raise OperatorError(f"{file}: expected a name that ends in .npz, .jsonl or .parquet, or --format")
    if window and form is not FileForm.parquet:
        raise OperatorError(f"--window: expected a .parquet file, found {file.name}")
    return form
