"""The way to a Redis server: one a process for each server, whatever asks; failures come at once and in one kind."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from gateway.state.address import shown
from gateway.state.store import StoreError

CONNECT_S = 0.5
ANSWER_S = 1.0
REST_S = 1.0  # after a failure nothing is asked for so long: who waits for a dead server in vain does nothing else
_FORMAT = 1  # of what is kept; part of every name, so that releases that keep it otherwise don't meet

# A clock that never goes back, as `Tick` has it; KEYS[1] is where it is kept. Numbers are exact to a microsecond.
CLOCK = """
local function clock()
  local time = redis.call('TIME')
  local read = tonumber(time[1]) + tonumber(time[2]) / 1e6
  local kept = redis.call('HMGET', KEYS[1], 'clock', 'now')
  local before, now = tonumber(kept[1] or '0'), tonumber(kept[2] or '0')
  now = math.max(read, now + 0.5 * math.max(0, read - before))
  if math.abs(read - before) >= 0.05 then
    redis.call('HSET', KEYS[1], 'clock', string.format('%.6f', read), 'now', string.format('%.6f', now))
  end
  return now
end
"""


class RedisLink:
    """May be asked from any thread. Everything raises `StoreError`: try again later."""

    def __init__(self, url: str, prefix: str, cluster: bool = False) -> None:
        self._url = url
        self._tag = f"{{{prefix}}}:{_FORMAT}:"  # braces: all names are in one slot of a cluster
        self._cluster = cluster
        self._client: Any = None
        self._scripts: dict[str, Any] = {}
        self._opening = threading.Lock()
        self._rests_until = 0.0

    def name(self, *parts: str | int) -> str:
        """A key in the server."""
        return self._tag + ":".join(map(str, parts))

    def run(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Runs a Lua script, in one piece. What it refuses with an error that begins `REFUSED` is a `ValueError`."""
        return self._guarded(lambda: self._script(script)(keys=keys, args=args))

    def ask(self, command: str, *args: Any) -> Any:
        """Runs one command."""
        return self._guarded(lambda: self._connected().execute_command(command, *args))

    def _guarded(self, call: Any) -> Any:
        from redis.exceptions import RedisError, ResponseError

        if time.monotonic() < self._rests_until:
            raise StoreError(f"{shown(self._url)}: did not answer; it will be asked again")
        try:
            return call()
        except ResponseError as exc:
            _, refused, why = str(exc).partition("REFUSED ")
            if refused:
                raise ValueError(why) from None
            raise StoreError(f"{shown(self._url)}: {exc}") from exc
        except (RedisError, OSError) as exc:
            self._rests_until = time.monotonic() + REST_S
            raise StoreError(f"{shown(self._url)}: {exc}") from exc

    def _script(self, script: str) -> Any:
        client = self._connected()
        if script not in self._scripts:
            self._scripts[script] = client.register_script(script)
        return self._scripts[script]

    def _connected(self) -> Any:
        with self._opening:
            if self._client is None:
                self._client = self._made()
            return self._client

    def _made(self) -> Any:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        client: Any = redis.RedisCluster if self._cluster else redis.Redis
        return client.from_url(
            self._url,
            protocol=2,
            socket_connect_timeout=CONNECT_S,
            socket_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 0),  # whoever asks knows what may be asked twice
        )


@cache
def link(url: str, prefix: str, cluster: bool = False) -> RedisLink:
    """The process's only link to this server."""
    return RedisLink(url, prefix, cluster)
