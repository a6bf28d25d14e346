"""The key `alerts` of a config: who is told when drift begins and ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gateway.alerts.signing import FEWEST_BYTES, secret_bytes
from gateway.errors import OperatorError
from gateway.strict import Strict


class WebhookConfig(Strict):
    """One receiver. The secret that signs is read from an environment variable or a file, when `serve` starts."""

    url: str
    secret_env: str | None = None
    secret_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _web(cls, stated: str) -> str:
        try:
            parts = urlsplit(stated)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or not stated.isascii() or not stated.isprintable() or " " in stated:
            raise ValueError(f"expected an address like https://alerts.example.com/hook, found {stated!r}")
        if parts.username is not None or parts.password is not None:
            raise ValueError("expected an address without a name and password in it: the signature says who sends")
        return stated

    @model_validator(mode="after")
    def _one_secret(self) -> WebhookConfig:
        if (self.secret_env is None) == (self.secret_file is None):
            raise ValueError("expected the secret's place: either `secret_env` or `secret_file`")
        return self

    @property
    def host(self) -> str:
        """What of the address may be told in logs: its path can be a secret."""
        return urlsplit(self.url).netloc

    def secret(self) -> bytes:
        """The key that signs.

        Raises:
            OperatorError: there is none in its place, or it is too short.
        """
        where, text = self._stated()
        try:
            found = secret_bytes(text)
        except ValueError as error:
            raise OperatorError(f"alerts.webhooks: {where}: {error}") from None
        if len(found) < FEWEST_BYTES:
            raise OperatorError(
                f"alerts.webhooks: {where}: expected a secret of at least {FEWEST_BYTES} bytes, found {len(found)}"
            )
        return found

    def _stated(self) -> tuple[str, str]:
        if self.secret_file is None:
            name = self.secret_env or ""
            return name, os.environ.get(name, "")
        try:
            return str(self.secret_file), self.secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise OperatorError(f"alerts.webhooks: {self.secret_file}: {error}") from None


class AlertsConfig(Strict):
    """`give_up_minutes`: how long a webhook that does not answer is tried again."""

    webhooks: tuple[WebhookConfig, ...] = ()
    give_up_minutes: Annotated[float, Field(gt=0.0, le=1440.0)] = 15.0
