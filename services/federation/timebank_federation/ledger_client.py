"""The town's ledger as federation sees it: HTTP, in this process or another.

Trouble (no answer, 5xx, a token that is not taken) is raised as `LedgerAway` and handled by the outermost loops only.
What the ledger refuses for good is `LedgerRefused`: the same bytes would be refused again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any, NamedTuple

import httpx

from timebank_contracts.tiles import TileName, decode_bundle, tile_path

BATCH_ENTRIES = 1024


class LedgerAway(Exception):
    """The ledger does not answer, or has stopped writing."""


class LedgerStopped(LedgerAway):
    """The ledger's writer has stopped for good; reading goes on."""


class LedgerRefused(Exception):
    """The ledger answered that it will not do this; `code` is its problem's code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class TakenSegment(NamedTuple):
    """What the ledger did with a segment: see POST /v1/segments."""

    outcome: str
    high: int
    position: int | None
    code: str | None
    detail: str | None


class LedgerClient:
    """Calls the ledger with a fresh token each time.

    Args:
        http: a client whose base URL is the ledger's.
        token: makes a bearer token of scope `federation`.
    """

    def __init__(self, http: httpx.Client, token: Callable[[], str]) -> None:
        self._http = http
        self._token = token

    def streams(self) -> dict[str, Any]:
        """Identity, registry and streams, as GET /v1/streams says."""
        found: dict[str, Any] = self._get("/v1/streams").json()
        return found

    def journal_after(self, position: int, *, wait_seconds: float) -> list[bytes]:
        """Entries after a position (−1: from the first), up to 1,024, waiting for the first up to the time given."""
        params = {"after": position, "limit": BATCH_ENTRIES, "wait_seconds": wait_seconds}
        return decode_bundle(self._get("/v1/journal", params=params).content, count_max=BATCH_ENTRIES)

    def messages_after(self, peer: str, position: int, *, limit: int) -> tuple[bytes, list[bytes]]:
        """The chain value at `position` of the stream to `peer`, and up to `limit` messages after it."""
        answer = self._get(f"/v1/streams/{peer}/messages", params={"after": position, "limit": limit})
        return bytes.fromhex(answer.headers["X-Stream-Chain"]), answer.content.split(b"\n")[:-1]

    def kept_after(self, peer: str, generation: str, position: int) -> bytes | None:
        """The segment of a peer's closed generation with the message after a position; None: there is none after it.

        Raises:
            LedgerAway, LedgerRefused: the ledger does not answer, or the generation is not closed there.
        """
        answer = self._get(f"/v1/streams/{peer}/kept", params={"generation": generation, "after": position})
        return answer.content if answer.status_code == 200 else None

    def checkpoint(self) -> bytes:
        """The town's latest checkpoint."""
        return self._get("/checkpoint").content

    def tile(self, name: TileName) -> bytes:
        """The hashes of a tile of the town's log."""
        return self._get(f"/{tile_path(name)}").content

    def contradict(self, *, text: str, note: bytes | None) -> None:
        """Say that a witness holds what the journal does not: the ledger judges it, and stops writing.

        Args:
            text: who holds what.
            note: the checkpoint under this town's own log key that proves it, where there is one.

        Raises:
            LedgerAway, LedgerRefused: it did not take notice.
        """
        body = json.dumps({"text": text, "note": None if note is None else note.decode()}).encode("ascii")
        with suppress(LedgerStopped):  # as it should
            self._call("POST", "/v1/journal/contradiction", content=body, params=None)

    def take_segment(self, raw: bytes) -> TakenSegment:
        """Hand a segment to the writer and wait for its commit. Raises `LedgerAway`, `LedgerRefused`."""
        said = self._call("POST", "/v1/segments", content=raw, params=None).json()
        return TakenSegment(said["outcome"], said["high"], said.get("position"), said.get("code"), said.get("detail"))

    def accept_registry(self, envelope: bytes) -> None:
        """Hand a newer registry to the writer; the ledger verifies it. Raises `LedgerAway`, `LedgerRefused`."""
        self._call("PUT", "/v1/registry", content=envelope, params=None, key=_key("registry", envelope))

    def agree_limit(self, peer: str, limit: int, *, key: bytes) -> None:
        """Enter an agreed limit in minutes as the town's own; whether the peer is suspended stays as it is.

        Args:
            key: the agreement's bytes: the same one is entered once.

        Raises:
            LedgerAway, LedgerRefused: it was not entered.
        """
        rows = [row for row in self._get("/v1/positions").json()["rows"] if row["peer"] == peer]
        body = {"suspended": bool(rows and rows[0]["suspended_here"]), "own_limit": limit}
        self._call("PUT", f"/v1/peers/{peer}", content=None, params=None, key=_key("limit", key), json=body)

    def _get(self, path: str, params: dict[str, Any] | None = None) -> httpx.Response:
        return self._call("GET", path, content=None, params=params)

    def _call(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None,
        params: dict[str, Any] | None,
        key: str | None = None,
        json: Any = None,
    ) -> httpx.Response:
        try:
            # A clock that steps between issuing and checking spoils a token once; a fresh one tells.
            for _ in range(2):
                headers = {"Authorization": f"Bearer {self._token()}"}
                if content is not None:
                    headers["Content-Type"] = "application/octet-stream"
                if key is not None:
                    headers["Idempotency-Key"] = key
                answer = self._http.request(method, path, content=content, params=params, headers=headers, json=json)
                if answer.status_code != 401:
                    break
        except httpx.HTTPError as error:
            raise LedgerAway(f"The ledger does not answer: {type(error).__name__}.") from error
        if answer.status_code < 400:
            return answer
        text = f"The ledger answered {answer.status_code} to {method} {path}: {answer.text[:300]}"
        code = _code(answer)
        if code == "writer_stopped":
            raise LedgerStopped(text)
        if answer.status_code >= 500 or answer.status_code == 401 or code == "node_not_opened":
            raise LedgerAway(text)
        raise LedgerRefused(code, text)


def _key(kind: str, content: bytes) -> str:
    return f"{kind}/{sha256(content).hexdigest()}"


def _code(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return "refused"
    return str(body.get("code", "refused")) if isinstance(body, dict) else "refused"
