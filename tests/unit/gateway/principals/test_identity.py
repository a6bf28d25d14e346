"""Names from keys, headers and peers; the settings that say which."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.config import EndpointConfig
from gateway.errors import OperatorError, Unauthorized
from gateway.principals.config import PrincipalConfig
from gateway.principals.identity import Identity
from gateway.principals.keys import Keys, editing, new_key, read, revoked


def made(path: Path, name: str = "alice", **stated: Any) -> str:
    text, key = new_key(name, time.time(), **stated)
    with editing(path) as keys:
        keys[key.id] = key
    return text


def header(name: str, value: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"gateway"), (name.encode(), value.encode("latin-1"))]


def test_a_key_names_its_caller_by_either_header(tmp_path: Path) -> None:
    key = made(tmp_path / "keys.json")
    identity = Identity(PrincipalConfig(keys=tmp_path / "keys.json"))
    for headers in (header("x-api-key", key), header("authorization", f"bearer {key}")):
        assert identity.name(headers, "10.0.0.1") == "alice"
    assert identity.name([], "10.0.0.1") == "10.0.0.1"
    assert identity.name(header("authorization", "Basic abc"), "10.0.0.1") == "10.0.0.1"


@pytest.mark.parametrize("wrong", ["", "wg_", "wg_00000000_x", "wg_é_ÿ", "nothing"])
def test_a_wrong_key_is_refused_even_where_none_is_needed(tmp_path: Path, wrong: str) -> None:
    key = made(tmp_path / "keys.json")
    identity = Identity(PrincipalConfig(keys=tmp_path / "keys.json"))
    for presented in (wrong, key + wrong + "x", key[:-1]):
        if presented:
            with pytest.raises(Unauthorized, match="unknown, expired or revoked"):
                identity.name(header("x-api-key", presented), "10.0.0.1")
            assert not identity.operator(header("x-api-key", presented))


def test_expired_and_revoked_keys_open_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    expired = made(path, expires=time.time() - 1)
    live = made(path, "bob")
    assert Keys(path).find(expired) is None
    with editing(path) as keys:
        keys.update({id_: revoked(key, time.time()) for id_, key in keys.items() if key.name == "bob"})
    assert Keys(path).find(live) is None


def test_a_principal_may_have_two_keys_while_one_replaces_the_other(tmp_path: Path) -> None:
    keys = [made(tmp_path / "keys.json") for _ in range(2)]
    found = [Keys(tmp_path / "keys.json").find(key) for key in keys]
    assert [key.name for key in found if key is not None] == ["alice", "alice"]


def test_a_file_that_breaks_while_serving_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    key = made(path)
    keys = Keys(path)
    path.write_text("{")
    monkeypatch.setattr("gateway.principals.keys._RECHECK_S", -1.0)
    assert keys.find(key) is not None
    with pytest.raises(OperatorError, match="`watchgate keys` wrote"):
        read(path)
    path.write_text(json.dumps({"keys": []}))
    assert keys.find(key) is None


@pytest.mark.parametrize(
    ("told", "peer", "name"),
    [
        ("203.0.113.7", "10.0.0.1", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 10.9.9.9", "10.0.0.1", "203.0.113.7"),  # what the caller itself wrote is not believed
        ("203.0.113.7", "192.0.2.1", "192.0.2.1"),
        ("", "10.0.0.1", "10.0.0.1"),
        ("10.1.1.1", "10.0.0.1", "10.0.0.1"),
        ("203.0.113.7", "", ""),
    ],
)
def test_forwarded_addresses_are_believed_of_trusted_peers(told: str, peer: str, name: str) -> None:
    identity = Identity(PrincipalConfig(header="X-Forwarded-For", trusted=("10.0.0.0/8",)))
    assert identity.name(header("x-forwarded-for", told), peer) == name


def test_any_other_header_is_taken_as_it_is() -> None:
    identity = Identity(PrincipalConfig(header="x-user", trusted=("::1", "127.0.0.1")))
    assert identity.name(header("x-user", " alice "), "::1") == "alice"
    assert identity.name(header("x-user", "alice"), "::2") == "::2"
    assert len(identity.name(header("x-user", "a" * 999), "::1")) == 128


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"header": "x-user"}, "`header` and `trusted` go together"),
        ({"trusted": ["10.0.0.0/8"]}, "`header` and `trusted` go together"),
        ({"header": "x-user", "trusted": ["here"]}, "expected an address or a network like 10.0.0.0/8, found 'here'"),
        ({"anonymous": "refuse"}, "`anonymous: refuse` needs `keys`"),
    ],
)
def test_settings_that_do_not_go_together(stated: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        PrincipalConfig.model_validate(stated)


def test_coarsening_does_not_go_with_classes_that_are_withheld() -> None:
    stated = {
        "model": {"kind": "onnx", "path": "m.onnx"},
        "reference": "r.npz",
        "queries": {"steps": ["coarsen"]},
        "answers": [{"kind": "high_confidence_only"}],
    }
    with pytest.raises(ValueError, match=r"queries\.steps: `coarsen` would tell"):
        EndpointConfig.model_validate(stated)
