"""A look at a peer from outside: does its address answer, with which registry, by which clock, for how long yet?

Nothing is sent but questions that anybody may ask; a peer that does not answer is no fault of the node that looks.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpx

from timebank_contracts.checkpoint import parse_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.registry import REGISTRY_BYTES_MAX, RegisteredNode
from timebank_kit.clock import Clock
from timebank_kit.fetch import fetch

PEERS_MAX: Final = 16
"""Looked at in one go."""
ANSWER_SECONDS_MAX: Final = 10.0
CHECKPOINT_BYTES_MAX: Final = 65_536
APART_SECONDS_MAX: Final = 20.0
"""Clocks that differ by more spoil each other's tokens, which live for a minute."""
CERTIFICATE_DAYS_MIN: Final = 14
_VERSION: Final = "X-Registry-Version"

CertificateEnd = Callable[[str, int], datetime]


class Visit(NamedTuple):
    """What was found: `away` says that it does not answer; `wrong` says what to change, `fine` what is well."""

    away: str | None
    wrong: list[str]
    fine: list[str]


def certificate_end(host: str, port: int, *, context: ssl.SSLContext | None = None) -> datetime:
    """When the certificate of a server ends. Raises `OSError`: no answer, or a certificate that is not believed."""
    context = context or ssl.create_default_context()
    with (
        socket.create_connection((host, port), timeout=ANSWER_SECONDS_MAX) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        found = secured.getpeercert()
    assert found is not None, "the context verifies certificates"
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)


class PeerVisitor:
    """Looks at peers.

    Args:
        http: without a base URL; its time-outs are bounded.
        clock: compared with theirs.
        held: the version of the registry that is held here.
        certificate: tells when the certificate of a host and port ends; raises `OSError`.
    """

    def __init__(
        self, http: httpx.Client, *, clock: Clock, held: int, certificate: CertificateEnd = certificate_end
    ) -> None:
        self._http = http
        self._clock = clock
        self._held = held
        self._certificate = certificate

    def visit(self, node: RegisteredNode) -> Visit:
        """Ask a peer for its registry and its checkpoint, and look at its clock and certificate."""
        try:
            answer = self._get(node, "/.well-known/timebank/registry/latest", bytes_max=REGISTRY_BYTES_MAX)
        except httpx.HTTPError as error:
            found = Visit(f"{node.node} does not answer at {node.url} ({type(error).__name__}).", [], [])
            self._ends(node, found)
            return found
        found = Visit(None, [], [])
        self._registry(node, answer, found)
        self._apart(node, answer, found)
        self._ends(node, found)
        self._checkpoint(node, found)
        return found

    def _get(self, node: RegisteredNode, path: str, *, bytes_max: int) -> httpx.Response:
        url = f"{node.url.rstrip('/')}{path}"
        return fetch(self._http, "GET", url, bytes_max=bytes_max, seconds_max=ANSWER_SECONDS_MAX, headers={})

    def _registry(self, node: RegisteredNode, answer: httpx.Response, found: Visit) -> None:
        said = answer.headers.get(_VERSION, "")
        if answer.status_code != 200 or not (said.isascii() and said.isdigit() and len(said) <= 16):
            found.wrong.append(
                f"{node.node}: something else than a node answers at {node.url} ({answer.status_code}): "
                "tell its operator, or change its URL: timebank network propose --url"
            )
        elif int(said) > self._held:
            found.wrong.append(
                f"{node.node} holds version {said} of the registry, this home {self._held}: a running node fetches it "
                "within five minutes; else timebank network publish"
            )
        else:
            found.fine.append(f"registry {said}")

    def _apart(self, node: RegisteredNode, answer: httpx.Response, found: Visit) -> None:
        try:
            theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
        except ValueError:
            return
        if theirs.tzinfo is None:
            return
        apart = (self._clock.now() - theirs).total_seconds()
        if abs(apart) > APART_SECONDS_MAX:
            way = "ahead of" if apart > 0 else "behind"
            found.wrong.append(
                f"This machine's clock is {abs(apart):.0f} s {way} that of {node.node}: set right the one that is "
                "wrong, or tokens are refused."
            )
        else:
            found.fine.append("clock within 20 s")

    def _ends(self, node: RegisteredNode, found: Visit) -> None:
        parts = urlsplit(node.url)
        if parts.scheme != "https" or parts.hostname is None:
            return
        try:
            end = self._certificate(parts.hostname, parts.port or 443)
        except ssl.SSLCertVerificationError as refused:
            found.wrong.append(f"{node.node}: its certificate is not believed here ({refused.verify_message}).")
            return
        except OSError:
            # Then it is away, which is said once.
            return
        days = (end - self._clock.now()).days
        if days < CERTIFICATE_DAYS_MIN:
            found.wrong.append(f"{node.node}: its certificate ends in {days} days: tell its operator to renew it.")
        else:
            found.fine.append(f"certificate for {days} days")

    def _checkpoint(self, node: RegisteredNode, found: Visit) -> None:
        try:
            answer = self._get(node, "/checkpoint", bytes_max=CHECKPOINT_BYTES_MAX)
            if answer.status_code == 200:
                text = answer.content.decode("utf-8").partition("\n\n")[0] + "\n"
                found.fine.append(f"checkpoint of {parse_checkpoint(text).size} entries")
        except (httpx.HTTPError, Malformed, ValueError):
            found.wrong.append(f"{node.node}: its checkpoint cannot be read: tell its operator.")
