"""Who may see the console: nobody from another site; away from loopback, only who knows the token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import time
from pathlib import Path

from gateway.errors import OperatorError

TOKEN_VARIABLE = "WATCHGATE_CONSOLE_TOKEN"
TOKEN_FILE = "console-token"
COOKIE = "watchgate_console"
SESSION_S = 12 * 3600.0
_FEWEST_CHARS = 16


class Access:
    """Sessions and form keys. `token` None: no sign-in, and only hosts that mean this machine are answered."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._key = secrets.token_bytes(32)  # of this process: a restart signs everybody out
        self._sessions: dict[str, float] = {}

    @property
    def needs_sign_in(self) -> bool:
        """Whether pages are for signed-in people only."""
        return self._token is not None

    def knows_host(self, host: str) -> bool:
        """Whether a request for this `Host` is meant for us.

        A page of another site can make its own name point to 127.0.0.1 and then read what we answer (DNS rebinding):
        the name is all that tells its requests from ours. With a sign-in its lack of our cookie does.
        """
        if self._token is not None:
            return True
        name = host if host.endswith("]") else host.rsplit(":", 1)[0]
        return name.lower() == "localhost" or _is_loopback(name.strip("[]"))

    def sign_in(self, token: str) -> str | None:
        """A new session's id; None for a wrong token."""
        if self._token is None or not hmac.compare_digest(_digest(token), _digest(self._token)):
            return None
        now = time.monotonic()
        self._sessions = {name: end for name, end in self._sessions.items() if end > now}
        session = secrets.token_urlsafe(32)
        self._sessions[session] = now + SESSION_S
        return session

    def sign_out(self, session: str) -> None:
        """Ends the session."""
        self._sessions.pop(session, None)

    def may_enter(self, session: str) -> bool:
        """Whether this session sees pages."""
        return self._token is None or self._sessions.get(session, 0.0) > time.monotonic()

    def form_key(self, session: str) -> str:
        """What every form of this session carries, and no other site can know."""
        return hmac.new(self._key, session.encode(), hashlib.sha256).hexdigest()

    def knows_form(self, session: str, key: str) -> bool:
        """Whether the form is one of ours."""
        return hmac.compare_digest(self.form_key(session).encode(), key.encode())


def token_for(state: Path) -> tuple[str, str]:
    """The token and where it is from: WATCHGATE_CONSOLE_TOKEN, or a file in the state folder, made when missing.

    Raises:
        OperatorError: the token is too short, or the file can't be read or made, or others may read it.
    """
    stated = os.environ.get(TOKEN_VARIABLE)
    if stated is not None:
        return _long_enough(stated, TOKEN_VARIABLE), TOKEN_VARIABLE
    file = state / TOKEN_FILE
    try:
        state.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as out:
                out.write(secrets.token_urlsafe(32) + "\n")
        if file.stat().st_mode & 0o077:
            raise OperatorError(f"{file}: expected a file that only its owner may read (chmod 600)")
        return _long_enough(file.read_text(encoding="ascii").strip(), str(file)), str(file)
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{file}: {error}") from None


def _long_enough(token: str, where: str) -> str:
    if len(token) < _FEWEST_CHARS:
        raise OperatorError(f"{where}: expected a token of at least {_FEWEST_CHARS} characters, found {len(token)}")
    return token


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _digest(text: str) -> bytes:
    """Equal lengths, so that not even the token's is told by the time a comparison takes."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
