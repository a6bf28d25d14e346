"""Templates to pages. Everything that is not our own markup is escaped, and shown without control characters."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.cli.since import iso, local
from gateway.console.access import COOKIE, Access
from gateway.console.lines import Lines
from gateway.console.source import Source
from gateway.errors import OperatorError

_HOME = Path(__file__).parent
MAX_FORM_BYTES = 16 * 1024


def source_of(request: Request) -> Source:
    """What this console's pages are made from."""
    found: Source = request.app.state.source
    return found


def access_of(request: Request) -> Access:
    """Who may see this console."""
    found: Access = request.app.state.access
    return found


def lines_of(request: Request) -> Lines:
    """The lines of this console's lists. Its users hold the store: they take turns."""
    found: Lines = request.app.state.lines
    return found


def lines() -> Lines:
    """A new console's, with none drawn yet."""
    macro: Any = _environment().get_template("macros.html").module
    return Lines(macro.line)


def render(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """The page."""
    access = access_of(request)
    known = {
        "path": request.url.path,
        "endpoints": list(source_of(request).config.endpoints),
        "signed_in": access.needs_sign_in and access.may_enter(request.cookies.get(COOKIE, "")),
        "form_key": access.form_key(request.cookies.get(COOKIE, "")),
    }
    return HTMLResponse(_environment().get_template(template).render({**known, **context}), status)


def peer_of(request: Request) -> str:
    """Who asks, for the log."""
    return request.client.host if request.client else "?"


def message(request: Request, status: int, title: str, text: str) -> Response:
    """A page that only says something."""
    return render(request, "message.html", status, title=title, text=text)


async def form(request: Request) -> dict[str, str]:
    """The fields of a form that one of our own pages sent.

    Raises:
        OperatorError: it is too large, or not from our pages.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM_BYTES:
            raise OperatorError(f"a form holds at most {MAX_FORM_BYTES} bytes")
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if not access_of(request).knows_form(request.cookies.get(COOKIE, ""), fields.get("form_key", "")):
        raise OperatorError(
            "the form is from before the console was started, or from another site: load the page again"
        )
    return fields


def plain(text: object) -> str:
    """The text without control and direction characters, which could make it look like something else."""
    said = str(text)
    if said.isprintable():
        return said
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in said)


def ago(moment_ns: int) -> str:
    """How long ago, in the largest whole unit."""
    seconds = max(0, int(time.time() - moment_ns / 1e9))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def clock(moment_ns: int) -> str:
    """Local date and time."""
    return local(moment_ns)


def brief_clock(moment_ns: int) -> str:
    """Local time; with the day where that is not today."""
    today = local(time.time_ns(), "%Y-%m-%d") == local(moment_ns, "%Y-%m-%d")
    return local(moment_ns, "%H:%M:%S" if today else "%d %b %H:%M")


def zone() -> str:
    """The zone that times are shown in."""
    return datetime.now().astimezone().strftime("%Z")


def zone_facts() -> str:
    """The same, with its distance from UTC where it has one."""
    offset = datetime.now().astimezone().strftime("%z")
    return zone() if offset in ("", "+0000") else f"{zone()} (UTC{offset[:3]}:{offset[3:5]})"


def moment(moment_ns: int) -> str:
    """For machines."""
    return iso(moment_ns)


def number(value: float | None, digits: int = 4) -> str:
    """A number as people read it."""
    return "–" if value is None else f"{value:.{digits}g}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as people read it."""
    return "–" if share is None else f"{100 * share:.{digits}f}\N{NARROW NO-BREAK SPACE}%"


def count(value: float) -> str:
    """A whole number with thin spaces."""
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def size(value: float) -> str:
    """Bytes."""
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


@cache
def fixed(name: str) -> str:
    """The address of a static file: another one when its content is another, so that browsers may keep it for good."""
    return f"/static/{name}?v={hashlib.sha256((_HOME / 'static' / name).read_bytes()).hexdigest()[:12]}"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HOME / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (plain, ago, clock, brief_clock, moment, number, percent, count, size):
        made.filters[filter_.__name__] = filter_
    made.globals |= {"zone": zone, "zone_facts": zone_facts, "fixed": fixed}
    return made
