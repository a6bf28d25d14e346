"""Signatures of webhooks after Standard Webhooks (standardwebhooks.com, 2023): receivers need no code of ours.

HMAC-SHA256 over `<id>.<timestamp>.<body>`, base64, in the header `webhook-signature` after `v1,`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"
FEWEST_BYTES = 16
TOLERANCE_S = 300.0
_PREFIX = "whsec_"


def secret_bytes(text: str) -> bytes:
    """The key: what follows `whsec_` in base64, or the text itself.

    Raises:
        ValueError: what follows `whsec_` is no base64.
    """
    if not text.startswith(_PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"expected base64 after {_PREFIX}") from None


def signed(secret: bytes, id_: str, body: bytes, now_s: float) -> dict[str, str]:
    """The headers that go with the body. The same message has the same id each time it is sent."""
    stamp = str(int(now_s))
    return {ID: id_, TIMESTAMP: stamp, SIGNATURE: f"v1,{_mac(secret, id_, stamp, body)}"}


def is_ours(secret: bytes, headers: dict[str, str], body: bytes, now_s: float) -> bool:
    """What a receiver checks: somebody who has the secret wrote this body, less than five minutes ago."""
    id_, stamp, said = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not stamp.isdigit() or abs(now_s - int(stamp)) > TOLERANCE_S:
        return False
    wanted = f"v1,{_mac(secret, id_, stamp, body)}"
    return any(hmac.compare_digest(wanted.encode(), one.encode()) for one in said.split(" "))


def _mac(secret: bytes, id_: str, stamp: str, body: bytes) -> str:
    digest = hmac.new(secret, b".".join((id_.encode(), stamp.encode(), body)), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
