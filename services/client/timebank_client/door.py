"""The one way to a town: every request goes out here, with a token, and again when it may.

    ask ─▶ token (fresh, or renewed) ─▶ send ─▶ answer ─▶ decoded
              ▲                          │ 401 once: a new token      │ other 4xx: Refused
              └──────────────────────────┴─ no answer, 429, 503 … : wait, the same request again, at last Unavailable

What was written here is seen by every read that follows: the door keeps the greatest `X-Position` of its commands.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from timebank_client.errors import Unauthorised, Unavailable
from timebank_client.retries import RETRIED_STATUSES
from timebank_client.routes import ROUTES
from timebank_client.sending import Answer, Sender, Surroundings, checked, decoded, problem_of
from timebank_client.tokens import Tokens

DIRECTORY: Final = frozenset({"resolvePayee"})
"""Operations of the directory; all others are the ledger's."""
POSITION: Final = "X-Position"


class Door:
    """Sends requests to one town.

    Args:
        sender: sends, and again when it may.
        tokens: makes tokens.
        ledger_url: base address of the ledger.
        directory_url: base address of the directory.
    """

    def __init__(self, sender: Sender, tokens: Tokens, *, ledger_url: str, directory_url: str) -> None:
        self._sender = sender
        self._tokens = tokens
        self._ledger_url = ledger_url.rstrip("/")
        self._directory_url = directory_url.rstrip("/")
        self._lock = threading.Lock()
        self._written = 0
        """Length of the journal that holds all that was written through this door."""

    @property
    def around(self) -> Surroundings:
        """What it takes from the world."""
        return self._sender.around

    def ask(
        self,
        operation: str,
        into: type[Answer],
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        key: str | None = None,
        longer_seconds: float = 0.0,
    ) -> Answer:
        """Ask one operation, as often as the retries allow.

        Args:
            operation: its operationId.
            into: the answer's type; `type(None)` for an answer without a body, `bytes` for the body itself.
            path: values of the path's parameters.
            query: None values are left out.
            body: encoded as JSON; None for none.
            key: Idempotency-Key of a command.
            longer_seconds: how much longer than the usual timeout the town may take to answer.

        Raises:
            Refused, Unavailable, Unexpected: see `errors`.
        """
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if content is None else {"Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        is_read = ROUTES[operation][0] == "GET"
        if is_read and self._written:
            headers[POSITION] = str(self._written)
        try:
            answer = self._authorised(
                operation,
                path=path,
                params=_said(query),
                content=content,
                headers=headers,
                key=key,
                longer_seconds=longer_seconds,
            )
        except Unavailable as error:
            if error.problem is not None and error.problem.code == "position_ahead":
                # The town lost what it had answered, and somebody must be told, once: later reads see what there is.
                self._written = 0
            raise
        if not is_read and "dry_run" not in (query or {}):
            self._note(answer.headers.get(POSITION, ""))
        return decoded(answer, into)

    def _note(self, position: str) -> None:
        if position.isascii() and position.isdigit():
            with self._lock:
                self._written = max(self._written, int(position))

    def pause(self, *, tried: int = 1) -> None:
        """Wait as after so many tries, and a second at least; `Unavailable` is the caller's to raise."""
        self._sender.pause(tried, retry_after_seconds=1.0)

    @property
    def tries_max(self) -> int:
        """How often something is tried."""
        return self._sender.retries.tries_max

    @contextmanager
    def stream(
        self, operation: str, content: Iterable[bytes], *, media_type: str, query: Mapping[str, Any]
    ) -> Iterator[httpx.Response]:
        """Send a long body once and read its answer as it comes; `ask` is for all else.

        Raises:
            Refused, Unexpected: the answer is an error.
            Unavailable: it is one that says to come again.
            httpx.TransportError: the line broke.
        """
        headers = {"Authorization": f"Bearer {self._tokens.token()}", "Content-Type": media_type}
        method, url = ROUTES[operation][0], self._url(operation, None)
        with self._sender.http.stream(method, url, params=_said(query), content=content, headers=headers) as answer:
            if not answer.is_success:
                answer.read()
            if answer.status_code in RETRIED_STATUSES:
                problem = problem_of(answer)
                raise Unavailable(problem.detail or problem.code, problem=problem)
            yield checked(answer)

    def token(self) -> str:
        """A token that is valid for some minutes more."""
        return self._tokens.token()

    def _authorised(
        self,
        operation: str,
        *,
        path: Mapping[str, str] | None,
        params: Mapping[str, Any],
        content: bytes | None,
        headers: Mapping[str, str],
        key: str | None,
        longer_seconds: float,
    ) -> httpx.Response:
        method, url = ROUTES[operation][0], self._url(operation, path)
        usual = self._sender.http.timeout
        timeout = httpx.Timeout(
            connect=usual.connect,
            read=None if usual.read is None else usual.read + longer_seconds,
            write=usual.write,
            pool=usual.pool,
        )

        def send_with(token: str) -> Callable[[], httpx.Response]:
            authorised = {**headers, "Authorization": f"Bearer {token}", "Accept": "application/json"}
            return lambda: self._sender.http.request(
                method, url, params=params, content=content, headers=authorised, timeout=timeout
            )

        token = self._tokens.token(key=key)
        try:
            return self._sender.persistently(send_with(token), key=key)
        except Unauthorised:
            # The town's keys may have changed, or our clock is slow: once more, with a new token.
            self._tokens.forget(token)
        return self._sender.persistently(send_with(self._tokens.token(key=key)), key=key)

    def _url(self, operation: str, path: Mapping[str, str] | None) -> str:
        base = self._directory_url if operation in DIRECTORY else self._ledger_url
        filled = {name: quote(value, safe=":") for name, value in (path or {}).items()}
        return base + ROUTES[operation][1].format(**filled)


def _said(query: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (query or {}).items() if value is not None}
