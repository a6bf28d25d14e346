from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alerts.signing import ID, SIGNATURE, TIMESTAMP, is_ours, secret_bytes, signed

# The example of the specification, which its libraries test themselves with.
_SECRET, _ID, _AT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
_BODY, _SAID = b'{"test": 2432232314}', "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_it_signs_as_the_standard_does() -> None:
    headers = signed(secret_bytes(_SECRET), _ID, _BODY, _AT + 0.7)
    assert headers == {ID: _ID, TIMESTAMP: str(_AT), SIGNATURE: _SAID}
    assert is_ours(secret_bytes(_SECRET), headers, _BODY, _AT + 60)


@given(secret=st.binary(min_size=16), other=st.binary(min_size=16), body=st.binary(), at=st.integers(0, 2**33))
def test_nobody_else_is_believed(secret: bytes, other: bytes, body: bytes, at: int) -> None:
    headers = signed(secret, "msg_1", body, at)
    assert is_ours(secret, headers, body, at + 299)
    assert not is_ours(secret, headers, body + b" ", at)
    assert not is_ours(secret, headers, body, at + 301)
    assert not is_ours(secret, headers, body, at - 301)
    assert not is_ours(secret, {**headers, ID: "msg_2"}, body, at)
    assert not is_ours(secret, {**headers, TIMESTAMP: str(at + 1)}, body, at)
    assert not is_ours(secret, {}, body, at)
    assert is_ours(other, headers, body, at) == (other == secret)


def test_a_secret_may_be_text_or_base64() -> None:
    assert secret_bytes("plain text") == b"plain text"
    assert secret_bytes("whsec_" + base64.b64encode(b"bytes").decode()) == b"bytes"
    with pytest.raises(ValueError, match="base64"):
        secret_bytes("whsec_~")
