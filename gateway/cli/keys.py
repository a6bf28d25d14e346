"""`watchgate keys`: the API keys that name callers. A key is shown once, when it is made; the file holds its hash."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.output import AsJson, note, print_json
from gateway.errors import OperatorError

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True, rich_markup_mode="rich")
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The config file; its `principal.keys` is used.")]
DEFAULT_CONFIG = Path("watchgate.yaml")


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The principal that the key stands for; it may have several keys.")],
    config: ConfigOption = DEFAULT_CONFIG,
    expires: Annotated[str | None, typer.Option(help="After 12h, 30d, 52w; else never.")] = None,
    operator: Annotated[bool, typer.Option("--operator", help="Opens what isn't for callers, as /metrics.")] = False,
) -> None:
    """Makes a key and prints it: it can't be shown again. Running gateways know it within a second or two."""
    from gateway.cli.since import duration_s
    from gateway.principals.keys import editing, new_key

    now = time.time()
    ends = 0.0 if expires is None else now + duration_s("--expires", expires)
    text, key = new_key(name, now, ends, operator=operator)
    with editing(_file(config)) as keys:
        keys[key.id] = key
    note(f"key {key.id} of {name}; keep it, the file holds only its hash:")
    typer.echo(text)


@app.command("list")
def list_keys(config: ConfigOption = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Lists keys by id: whose, since when, until when."""
    from gateway.cli.since import iso
    from gateway.principals.keys import read

    now = time.time()
    found: list[dict[str, Any]] = [
        {
            "id": key.id,
            "name": key.name,
            "created": iso(int(key.created * 1e9)),
            "expires": iso(int(key.expires * 1e9)) if key.expires else None,
            "live": key.live(now),
            "operator": key.operator,
        }
        for key in read(_file(config)).values()
    ]
    if as_json:
        print_json(found)
        return
    for each in found:
        until = ("until " if each["live"] else "ended ") + each["expires"] if each["expires"] else "does not end"
        role = ", operator" if each["operator"] else ""
        typer.echo(f"{each['id']}  {each['name']}{role}  {until}")


@app.command("revoke")
def revoke(
    which: Annotated[str, typer.Argument(metavar="ID|NAME", help="One key by its id, or all keys of a principal.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Ends keys, in running gateways within a second or two."""
    from gateway.principals.keys import editing, revoked

    now = time.time()
    with editing(_file(config)) as keys:
        ended = [key for key in keys.values() if which in (key.id, key.name) and key.live(now)]
        if not ended:
            raise OperatorError(f"no live key has the id or name {which!r}")
        keys.update({key.id: revoked(key, now) for key in ended})
    note(f"revoked: {', '.join(key.id for key in ended)}")


def _file(config: Path) -> Path:
    from gateway.configfile import read

    settings = read(config).principal
    if settings is None or settings.keys is None:
        raise OperatorError(f"{config}: principal.keys: expected the path of a file of keys, found nothing")
    return settings.keys
