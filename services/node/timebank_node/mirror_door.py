"""The way to another node's log over HTTPS: checkpoint, hash tiles, and entries under a client's token.

What comes back is believed by nobody here: `mirror.py` proves it. Every answer is bounded in size and in time.
Source: design page 2, "Rollback and generations"; PROTOCOL.md G6 to G8.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import httpx

from timebank_contracts.canonical import ENTRY_BYTES_MAX
from timebank_contracts.errors import Malformed
from timebank_contracts.tiles import TILE_WIDTH, TileName, decode_bundle, tile_path
from timebank_kit.fetch import fetch

PAGE_ENTRIES: Final = 1_024
PAGE_BYTES_MAX: Final = 5 * 1_048_576
"""A page has up to 4 MiB, or one entry."""
CHECKPOINT_BYTES_MAX: Final = 65_536
TOKEN_BYTES_MAX: Final = 65_536
ANSWER_SECONDS_MAX: Final = 60.0
WAIT_SECONDS: Final = 20

assert PAGE_BYTES_MAX > ENTRY_BYTES_MAX


class LogAway(Exception):
    """The node does not answer, or not as a node does now; come again later. The text says what it said."""


class LogDoor:
    """Asks one node.

    Args:
        http: with the address of the node's ledger as base URL.
        directory: the address of its directory; None: behind the same gate as the ledger.
        form: gives the fields of a token request (RFC 6749); None: no entries can be read.
    """

    def __init__(
        self,
        http: httpx.Client,
        *,
        form: Callable[[], dict[str, str]] | None = None,
        directory: str | None = None,
    ) -> None:
        self._http = http
        self._token_url = "/v1/token" if directory is None else f"{directory.rstrip('/')}/v1/token"
        self._form = form
        self._token = ""

    def checkpoint(self) -> bytes:
        """The latest signed checkpoint; raises `LogAway`."""
        return self._get("/checkpoint", bytes_max=CHECKPOINT_BYTES_MAX).content

    def tile(self, name: TileName) -> bytes:
        """The hashes of a tile; raises `LogAway`."""
        return self._get(f"/{tile_path(name)}", bytes_max=TILE_WIDTH * 32).content

    def entries(self, start: int, limit: int, *, wait_seconds: int = 0) -> list[bytes]:
        """Up to `limit` entries from position `start` on.

        Args:
            start: position of the first, from 0.
            limit: 1 to `PAGE_ENTRIES`.
            wait_seconds: how long the node may wait until there is one.

        Raises:
            LogAway: no answer, or the client is not let in; the text says so.
            Malformed: the answer is no bundle.
        """
        asked = {"after": start - 1, "limit": limit, "wait_seconds": wait_seconds}
        answer = self._authorised("/v1/journal", asked)
        return decode_bundle(answer.content, count_max=limit)

    def _authorised(self, path: str, params: dict[str, int]) -> httpx.Response:
        fresh = not self._token
        if fresh:
            self._token = self._new_token()
        try:
            headers = {"Authorization": f"Bearer {self._token}"}
            return self._get(path, bytes_max=PAGE_BYTES_MAX, params=params, headers=headers)
        except _NotLetIn:
            self._token = ""
            if fresh:
                raise
        return self._authorised(path, params)

    def _new_token(self) -> str:
        if self._form is None:
            raise LogAway("Entries are read by a client with the scope audit:read: name one, and its secret.")
        answer = self._ask("POST", self._token_url, bytes_max=TOKEN_BYTES_MAX, data=self._form())
        try:
            return str(answer.json()["access_token"])
        except (ValueError, KeyError, TypeError) as error:
            raise Malformed("The answer to the request for a token holds none.") from error

    def _get(
        self, path: str, *, bytes_max: int, params: dict[str, int] | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return self._ask("GET", path, bytes_max=bytes_max, params=params, headers=headers)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        bytes_max: int,
        params: dict[str, int] | None = None,
        headers: dict[str, str] | None = None,
        data: dict[str, str] | None = None,
    ) -> httpx.Response:
        said = dict(headers or {})
        content = None
        if data is not None:
            content = str(httpx.QueryParams(data)).encode("ascii")
            said["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            answer = fetch(
                self._http,
                method,
                path,
                bytes_max=bytes_max,
                seconds_max=ANSWER_SECONDS_MAX,
                headers=said,
                params=params,
                content=content,
            )
        except httpx.HTTPError as error:
            raise LogAway(f"The node does not answer ({type(error).__name__}).") from error
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise _NotLetIn(
                f"The node does not let this client in ({path}: {answer.status_code}): check its secret, and that it "
                "has the scope audit:read."
            )
        if answer.status_code != HTTPStatus.OK:
            raise LogAway(f"The node answered {answer.status_code} to {path}.")
        return answer


class _NotLetIn(LogAway):
    """No token, or one that does not allow it."""
