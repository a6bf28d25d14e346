"""The URL of a Redis server as an operator writes it."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from gateway.errors import OperatorError

EXPECTED = "redis://[user:password@]host[:port][/number], rediss:// for TLS, or unix://path"
_SECRET = re.compile(r"(//[^/@]*:)[^/]*@")


def shown(url: str) -> str:
    """The URL without its password."""
    return _SECRET.sub(r"\1***@", url)


def is_address(url: str) -> bool:
    """Whether a client could make sense of it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.fragment:
        return False
    if parts.scheme == "unix":
        return parts.path.startswith("/") and len(parts.path) > 1
    numbered = re.fullmatch(r"/?\d*", parts.path) is not None
    return parts.scheme in ("redis", "rediss") and bool(parts.hostname) and port != 0 and numbered


def address(url: str | None, variable: str | None) -> str:
    """The stated URL, or the one that the environment variable holds.

    Raises:
        OperatorError: it holds none.
    """
    if url is not None:
        return url
    held = os.environ.get(variable or "", "")
    if not is_address(held):
        found = repr(shown(held)) if held else "nothing"
        raise OperatorError(f"state.url_env: {variable}: expected {EXPECTED}, found {found}")
    return held
