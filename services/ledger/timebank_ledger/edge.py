"""The edge: what every route shares. Guarded routes, strict bodies, the caller, and waiting for the writer's commit.

A route says its scopes in its own OpenAPI entry (`needs`, `public`), and what the document says is what is enforced;
a route that says nothing cannot be made. The caller is judged before the body is read.
Reading order: here, `asked.py` (bodies to commands), `answers.py` (entries to answers), `api.py`.
Source: design page 3, "HTTP API"; page 7, "Async at the HTTP edge".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from timebank_contracts.errors import Refusal
from timebank_contracts.names import Identity, local_transfer
from timebank_contracts.tokens import SCOPES, Caller
from timebank_kit.answers import Answers
from timebank_kit.clock import Clock
from timebank_kit.idempotency import KEY_HEADER, check_key, key_parameter
from timebank_kit.problem_answers import EdgeProblem, answer_headers
from timebank_kit.rate_limit import RateLimit
from timebank_kit.strict_json import StrictRequest
from timebank_ledger.access import Access
from timebank_ledger.commands import Command
from timebank_ledger.index import Index
from timebank_ledger.kept import KeptSegments
from timebank_ledger.publication import Publication
from timebank_ledger.settings import Settings
from timebank_ledger.webhook_store import WebhookStore
from timebank_ledger.writer import Writer, Written

DRY_RUN_HEADER: Final = "X-Dry-Run"
UNLIMITED: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""How the node is watched must not end with its being busy."""
POSITION_HEADER: Final = "X-Position"
CATCH_UP_SECONDS: Final = 5
_POSITION = re.compile(r"[0-9]{1,16}")
POSITION_PARAMETER: Final[dict[str, Any]] = {
    "name": POSITION_HEADER,
    "in": "header",
    "schema": {"type": "string", "pattern": "^[0-9]{1,16}$"},
    "description": "What an answer said in X-Position: this answer is of a journal that is at least so long.",
}
TAG_HEADER: Final = "ETag"
ANSWER_HEADERS: Final[dict[str, dict[str, Any]]] = {
    DRY_RUN_HEADER: {"description": "`true`: nothing was written.", "schema": {"type": "string", "enum": ["true"]}},
    POSITION_HEADER: {
        "description": "The length of the journal that holds its entry, where it wrote one.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,16}$"},
    },
    TAG_HEADER: {"description": "Of what is there now, for If-Match.", "schema": {"type": "string"}},
}


@dataclass(frozen=True, kw_only=True)
class Edge:
    """What the routes work with."""

    writer: Writer
    access: Access
    index: Index
    publication: Publication
    settings: Settings
    clock: Clock
    tag_key: bytes
    """The town's secret that makes payer tags."""
    random_bytes: Callable[[int], bytes]
    webhooks: WebhookStore
    answers: Answers = field(default_factory=Answers)
    followers: threading.BoundedSemaphore = field(init=False)
    rates: RateLimit = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "followers", threading.BoundedSemaphore(self.settings.followers_max))
        rates = RateLimit(per_second=self.settings.rate_per_second, burst=self.settings.rate_burst)
        object.__setattr__(self, "rates", rates)

    @cached_property
    def identity(self) -> Identity:
        """Whose journal this is: it never changes, so it is read once and not under the writer's lock each time."""
        with self.writer.reading() as book:
            if book.identity is None:
                raise Refusal("node_not_opened")
            return book.identity

    @cached_property
    def _began(self) -> list[tuple[int, Identity]]:
        """Where each generation of this journal began, the latest first: another one begins only with a start."""
        identity = self.identity
        with self.writer.reading() as book:
            began = [(first, identity._replace(generation=generation)) for generation, first in book.began.items()]
        return began[::-1]

    def identity_at(self, position: int) -> Identity:
        """Under which identity the entry at a position of this journal was written."""
        return next(identity for first, identity in self._began if first <= position)

    def name_at(self, position: int) -> str:
        """The id of what the entry at a position began within the town."""
        return local_transfer(self.identity_at(position), position)

    @cached_property
    def kept(self) -> KeptSegments:
        """What was taken of peers' closed generations."""
        return KeptSegments(self.writer.journal)

    @property
    def length(self) -> int:
        """How many entries are committed."""
        return self.writer.tail.length

    def indexed(self) -> Index:
        """The index, brought up to what is committed now."""
        self.index.advance_to(self.length)
        return self.index


