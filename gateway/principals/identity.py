"""From a request's headers and peer to the principal's name."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from gateway.errors import Unauthorized
from gateway.principals.config import Network, PrincipalConfig
from gateway.principals.keys import Key, Keys

_LONGEST = 128
_BEARER = b"bearer "
Headers = Iterable[tuple[bytes, bytes]]


class Identity:
    """Tells who calls: the name of the key that was shown, else what a trusted peer's header says, else the peer.

    Raises (on making it):
        OperatorError: the file of keys can't be read.
    """

    def __init__(self, config: PrincipalConfig) -> None:
        self._keys = None if config.keys is None else Keys(config.keys)
        self._refuses = config.anonymous == "refuse"
        self._header = None if config.header is None else config.header.lower().encode()
        self._networks = config.networks

    def name(self, headers: Headers, peer: str) -> str:
        """The principal.

        Raises:
            Unauthorized: a key that isn't known, or none where one is needed.
        """
        if self._keys is not None:
            key = self._key(headers)
            if key is not None:
                return key.name
            if self._refuses:
                raise Unauthorized("expected an API key: `authorization: Bearer ...` or `x-api-key: ...`, found none")
        return self.address(headers, peer)

    def address(self, headers: Headers, peer: str) -> str:
        """What a trusted peer's header says, else the peer."""
        if self._header is not None and _within(peer, self._networks):
            return self._told(headers) or peer
        return peer

    def operator(self, headers: Headers) -> bool:
        """Whether an operator's key was shown."""
        try:
            key = self._key(headers)
        except Unauthorized:
            return False
        return key is not None and key.operator

    def _key(self, headers: Headers) -> Key | None:
        if self._keys is None:
            return None
        presented = b""
        for name, value in headers:
            if name == b"x-api-key":
                presented = value.strip()
            elif name == b"authorization" and value[:7].lower() == _BEARER:
                presented = value[7:].strip()
        if not presented:
            return None
        key = self._keys.find(presented.decode("latin-1"))
        if key is None:
            raise Unauthorized("this API key is unknown, expired or revoked")
        return key

    def _told(self, headers: Headers) -> str:
        """What the header says; of a list of addresses, the last one that is no trusted peer's."""
        told = [value.decode("latin-1") for name, value in headers if name == self._header]
        if self._header != b"x-forwarded-for":
            return told[-1].strip()[:_LONGEST] if told else ""
        for address in reversed([part.strip() for part in ",".join(told).split(",")]):
            if address and not _within(address, self._networks):
                return address[:_LONGEST]
        return ""


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks if network.version == found.version)
