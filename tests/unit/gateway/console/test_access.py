from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway.console.access import TOKEN_FILE, TOKEN_VARIABLE, Access, token_for
from gateway.errors import OperatorError

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:3001", True),
        ("LOCALHOST:3001", True),
        ("[::1]:3001", True),
        ("localhost", True),
        ("127.9.9.9:3001", True),
        ("10.0.0.1:3001", False),
        ("evil.example:3001", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:3001", False),
        ("", False),
    ],
)
def test_without_a_sign_in_only_this_machine_is_meant(host: str, known: bool) -> None:
    assert Access(None).knows_host(host) is known
    assert Access(TOKEN).knows_host(host)


def test_a_session_needs_the_token_and_ends() -> None:
    access = Access(TOKEN)
    assert access.sign_in("wrong") is None
    assert access.sign_in("\ud800") is None
    assert not access.may_enter("")
    session = access.sign_in(TOKEN)
    assert session is not None
    assert access.may_enter(session)
    assert not Access(TOKEN).may_enter(session)
    access.sign_out(session)
    assert not access.may_enter(session)


def test_a_form_belongs_to_its_session() -> None:
    access = Access(TOKEN)
    assert access.knows_form("mine", access.form_key("mine"))
    assert not access.knows_form("mine", access.form_key("other"))
    assert not access.knows_form("mine", Access(TOKEN).form_key("mine"))
    assert not access.knows_form("mine", "ü")


def test_a_token_is_made_once_and_only_for_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    token, where = token_for(tmp_path / "state")
    assert where == str(tmp_path / "state" / TOKEN_FILE)
    assert len(token) > 40
    assert token_for(tmp_path / "state") == (token, where)
    file = Path(where)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    with pytest.raises(OperatorError, match="chmod 600"):
        token_for(tmp_path / "state")


def test_a_stated_token_must_not_be_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert token_for(tmp_path) == (TOKEN, TOKEN_VARIABLE)
    monkeypatch.setenv(TOKEN_VARIABLE, "1234")
    with pytest.raises(OperatorError, match="at least 16 characters, found 4"):
        token_for(tmp_path)
