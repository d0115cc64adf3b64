"""Where a webhook may be sent: https, to a public name or address. The text is judged once; its parts are used after.

A name says nothing of where it leads: `webhook_outlet.py` judges the addresses too, where it connects.
Source: case N-3; standardwebhooks.com, "Server side request forgery"; IANA's special-purpose address registries.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

URL_CHARACTERS_MAX: Final = 1_000
PORTS_HIGH: Final = range(1_024, 65_536)
_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]{1,253}))(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
    r"(?P<query>\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LOCAL_ENDS: Final = frozenset({"localhost", "local", "internal"})
_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_BARRED: Final = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20")))
"""Tunnels, translators and other special purposes, and documentation: some of them count as global."""

Address = IPv4Address | IPv6Address


class TargetRefused(Exception):
    """Nothing is sent there; the text says what to do."""


class Target(NamedTuple):
    """A judged address; `host` is a lower-case name or an address without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_local(self) -> bool:
        """It names this machine; only a sandbox or a test allows that."""
        address = address_of(self.host)
        return self.host == "localhost" if address is None else address.is_loopback


def parse_target(url: str, *, allow_loopback: bool = False) -> Target:
    """The parts of a webhook's URL.

    Args:
        url: https, a public DNS name or address, port 443 or one from 1024.
        allow_loopback: `localhost`, `127.0.0.1` and `[::1]` may be named too, with http.

    Raises:
        TargetRefused: another form, or an address that is not public.
    """
    found = _URL.fullmatch(url) if len(url) <= URL_CHARACTERS_MAX else None
    if found is None:
        raise TargetRefused(
            f"A webhook's URL is https://name/path in ASCII, without a user, at most {URL_CHARACTERS_MAX} characters."
        )
    scheme, host = found["scheme"], (found["v6"] or found["name"]).lower()
    port = int(found["port"] or (443 if scheme == "https" else 80))
    target = Target(scheme, host, port, (found["path"] or "/") + (found["query"] or ""))
    address = address_of(host)
    if found["v6"] and not isinstance(address, IPv6Address):
        raise TargetRefused("What stands in brackets is no IPv6 address.")
    if allow_loopback and target.is_local:
        return target
    if scheme != "https":
        raise TargetRefused("Webhooks are sent with https only.")
    if port != 443 and port not in PORTS_HIGH:
        raise TargetRefused("A webhook's port is 443, or one from 1024 to 65535.")
    if address is None:
        _check_name(host)
    elif not is_public(address):
        raise TargetRefused("Webhooks are sent to public addresses only.")
    return target


def address_of(host: str) -> Address | None:
    """The address that a host is, or None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _check_name(host: str) -> None:
    labels = host.split(".")
    good = len(labels) > 1 and all(map(_LABEL.fullmatch, labels)) and labels[-1][0].isalpha()
    # A last label that begins with a digit makes `0x7f.1` or `2130706433`: an address to some, a name to others.
    if not good or labels[-1] in _LOCAL_ENDS:
        raise TargetRefused(
            "A webhook's host is a public DNS name such as hooks.example.org, without a dot at its end."
        )


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet; an IPv4 address inside an IPv6 one is judged itself."""
    if isinstance(address, IPv4Address):
        special = address.is_multicast or address.is_reserved or any(address in barred for barred in _BARRED)
        return address.is_global and not special
    if address.scope_id is not None:
        return False
    inner = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    if inner is not None:
        return is_public(inner)
    return address in _UNICAST and address.is_global and not any(address in barred for barred in _BARRED)
