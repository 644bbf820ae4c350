"""Where a server listens, by which names it may be called there, and what that needs."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tasktrail.model.errors import BadInput

LOOPBACK: Final = "127.0.0.1"
_LOOPBACK_NAMES: Final = (LOOPBACK, "localhost", "::1")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_Site = tuple[str, str, int]
"""Scheme, name and port."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens.

    Args:
        host: A name or address of this machine.
        port: 0 takes a free one.
        urls: By which it is reached besides: a proxy's, or a name of a machine that listens everywhere.
        certificate: A PEM file; with `key` the server speaks TLS.
        is_behind_proxy: A proxy that speaks TLS passes requests on. Nothing that it says of the client is believed.
    """

    host: str = LOOPBACK
    port: int = 0
    urls: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    is_behind_proxy: bool = False

    @property
    def is_public(self) -> bool:
        """Whether others than programs of this machine can reach it: then it needs a token."""
        names = [self.host, *(name for _, name, _ in map(_site, self.urls))]
        return self.is_behind_proxy or not all(map(_is_loopback, names))

    @property
    def listens_on(self) -> str:
        """The address to listen on: `localhost` is what it should be, whatever the machine's tables say."""
        return LOOPBACK if self.host.lower() == "localhost" else self.host

    def url(self, port: int) -> str:
        """Return where clients of this machine find the server that listens on a port."""
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{_forms(scheme, self.host, port)[0]}"

    def hosts(self, port: int) -> frozenset[str]:
        """Return what a request's `Host` may be where the server listens on a port."""
        return frozenset(form for site in self._sites(port) for form in _forms(*site))

    def origins(self, port: int) -> frozenset[str]:
        """Return what a request's `Origin` may be."""
        return frozenset(f"{site[0]}://{form}" for site in self._sites(port) for form in _forms(*site))

    def _sites(self, port: int) -> list[_Site]:
        scheme = "https" if self.certificate else "http"
        names = {self.host, *(_LOOPBACK_NAMES if _is_loopback(self.host) else ())}
        return [*((scheme, name, port) for name in names), *map(_site, self.urls)]


def check(address: Address, has_token: bool) -> None:
    """Refuse to serve where more can reach it than is guarded against.

    Raises:
        BadInput: It says what is missing.
    """
    if (address.certificate is None) != (address.key is None):
        raise BadInput("expected a certificate and its key, got one of them", hint="--tls-cert FILE --tls-key FILE")
    if not 0 <= address.port <= 65_535:
        raise BadInput(f"expected a port from 0 to 65535, got: {address.port}")
    for url in address.urls:
        _check_url(url)
    if not address.is_public:
        return
    where = f"{address.host} can be reached from other machines"
    if not has_token:
        raise BadInput(f"{where}: expected a token", hint="set TASKTRAIL_TOKEN, or serve 127.0.0.1")
    if not (address.certificate or address.is_behind_proxy):
        hint = "--tls-cert FILE --tls-key FILE, or --behind-proxy with a proxy that speaks TLS"
        raise BadInput(f"{where}: expected TLS, since the token could be read on the way", hint=hint)
    if _is_everywhere(address.host) and not address.urls:
        raise BadInput(f"{address.host} is no name by which clients call it", hint="--url https://NAME:PORT")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, half of a bracket
        is_sound = False
    if not is_sound or "@" in url or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise BadInput(f"expected a URL like https://tasks.example.org, got: {url[:60]!r}")


def _site(url: str) -> _Site:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]


def _forms(scheme: str, name: str, port: int) -> list[str]:
    """Return how a client writes host and port; it may leave out the port that the scheme stands for.

    >>> _forms("http", "::1", 80)
    ['[::1]:80', '[::1]']
    """
    host = f"[{name.lower()}]" if ":" in name else name.lower()
    return [f"{host}:{port}", *([host] if _DEFAULT_PORTS[scheme] == port else [])]


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach it. What is no plain address counts as reached by all."""
    ip = _ip(host)
    return host.lower() == "localhost" or (ip is not None and ip.is_loopback)


def _is_everywhere(host: str) -> bool:
    ip = _ip(host)
    return ip is not None and ip.is_unspecified


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
