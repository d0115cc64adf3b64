"""How peers are asked over HTTPS: for a segment after a position, for a registry document. Answers are bounded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import sha256
from typing import Final, Protocol

import httpx

from timebank_contracts.names import Identity
from timebank_contracts.registry import REGISTRY_BYTES_MAX, RegisteredNode
from timebank_contracts.segments import SEGMENT_BYTES_MAX
from timebank_kit.fetch import fetch

ANSWER_SECONDS_MAX: Final = 20.0
ANSWER_BYTES_MAX: Final = 65_536
_log = logging.getLogger(__name__)


class PeerDoor(Protocol):
    """What the receiver asks of a peer; None: the peer does not answer, or has no answer."""

    def segment_after(self, peer: RegisteredNode, *, to: Identity, after: int, limit: int) -> bytes | None:
        """The peer's segment after a position."""

    def registry(self, peer: RegisteredNode, version: int) -> bytes | None:
        """The peer's registry document of a version."""


class HttpDoor:
    """Asks peers over HTTPS.

    Args:
        http: a client without a base URL; its time-outs are bounded.
        token: makes a node token for a peer: audience → text.
    """

    def __init__(self, http: httpx.Client, token: Callable[[str], str]) -> None:
        self._http = http
        self._token = token

    def segment_after(self, peer: RegisteredNode, *, to: Identity, after: int, limit: int) -> bytes | None:
        path = f"/v1/streams/{peer.node}/{peer.generation}/{to.node}?after={after}&limit={limit}"
        headers = {"Authorization": f"Bearer {self._token(f'{to.network}/{peer.node}')}"}
        return self._get(peer, path, headers=headers, bytes_max=SEGMENT_BYTES_MAX)

    def own_segment_after(self, peer: RegisteredNode, *, lost: Identity, after: int) -> bytes | None:
        path = f"/v1/streams/{lost.node}/{lost.generation}/{peer.node}?after={after}"
        headers = {"Authorization": f"Bearer {self._token(f'{lost.network}/{peer.node}')}"}
        return self._get(peer, path, headers=headers, bytes_max=SEGMENT_BYTES_MAX)

    def registry(self, peer: RegisteredNode, version: int) -> bytes | None:
        path = f"/.well-known/timebank/registry/{version}"
        return self._get(peer, path, headers={}, bytes_max=REGISTRY_BYTES_MAX)

    def put_limit(self, peer: RegisteredNode, *, me: Identity, envelope: bytes) -> bool:
        """Hand a proposal or an assent to a peer; says whether it was taken."""
        url = f"{peer.url.rstrip('/')}/v1/limits/{me.node}"
        headers = {
            "Authorization": f"Bearer {self._token(f'{me.network}/{peer.node}')}",
            "Idempotency-Key": f"limit/{sha256(envelope).hexdigest()}",
            "Content-Type": "application/octet-stream",
        }
        try:
            answer = fetch(
                self._http,
                "PUT",
                url,
                bytes_max=ANSWER_BYTES_MAX,
                seconds_max=ANSWER_SECONDS_MAX,
                headers=headers,
                content=envelope,
            )
        except httpx.HTTPError as error:
            _log.info("peer does not answer", extra={"peer": peer.node, "reason": type(error).__name__})
            return False
        return answer.status_code == 200

    def _get(self, peer: RegisteredNode, path: str, *, headers: dict[str, str], bytes_max: int) -> bytes | None:
        url = f"{peer.url.rstrip('/')}{path}"
        try:
            answer = fetch(self._http, "GET", url, bytes_max=bytes_max, seconds_max=ANSWER_SECONDS_MAX, headers=headers)
        except httpx.HTTPError as error:
            _log.info("peer does not answer", extra={"peer": peer.node, "reason": type(error).__name__})
            return None
        return answer.content if answer.status_code == 200 else None
