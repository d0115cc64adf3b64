"""The one way to a town: every request goes out here, with a token, and again when it may.

    ask ─▶ token (fresh, or renewed) ─▶ send ─▶ answer ─▶ decoded
              ▲                          │ 401 once: a new token      │ other 4xx: Refused
              └──────────────────────────┴─ no answer, 429, 503 … : wait, the same request again, at last Unavailable

What was written here is seen by every read that follows: the door keeps the greatest `X-Position` of its commands.

Clock, chance and sleep are parameters, so that a test waits for nothing.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from timebank_client.credentials import Credentials
from timebank_client.errors import Problem, Unauthorised, Unavailable, Unexpected, read_problem, refused
from timebank_client.retries import RETRIED_STATUSES, Retries, read_retry_after
from timebank_client.routes import ROUTES

EARLY_SECONDS: Final = 60.0
"""A token is renewed so long before it ends: clocks differ, and a request takes time."""
DIRECTORY: Final = frozenset({"getToken", "resolvePayee"})
"""Operations of the directory; all others are the ledger's."""
POSITION: Final = "X-Position"
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a client takes from the world; tests give their own."""

    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    """0 to 1. It spreads retries; nothing secret depends on it."""
    new_key: Callable[[], str] = field(default=lambda: uuid.uuid4().hex)
    """Makes an Idempotency-Key."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """The directory's answer to a token request."""

    access_token: str
    expires_in: int
    scope: str = ""