def needs(*scopes: str, keyed: bool = False) -> dict[str, Any]:
    """The OpenAPI entry of a route for callers with one of these scopes; `keyed`: an Idempotency-Key is demanded."""
    assert scopes, "name a scope, or say public()"
    assert SCOPES.issuperset(scopes), f"{scopes} are not all scopes"
    said: dict[str, Any] = {"security": [{"bearer": [scope]} for scope in scopes]}
    if keyed:
        said["parameters"] = [key_parameter()]
    return said


def public() -> dict[str, Any]:
    """The OpenAPI entry of a route that anybody may call."""
    return {"security": []}


def takes_bytes(said: dict[str, Any], *, media_type: str, what: str) -> dict[str, Any]:
    """The OpenAPI entry of a route whose body is not decoded by the framework."""
    content = {media_type: {"schema": {"type": "string", "format": "binary", "description": what}}}
    return said | {"requestBody": {"required": True, "content": content}}


class GuardedRoute(APIRoute):
    """A route with declared scopes; making one without them is a bug."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        said = options.get("openapi_extra") or {}
        assert "security" in said, f"{path} declares no scope: write openapi_extra=needs(…) or public()"
        self.scopes = frozenset(scope for way in said["security"] for scope in way["bearer"])
        self.limited = path not in UNLIMITED
        self.waits = bool(self.scopes) and options.get("methods") == ["GET"]
        """Its reader may ask to see what they wrote."""
        if self.waits:
            options["openapi_extra"] = said | {"parameters": [*said.get("parameters", []), POSITION_PARAMETER]}
        super().__init__(path, endpoint, **options)
        self.openapi_extra = (self.openapi_extra or {}) | self._said_of_answers()

    def _said_of_answers(self) -> dict[str, Any]:
        """What the document says of the headers of an answer: they follow from what the route takes."""
        names = {DRY_RUN_HEADER, POSITION_HEADER} if "dry_run" in self._query_names else set()
        if "if-match" in _names(self.dependant, "header_params"):
            names.add(TAG_HEADER)
        headers = {name: ANSWER_HEADERS[name] for name in sorted(names)}
        return {"responses": {str(self.status_code or 200): {"headers": headers}}} if headers else {}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            if not hasattr(request.state, "caller"):
                self.admit(request)
            if self.waits:
                await _caught_up(request)
            if self.writes:
                self._check_query(request)
            response = await handle(StrictRequest(request.scope, request.receive))
            response.headers.update(answer_headers(request))
            return response

        return guarded

    def admit(self, request: Request) -> None:
        """Judge the caller and count the request, once: the body is not read before. Raises as `judge` does."""
        caller = self.judge(request.app.state.edge, request.headers.get("authorization"))
        if caller is not None:
            request.state.caller = caller

    def judge(self, edge: Edge, authorization: str | None) -> Caller | None:
        """The caller behind an `Authorization` header, counted; None where the route is anybody's.

        Raises:
            Unauthorised, Forbidden: by the token.
            EdgeProblem: `rate_limited`.
        """
        caller = None
        if self.scopes:
            caller = edge.access.verify(authorization, scopes=self.scopes, now=edge.clock.now())
        if self.limited:
            _count(edge, caller)
        return caller

    @cached_property
    def writes(self) -> bool:
        """Whether it changes something: a HEAD or GET never does."""
        return not {"GET", "HEAD"} & set(self.methods or ())

    @cached_property
    def _query_names(self) -> frozenset[str]:
        return frozenset(_names(self.dependant, "query_params"))

    def _check_query(self, request: Request) -> None:
        """A misspelt `dry_run` must not be the real thing."""
        if not self._query_names.issuperset(request.query_params):
            known = ", ".join(sorted(self._query_names)) or "none"
            raise EdgeProblem(
                "field_invalid", f"The query has a parameter that this route does not know; it has {known}."
            )


def _count(edge: Edge, caller: Caller | None) -> None:
    """Raise `rate_limited` when the caller asks too often; the town's own rooms may ask as they need."""
    if caller is not None and "federation" in caller.scopes:
        return
    name = "anybody" if caller is None else f"{caller.issuer}/{caller.subject}"
    seconds = edge.rates.take(name, now=edge.clock.monotonic())
    if seconds:
        raise EdgeProblem("rate_limited", headers={"Retry-After": str(ceil(seconds))})


