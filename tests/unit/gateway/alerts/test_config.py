from __future__ import annotations

from pathlib import Path

import pytest

from gateway.alerts.config import WebhookConfig
from gateway.configfile import read
from gateway.errors import OperatorError

SECRET = "a secret of many bytes"
CONFIG = """
endpoints: {{digits: {{model: {{kind: onnx, path: digits.onnx}}, reference: train.npz}}}}
alerts: {{webhooks: [{}]}}
"""


def _read(folder: Path, webhook: str) -> WebhookConfig:
    (folder / "watchgate.yaml").write_text(CONFIG.format(webhook))
    return read(folder / "watchgate.yaml").alerts.webhooks[0]


def test_the_secret_is_read_from_a_file_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text(f"{SECRET}\n")
    webhook = _read(tmp_path, "{url: 'https://alerts.example.com:8443/hook?key=1', secret_file: hook}")
    assert webhook.secret() == SECRET.encode()
    assert webhook.host == "alerts.example.com:8443"
    assert SECRET not in repr(webhook)


def test_the_secret_is_read_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    assert _read(tmp_path, "{url: 'http://127.0.0.1/x', secret_env: HOOK_SECRET}").secret() == SECRET.encode()


@pytest.mark.parametrize("stated", ["", "short", "whsec_????"])
def test_a_secret_that_is_none_is_one_line(stated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", stated)
    with pytest.raises(OperatorError, match=r"alerts\.webhooks: HOOK_SECRET: expected") as caught:
        WebhookConfig(url="http://127.0.0.1/x", secret_env="HOOK_SECRET").secret()
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no-such-file"):
        WebhookConfig(url="http://127.0.0.1/x", secret_file=tmp_path / "no-such-file").secret()


@pytest.mark.parametrize(
    ("webhook", "told"),
    [
        ("{url: 'ftp://a/b', secret_env: A}", "expected an address like https"),
        ("{url: 'https://', secret_env: A}", "expected an address like https"),
        ("{url: 'https://a:99999/', secret_env: A}", "expected an address like https"),
        ('{url: "https://a/b\\r\\nx-a: b", secret_env: A}', "expected an address like https"),
        ("{url: 'https://me:pass@a/b', secret_env: A}", "without a name and password"),
        ("{url: 'https://a/b'}", "either `secret_env` or `secret_file`"),
        ("{url: 'https://a/b', secret_env: A, secret_file: b}", "either `secret_env` or `secret_file`"),
        ("{url: 'https://a/b', secret: A}", "secret"),
    ],
)
def test_a_mistake_names_the_key(tmp_path: Path, webhook: str, told: str) -> None:
    with pytest.raises(OperatorError, match=told):
        _read(tmp_path, webhook)
