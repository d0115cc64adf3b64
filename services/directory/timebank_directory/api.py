"""What the directory serves: people and organisations to operators, receiving addresses, tokens to clients.

    handle@node ── own town: by_handle ─▶ account ─▶ alias           a handle leaves the town only when it is asked for,
                └─ a peer: POST its /v1/payees with a node token     by consent, and as an alias

Handles travel in bodies, never in a URL. Source: design page 4; page 2, "Payee address"; PROTOCOL.md W1, W7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Form, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode
from timebank_contracts.names import HANDLE_PATTERN, NODE_PATTERN, Identity
from timebank_contracts.registry import Registry
from timebank_contracts.tokens import TOKEN_SECONDS_MAX, Caller, Issuer, TokenKey, audience, verify_token
from timebank_directory.clients import Clients
from timebank_directory.people import HandleInvalid, HandleTaken, People, Person
from timebank_directory.rooms import LedgerDoor, PeerDirectories, RoomAway, RoomRefused
from timebank_kit.clock import Clock

Handle = Annotated[str, Field(pattern=HANDLE_PATTERN, examples=["bryn"])]


class NewPerson(BaseModel):
    """A member or an organisation to enrol. Limits in minutes; absent: the town's defaults."""

    model_config = ConfigDict(extra="forbid", strict=True)
    handle: Handle
    name: str = Field(min_length=1, max_length=200)
    language: Literal["en", "cy"] = "en"
    payable_from_other_towns: bool = False
    floor: int | None = Field(default=None, ge=-10_000_000, le=0)
    ceiling: int | None = Field(default=None, ge=0, le=10_000_000)


class Enrolled(BaseModel):
    """The person's handle and the opaque account that the ledger knows."""

    handle: str
    account: str


class Consent(BaseModel):
    """Whether other towns' nodes may turn the handle into a receiving address."""

    model_config = ConfigDict(extra="forbid", strict=True)
    payable_from_other_towns: bool


class HandleQuestion(BaseModel):
    """A handle of this town, asked by a peer's node."""

    model_config = ConfigDict(extra="forbid", strict=True)
    handle: Handle


class PayeeQuestion(BaseModel):
    """A handle at a node."""

    model_config = ConfigDict(extra="forbid", strict=True)
    handle: Handle
    node: Annotated[str, Field(pattern=NODE_PATTERN, examples=["barry"])]


