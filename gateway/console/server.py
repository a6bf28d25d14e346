"""Runs the console: its own server, on its own port, ending with the process that started it."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
from contextlib import suppress

import uvicorn

from gateway.console.access import Access, token_for
from gateway.console.app import build
from gateway.console.source import Source

_WATCH_S = 0.5
_NICE = 10  # where cores are short, requests to the model come first: a tenth of one is what is left for pages


def run(source: Source, host: str, port: int, parent: int | None = None) -> None:
    """Serves until Ctrl-C or SIGTERM; or, with `parent`, until that process is no longer this one's parent."""
    with suppress(OSError):
        os.nice(_NICE)
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.INFO)  # who marked and lifted what
    token = None if is_loopback(host) else token_for(source.config.state.path)[0]
    settings = uvicorn.Config(
        build(source, Access(token)),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        lifespan="on",
    )
    asyncio.run(_serve(uvicorn.Server(settings), parent))


async def _serve(server: uvicorn.Server, parent: int | None) -> None:
    watching = None if parent is None else asyncio.create_task(_watch(server, parent))
    await server.serve()
    if watching is not None:
        watching.cancel()


async def _watch(server: uvicorn.Server, parent: int) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(_WATCH_S)
    server.should_exit = True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    return ipaddress.ip_address(host).is_loopback