async def _caught_up(request: Request) -> None:
    """Wait, a short while, until the journal holds what the caller has seen of it: they read what they wrote."""
    said = request.headers.get(POSITION_HEADER)
    if said is None:
        return
    if not _POSITION.fullmatch(said):
        raise EdgeProblem("field_invalid", f"{POSITION_HEADER}: a length of the journal, as an answer said it.")
    edge: Edge = request.app.state.edge
    if edge.length >= int(said) or not edge.followers.acquire(blocking=False):
        found = edge.length
    else:
        try:
            seconds = min(CATCH_UP_SECONDS, edge.settings.wait_seconds_max)
            found = await edge.writer.tail.wait_beyond_async(int(said) - 1, timeout_seconds=seconds)
        finally:
            edge.followers.release()
    if found < int(said):
        raise EdgeProblem("position_ahead")


def _names(dependant: Dependant, kind: str) -> set[str]:
    """The parameters of one kind that a route takes, by itself or by what it depends on."""
    own = {field.alias for field in getattr(dependant, kind)}
    return own.union(*(_names(one, kind) for one in dependant.dependencies))


async def body_bytes(request: Request, *, bytes_max: int) -> bytes:
    """The raw body; raises `EdgeProblem` when it is too large."""
    raw = await request.body()
    if len(raw) > bytes_max:
        raise EdgeProblem("too_large", f"This route takes at most {bytes_max} bytes.")
    return raw


async def _edge(request: Request) -> Edge:
    found: Edge = request.app.state.edge
    return found


async def _caller(request: Request) -> Caller:
    found: Caller = request.state.caller
    return found


async def _key(request: Request) -> str:
    return check_key(request.headers.get(KEY_HEADER))


async def _dry_run(
    request: Request,
    dry_run: Annotated[bool, Query(description="Answer as the real command would now, and write nothing.")] = False,
) -> bool:
    if dry_run:
        answer_headers(request)[DRY_RUN_HEADER] = "true"
    return dry_run


TheEdge = Annotated[Edge, Depends(_edge)]
TheCaller = Annotated[Caller, Depends(_caller)]
TheKey = Annotated[str, Depends(_key)]
TheDryRun = Annotated[bool, Depends(_dry_run)]


async def write(edge: Edge, command: Command, *, dry_run: bool = False) -> Written:
    """Park a command with the writer and wait for its commit, holding no thread; raises what the writer answers.

    Args:
        edge: the routes' own.
        command: any.
        dry_run: answer what would be written, and write nothing.
    """
    if not dry_run:
        return await edge.answers.of(edge.writer.submit(command))
    [tried] = await try_all(edge, [command])
    if isinstance(tried, Exception):
        raise tried
    return tried


async def try_all(edge: Edge, commands: Sequence[Command]) -> list[Written | Exception]:
    """What the writer would answer to these commands, one after another; nothing is written."""
    return await edge.answers.of(edge.writer.submit_trial(commands))