class Denied(Exception):
    """A refusal at the edge."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


@dataclass(frozen=True, kw_only=True)
class Directory:
    """What the application is wired to."""

    identity: Identity
    people: People
    clients: Clients
    ledger: LedgerDoor
    peers: PeerDirectories
    registry: Callable[[], Registry | None]
    token_key: TokenKey
    token_public: bytes
    clock: Clock
    new_id: Callable[[], str]
    """Makes an opaque id of 20 characters a-z, 2-7."""
    metrics: CollectorRegistry

    @property
    def issuer(self) -> Issuer:
        """The directory as an issuer of tokens."""
        scopes = frozenset(
            {"accounts:read", "transfers:write", "statements:read", "reports:read", "audit:read", "operate"}
        )
        return Issuer(f"{self.identity.node}/directory", (self.token_public,), scopes)

    def caller(self, authorization: str | None) -> Caller:
        """Who calls; raises `Denied` (401)."""
        if authorization is None or not authorization.startswith("Bearer "):
            raise Denied(401, "unauthorised", "Send a bearer token.")
        issuers = {self.issuer.name: self.issuer}
        registry = self.registry()
        for node in registry.nodes if registry is not None else ():
            keys = tuple(b64_decode(key) for key in node.event_keys)
            issuers[node.node] = Issuer(node.node, keys, frozenset({"federation"}))
        try:
            return verify_token(
                authorization.removeprefix("Bearer "),
                issuers=issuers,
                audience=audience(self.identity.network, self.identity.node),
                now_seconds=int(self.clock.now().timestamp()),
            )
        except Malformed as error:
            raise Denied(401, "unauthorised", str(error)) from error


def make_app(directory: Directory) -> FastAPI:
    """The application."""
    app = FastAPI(title="Timebank directory", version="1", docs_url="/docs", redoc_url=None)
    _people_routes(app, directory)
    _payee_routes(app, directory)
    _open_routes(app, directory)
    _handle_errors(app)
    return app


def _need(directory: Directory, scope: str) -> Callable[[str | None], Caller]:
    def check(authorization: Annotated[str | None, Header()] = None) -> Caller:
        caller = directory.caller(authorization)
        if scope not in caller.scopes:
            raise Denied(403, "forbidden", f"This needs the scope {scope}.")
        return caller

    return check


def _people_routes(app: FastAPI, directory: Directory) -> None:
    operator = Depends(_need(directory, "operate"))

    @app.post("/v1/members", status_code=201, operation_id="enrolMember", dependencies=[operator])
    def enrol_member(new: NewPerson) -> Enrolled:
        """Enrol a member and open their account. Scope `operate`."""
        return _enrol(directory, new, "member")

    @app.post("/v1/organisations", status_code=201, operation_id="enrolOrganisation", dependencies=[operator])
    def enrol_organisation(new: NewPerson) -> Enrolled:
        """Enrol an organisation and open its account. Scope `operate`."""
        return _enrol(directory, new, "organisation")

    @app.get("/v1/people", operation_id="listPeople", dependencies=[operator])
    def list_people(
        after: Annotated[str, Query(pattern=r"^[a-z0-9-]{0,30}$")] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> list[Person]:
        """People in order of handle; `after` is the last handle of the page before. Scope `operate`."""
        return directory.people.page(after=after, limit=limit)

    @app.put("/v1/members/{account}/consent", operation_id="changeConsent", dependencies=[operator])
    def change_consent(account: str, consent: Consent) -> Consent:
        """Set a member's consent to be paid from other towns by handle. Scope `operate`."""
        said = consent.payable_from_other_towns
        if not directory.people.change_consent(account, payable_from_other_towns=said):
            raise Denied(404, "person_unknown", "There is no such person; they may have been erased.")
        return consent

    @app.delete("/v1/members/{account}/person", status_code=204, operation_id="erasePerson", dependencies=[operator])
    def erase_person(account: str) -> None:
        """Erase everything personal of an account, for good; the account and its hours stay. Scope `operate`."""
        if not directory.people.erase(account):
            raise Denied(404, "person_unknown", "There is no such person; they may have been erased before.")


def _payee_routes(app: FastAPI, directory: Directory) -> None:
    writer, node = Depends(_need(directory, "transfers:write")), Depends(_need(directory, "federation"))

    @app.post("/v1/payees/resolve", operation_id="resolvePayee", dependencies=[writer])
    def resolve(question: PayeeQuestion) -> dict[str, str]:
        """The account (own town) or receiving address (another town) of a handle. Scope `transfers:write`."""
        if question.node == directory.identity.node:
            person = directory.people.by_handle(question.handle)
            if person is None:
                raise Denied(404, "payee_unknown", "Nobody of this handle can be paid; check it with the payee.")
            return {"node": question.node, "account": person.account}
        alias = directory.peers.resolve(question.node, question.handle)
        if alias is None:
            raise Denied(404, "payee_unknown", "Nobody of this handle can be paid there; check it with the payee.")
        return {"node": question.node, "alias": alias}

    @app.post("/v1/payees", operation_id="givePayee")
    def give_payee(question: HandleQuestion, asked_by: Caller = node) -> dict[str, str]:
        """A receiving address for a peer's node, by the member's consent. Node token; the answer never says why not."""
        person = directory.people.by_handle(question.handle)
        if person is None or not person.payable_from_other_towns:
            raise Denied(404, "payee_unknown", "Nobody of this handle can be paid from other towns.")
        key = f"alias/{asked_by.issuer}/{directory.new_id()}"
        return {"alias": directory.ledger.issue_alias(person.account, audience=asked_by.issuer, key=key)}


