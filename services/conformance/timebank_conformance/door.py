"""The way to the node under test: its public routes, with bounded answers. Nothing that comes back is believed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from timebank_conformance.towns import KitTown
from timebank_contracts.segments import SEGMENT_BYTES_MAX
from timebank_contracts.tiles import TILE_WIDTH, TileName, tile_path
from timebank_contracts.tokens import NODE_TOKEN_SECONDS, TokenKey, audience
from timebank_kit.clock import Clock
from timebank_kit.fetch import fetch

ANSWER_SECONDS_MAX: Final = 30.0
ANSWER_BYTES_MAX: Final = 20_000_000
"""A bundle of entries has at most 256 of 65,535 bytes."""

assert max(SEGMENT_BYTES_MAX, TILE_WIDTH * 65_537) < ANSWER_BYTES_MAX


class NodeAway(Exception):
    """The node does not answer, or not within its time; the text says how."""


class NodeDoor:
    """Asks the node.

    Args:
        http: a client; its time-outs are bounded.
        url: where the node's peers reach it.
        log_url: where its checkpoint and tiles are.
        clock: for tokens.
    """

    def __init__(self, http: httpx.Client, *, url: str, log_url: str, clock: Clock) -> None:
        self._http = http
        self.url = url.rstrip("/")
        self.log_url = log_url.rstrip("/")
        self._clock = clock

    def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        at: str | None = None,
    ) -> httpx.Response:
        """The answer to one request, whatever its status; raises `NodeAway`."""
        said = dict(headers or {})
        if token is not None:
            said["Authorization"] = f"Bearer {token}"
        try:
            return fetch(
                self._http,
                method,
                f"{at or self.url}{path}",
                bytes_max=ANSWER_BYTES_MAX,
                seconds_max=ANSWER_SECONDS_MAX,
                headers=said,
                json=json,
            )
        except httpx.HTTPError as error:
            raise NodeAway(f"The node does not answer {method} {path} ({type(error).__name__}).") from error

    def token(self, town: KitTown, seed: bytes, **changes: Any) -> str:
        """A node token of a town for the node under test; `changes` replace arguments of `TokenKey.issue`."""
        said: dict[str, Any] = {
            "issuer": town.name,
            "subject": town.name,
            "audience": audience(town.node.network, town.node.node),
            "scopes": frozenset({"federation"}),
            "accounts": frozenset(),
            "now_seconds": int(self._clock.now().timestamp()),
            "seconds": NODE_TOKEN_SECONDS,
        }
        return TokenKey(seed, town.key.public).issue(**{**said, **changes})

    def stream(self, town: KitTown, after: int, *, token: str | None) -> httpx.Response:
        """The answer to a town's question for the node's stream to it."""
        path = f"/v1/streams/{town.node.node}/{town.node.generation}/{town.name}?after={after}"
        return self.ask("GET", path, token=token)

    def registry(self, version: int | str) -> httpx.Response:
        """The answer to a question for a registry version."""
        return self.ask("GET", f"/.well-known/timebank/registry/{version}")

    def checkpoint(self) -> httpx.Response:
        """The answer to a question for the latest checkpoint."""
        return self.ask("GET", "/checkpoint", at=self.log_url)

    def tile(self, name: TileName, *, token: str | None = None) -> httpx.Response:
        """The answer to a question for a tile or a bundle."""
        return self.ask("GET", f"/{tile_path(name)}", at=self.log_url, token=token)