class Door:
    """Sends requests to one town.

    Args:
        http: its timeouts bound each try.
        ledger_url: base address of the ledger.
        directory_url: base address of the directory.
        client_id: the client's id.
        credentials: its secret or key.
        scope: what the tokens shall allow; empty: all that was granted.
        audience: for whom an assertion is made; None: the address of the token route.
        retries: how stubborn it is.
        around: clock, chance, sleep.
    """

    def __init__(
        self,
        http: httpx.Client,
        *,
        ledger_url: str,
        directory_url: str,
        client_id: str,
        credentials: Credentials,
        scope: str = "",
        audience: str | None = None,
        retries: Retries,
        around: Surroundings,
    ) -> None:
        self.around = around
        self._http = http
        self._ledger_url = ledger_url.rstrip("/")
        self._directory_url = directory_url.rstrip("/")
        self._client_id = client_id
        self._credentials = credentials
        self._scope = scope
        self._audience = audience or f"{self._directory_url}{ROUTES['getToken'][1]}"
        self._retries = retries
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._renew_at = 0.0
        self._written = 0
        """Length of the journal that holds all that was written through this door."""

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
        return _decoded(answer, into)

    def _note(self, position: str) -> None:
        if position.isascii() and position.isdigit():
            with self._lock:
                self._written = max(self._written, int(position))

    def pause(self, *, tried: int = 1) -> None:
        """Wait as after so many tries, and a second at least; `Unavailable` is the caller's to raise."""
        self.around.sleep(self._retries.wait_seconds(tried, chance=self.around.chance(), retry_after_seconds=1.0))

    @property
    def tries_max(self) -> int:
        """How often something is tried."""
        return self._retries.tries_max

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
        headers = {"Authorization": f"Bearer {self.token()}", "Content-Type": media_type}
        method, url = ROUTES[operation][0], self._url(operation, None)
        with self._http.stream(method, url, params=_said(query), content=content, headers=headers) as answer:
            if not answer.is_success:
                answer.read()
            if answer.status_code in RETRIED_STATUSES:
                problem = _problem_of(answer)
                raise Unavailable(problem.detail or problem.code, problem=problem)
            yield _checked(answer)

    def token(self, *, key: str | None = None) -> str:
        """A token that is valid for a while; a new one is fetched when the old one is near its end.

        Args:
            key: of the command that needs it, for `Unavailable`.
        """
        with self._lock:
            if self._token is None or self.around.now().timestamp() >= self._renew_at:
                self._renew(key)
            assert self._token is not None
            return self._token.access_token

    def _forget(self, token: str) -> None:
        with self._lock:
            # Another thread may have renewed it meanwhile.
            if self._token is not None and self._token.access_token == token:
                self._token = None

    def _renew(self, key: str | None) -> None:
        now = self.around.now().timestamp()
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})

        def send() -> httpx.Response:
            # An assertion is used once: each try signs a new one.
            said = self._credentials.form(
                client_id=self._client_id, audience=self._audience, now_seconds=int(self.around.now().timestamp())
            )
            return self._http.post(self._url("getToken", None), data=form | said)

        token = _decoded(self._persistently(send, key=key), Token)
        self._token = token
        self._renew_at = now + max(0.0, token.expires_in - min(EARLY_SECONDS, token.expires_in / 2))

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
        usual = self._http.timeout
        timeout = httpx.Timeout(
            connect=usual.connect,
            read=None if usual.read is None else usual.read + longer_seconds,
            write=usual.write,
            pool=usual.pool,
        )

        def send_with(token: str) -> Callable[[], httpx.Response]:
            authorised = {**headers, "Authorization": f"Bearer {token}", "Accept": "application/json"}
            return lambda: self._http.request(
                method, url, params=params, content=content, headers=authorised, timeout=timeout
            )

        token = self.token(key=key)
        try:
            return self._persistently(send_with(token), key=key)
        except Unauthorised:
            # The town's keys may have changed, or our clock is slow: once more, with a new token.
            self._forget(token)
        return self._persistently(send_with(self.token(key=key)), key=key)

    def _persistently(self, send: Callable[[], httpx.Response], *, key: str | None) -> httpx.Response:
        """Send until there is an answer to hand on; see `Retries`."""
        tried, waited = 0, 0.0
        while True:
            tried += 1
            problem, asked_seconds, cause = None, None, None
            try:
                answer = send()
            except httpx.TransportError as error:
                cause = error
                text = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code not in RETRIED_STATUSES:
                    return _checked(answer)
                problem = _problem_of(answer)
                text = problem.detail or problem.code
                asked_seconds = read_retry_after(answer.headers.get("Retry-After"), now=self.around.now())
            wait = self._retries.wait_seconds(tried, chance=self.around.chance(), retry_after_seconds=asked_seconds)
            if tried >= self._retries.tries_max or waited + wait > self._retries.total_seconds_max:
                raise Unavailable(f"No success in {tried} tries. {text}", key=key, problem=problem) from cause
            self.around.sleep(wait)
            waited += wait

    def _url(self, operation: str, path: Mapping[str, str] | None) -> str:
        base = self._directory_url if operation in DIRECTORY else self._ledger_url
        filled = {name: quote(value, safe=":") for name, value in (path or {}).items()}
        return base + ROUTES[operation][1].format(**filled)


def _said(query: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (query or {}).items() if value is not None}


def _problem_of(answer: httpx.Response) -> Problem:
    """The problem that an answer holds; one of its status alone where a proxy answered in its own words."""
    try:
        found = read_problem(msgspec.json.decode(answer.content), status=answer.status_code)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if found is None:
        text = f"The server answered {answer.status_code} without a problem document."
        found = Problem(code=f"http_{answer.status_code}", status=answer.status_code, detail=text)
    return found


def _checked(answer: httpx.Response) -> httpx.Response:
    """The answer, when it is a success."""
    if answer.is_success:
        return answer
    problem = _problem_of(answer)
    if answer.is_client_error:
        raise refused(problem)
    raise Unexpected(f"{answer.status_code} {problem.code}: {problem.detail}")


def _decoded(answer: httpx.Response, into: type[Answer]) -> Answer:
    if into is bytes:
        return answer.content  # type: ignore[return-value] # mypy does not follow the comparison of types
    if into is type(None):
        return None
    try:
        return msgspec.json.decode(answer.content, type=into)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unexpected(f"The answer is not what the API documents: {error}.") from error