def _open_routes(app: FastAPI, directory: Directory) -> None:
    @app.post("/v1/token", operation_id="getToken")
    def get_token(
        client_id: Annotated[str, Form(max_length=64)],
        client_secret: Annotated[str, Form(max_length=256)],
        grant_type: Annotated[Literal["client_credentials"], Form()],
        scope: Annotated[str, Form(max_length=300)] = "",
    ) -> dict[str, str | int]:
        """Client credentials → a token of 15 minutes. `scope` asks for less than was granted; the answer lists it."""
        client = directory.clients.check(client_id, client_secret)
        if client is None:
            raise Denied(401, "client_unknown", "The client is not known here, or its secret is another.")
        asked = frozenset(scope.split()) or frozenset(client.scopes)
        if not asked <= set(client.scopes):
            raise Denied(400, "scope_not_granted", "The client was not granted this scope.")
        token = directory.token_key.issue(
            issuer=directory.issuer.name,
            subject=client.client,
            audience=audience(directory.identity.network, directory.identity.node),
            scopes=asked,
            accounts=None if client.accounts is None else frozenset(client.accounts),
            now_seconds=int(directory.clock.now().timestamp()),
            seconds=TOKEN_SECONDS_MAX,
        )
        granted = " ".join(sorted(asked))
        return {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS_MAX, "scope": granted}

    @app.get("/livez", operation_id="live")
    def live() -> dict[str, str]:
        """The process answers. Public."""
        return {"status": "live"}

    @app.get("/readyz", operation_id="ready")
    def ready() -> dict[str, str]:
        """The people can be read. Public."""
        directory.people.page(after="", limit=1)
        return {"status": "ready"}

    @app.get("/metrics", operation_id="metrics")
    def get_metrics() -> Response:
        """Prometheus text. Public."""
        return Response(generate_latest(directory.metrics), media_type=CONTENT_TYPE_LATEST)


def _enrol(directory: Directory, new: NewPerson, kind: Literal["member", "organisation"]) -> Enrolled:
    """The account first: a crash in between leaves an account that nobody uses, never a person without one."""
    account = f"{kind[0]}-{directory.new_id()}"
    if directory.people.by_handle(new.handle) is not None:
        raise HandleTaken(str(HandleTaken.__doc__))
    directory.ledger.open_account(account, kind=kind, floor=new.floor, ceiling=new.ceiling, key=f"enrol/{account}")
    directory.people.add(
        Person(
            account=account,
            handle=new.handle,
            kind=kind,
            name=new.name,
            language=new.language,
            payable_from_other_towns=new.payable_from_other_towns,
        )
    )
    return Enrolled(handle=new.handle, account=account)


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(Denied)
    def denied(_: Request, error: Denied) -> JSONResponse:
        return _problem(error.status, error.code, error.detail)

    @app.exception_handler(HandleTaken)
    def taken(_: Request, error: HandleTaken) -> JSONResponse:
        return _problem(409, "handle_taken", str(error))

    @app.exception_handler(HandleInvalid)
    def invalid(_: Request, error: HandleInvalid) -> JSONResponse:
        return _problem(422, "handle_invalid", str(error))

    @app.exception_handler(RoomAway)
    def away(_: Request, error: RoomAway) -> JSONResponse:
        return _problem(503, "room_away", str(error))

    @app.exception_handler(RoomRefused)
    def refused(_: Request, error: RoomRefused) -> JSONResponse:
        code = str(error.body.get("code", "refused"))
        return _problem(error.status, code, str(error))

    @app.exception_handler(RequestValidationError)
    def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        # What was sent is not repeated: it may be personal.
        fields = [".".join(str(part) for part in found["loc"]) for found in error.errors()]
        return _problem(
            422, "malformed", f"These fields do not have the form that the API describes: {', '.join(fields)}."
        )


def _problem(status: int, code: str, detail: str) -> JSONResponse:
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
