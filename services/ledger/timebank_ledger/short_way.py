"""The short way of `POST /v1/transfers`: a plain transfer goes round the framework, which takes most of the time.

    admit (as every route) ─▶ body ─▶ strict JSON ─▶ plain? ──yes─▶ command ─▶ commit ─▶ answer
                                                       └──no──▶ the framework's way, with the same body

What is not plainly good is left to the framework's route, so whatever is wrong is said in its words; what the writer
refuses becomes a problem by the application's own table. Both ways give the same bytes, and a test compares them.
Source: design page 8, "HTTP single".
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Request
from msgspec import Meta
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from timebank_contracts import fields as f
from timebank_contracts.errors import Malformed
from timebank_contracts.http import EXPIRES_SECONDS_MAX
from timebank_contracts.http_answers import Transfer
from timebank_contracts.moments import parse_date
from timebank_contracts.tokens import Caller
from timebank_kit.idempotency import KEY_HEADER, check_key
from timebank_kit.problem_answers import EdgeProblem
from timebank_kit.strict_json import parse_json
from timebank_ledger.answers import only_entry, transfer_fields
from timebank_ledger.api_transfers import asking_of
from timebank_ledger.asked import single_command
from timebank_ledger.batch import PayeeItem
from timebank_ledger.edge import Edge, GuardedRoute, write
from timebank_ledger.writer import Written

PATH: Final = "/v1/transfers"
_JSON: Final = frozenset({b"application/json", b"application/json; charset=utf-8"})
_KEY: Final = KEY_HEADER.lower().encode("ascii")
_NOTHING_SAID: Final = dict.fromkeys(Transfer.model_fields)


class PlainTransfer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One payer, one payee, under the bounds of `timebank_contracts.http.NewTransfer`."""

    purpose: f.Purpose
    payer: f.AccountId
    payee: PayeeItem
    minutes: f.Minutes
    given_minutes: f.Minutes | None = None
    expires_in_seconds: Annotated[int, Meta(ge=60, le=EXPIRES_SECONDS_MAX)] | None = None
    activity: f.Activity | None = None
    served_on: f.Day | None = None
    confirmed_by: f.ConfirmedBy | None = None
    programme: f.AccountId | None = None
    reason: f.SupportReason | None = None

    def __post_init__(self) -> None:
        if self.served_on is not None:
            parse_date(self.served_on)


class ShortWay:
    """An ASGI layer around the application.

    Args:
        app: what comes next; it takes everything else.
        owner: the application whose route this is: its state, and its answers to exceptions.
        route: `POST /v1/transfers`, which says who may call.
    """

    def __init__(self, app: ASGIApp, *, owner: FastAPI, route: GuardedRoute) -> None:
        self._app = app
        self._owner = owner
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST" or scope["query_string"]:
            await self._app(scope, receive, send)
            return
        scope["app"], scope["route"] = self._owner, self._route
        edge: Edge = self._owner.state.edge
        # Of a header that is sent twice the first counts, as in the framework.
        headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        try:
            said = headers.get(b"authorization")
            caller = self._route.judge(edge, None if said is None else said.decode("latin-1"))
            assert caller is not None, "a transfer is never anybody's"
            message = await receive()
            written = await _write(edge, caller, headers, message)
            if written is not None:
                await _answer(edge, written, send)
                return
        except Exception as error:
            handle = self._handler(error)
            if handle is None:
                raise
            response = await handle(Request(scope, receive), error)
            await response(scope, receive, send)
            return

        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, _again(message, receive), send)

    def _handler(self, error: Exception) -> Any:
        handlers = self._owner.exception_handlers
        kinds = (kind for kind in type(error).__mro__ if kind is not Exception)
        return next((handlers[kind] for kind in kinds if kind in handlers), None)


async def _write(edge: Edge, caller: Caller, headers: dict[bytes, bytes], message: Message) -> Written | None:
    """What was written, or None when the framework has to look at it."""
    if message["type"] != "http.request" or message.get("more_body") or headers.get(b"content-type") not in _JSON:
        return None
    plain = plain_transfer(message.get("body", b""))
    if plain is None or _KEY not in headers:
        return None
    asking = asking_of(edge, caller, check_key(headers[_KEY].decode("latin-1")))
    return await write(edge, single_command(plain, asking, **plain.payee.parts(asking.network)))


def _again(message: Message, receive: Receive) -> Receive:
    """What was received already, and then the rest."""
    left = [message]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again


def plain_transfer(raw: bytes) -> PlainTransfer | None:
    """A body that is plainly a transfer from one account to one payee, or None."""
    if b"\\" in raw:
        return None  # an escape may hide a line's end, which a pattern's `$` lets pass
    try:
        return msgspec.convert(parse_json(raw), PlainTransfer)
    except (msgspec.ValidationError, Malformed, EdgeProblem, RecursionError, UnicodeError):
        return None


async def _answer(edge: Edge, written: Written, send: Send) -> None:
    entry = only_entry(written)
    body = msgspec.json.encode(_NOTHING_SAID | transfer_fields(edge.identity, entry))
    headers = [
        (b"content-length", b"%d" % len(body)),
        (b"content-type", b"application/json"),
        (b"x-position", b"%d" % (entry.n + 1)),
    ]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body})
