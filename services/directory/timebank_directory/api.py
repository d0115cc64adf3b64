"""What the directory serves: people and organisations to operators, receiving addresses, tokens to clients.

    handle@node ── own town: by_handle ─▶ account                    a handle leaves the town only when it is asked for,
                └─ a peer: POST its /v1/payees with a node token     by consent, and as an alias

Handles travel in bodies, never in a URL. The served document is `contracts/openapi/directory.json`.
Source: design page 4; page 2, "Payee address"; PROTOCOL.md W1, W7.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, FastAPI, Form, Path, Query, Request
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from timebank_contracts.errors import Refusal
from timebank_contracts.names import Identity
from timebank_contracts.problems import problem
from timebank_contracts.registry import Registry
from timebank_contracts.tokens import (
    SCOPES,
    TOKEN_SECONDS_MAX,
    Caller,
    Issuer,
    Rejected,
    TokenKey,
    audience,
    bearer,
    peer_issuers,
    verify_token,
)
from timebank_directory import asked
from timebank_directory.clients import Clients
from timebank_directory.people import HandleInvalid, HandleTaken, People, Person
from timebank_directory.rooms import LedgerDoor, PeerDirectories, RoomAway, RoomRefused
from timebank_kit.clock import Clock
from timebank_kit.metrics import CONTENT_TYPE, exposition
from timebank_kit.openapi import PUBLIC, needs, openapi_document
from timebank_kit.problem_answers import EdgeProblem, answer_problems
from timebank_kit.web import BodyLimit

BODY_BYTES_MAX: Final = 65_536
AccountPath = Annotated[str, Path(pattern=asked.ACCOUNT_PATTERN, description="An opaque account id.")]
router = APIRouter()


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
        return Issuer(f"{self.identity.node}/directory", (self.token_public,), SCOPES - {"federation"})

    @property
    def audience(self) -> str:
        """For whom its tokens are: the town."""
        return audience(self.identity.network, self.identity.node)


def make_app(directory: Directory) -> FastAPI:
    """The application."""
    app = _bare_app()
    app.state.directory = directory
    app.add_middleware(BodyLimit, bytes_max=BODY_BYTES_MAX)
    return app


def _bare_app() -> FastAPI:
    app = FastAPI(title="Timebank directory", version="1", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(router)
    answer_problems(
        app,
        {
            Rejected: lambda error: problem("unauthorised", str(error)),
            HandleTaken: lambda error: problem("handle_taken", str(error)),
            HandleInvalid: lambda _: problem("handle_invalid"),
            RoomAway: lambda error: problem("room_away", str(error)),
            RoomRefused: lambda error: problem(error.code, error.detail),
            Refusal: lambda error: problem(error.code, error.detail),
            SQLAlchemyError: lambda _: problem("not_ready", "The directory's database does not answer; come again."),
        },
    )
    return app


def document() -> dict[str, Any]:
    """The OpenAPI document, the same for every town."""
    return openapi_document(_bare_app(), description="Who the people of one town are, and the tokens of its clients.")


def _directory(request: Request) -> Directory:
    found: Directory = request.app.state.directory
    return found


TheDirectory = Annotated[Directory, Depends(_directory)]


def _guarded(scope: str) -> dict[str, Any]:
    """What a route says of itself that needs a token of this scope: the document, and the check."""

    def check(request: Request, directory: TheDirectory) -> None:
        issuers = {directory.issuer.name: directory.issuer, **peer_issuers(directory.registry())}
        caller = verify_token(
            bearer(request.headers.get("authorization")),
            issuers=issuers,
            audience=directory.audience,
            now_seconds=int(directory.clock.now().timestamp()),
        )
        if scope not in caller.scopes:
            raise EdgeProblem("forbidden", f"This needs a token of scope {scope}.")
        request.state.caller = caller

    return {"dependencies": [Depends(check)], "openapi_extra": needs(scope)}


# People ------------------------------------------------------------------------------------------------------------


@router.post("/v1/members", status_code=201, operation_id="enrolMember", tags=["people"], **_guarded("operate"))
def enrol_member(directory: TheDirectory, new: asked.NewPerson) -> asked.Enrolled:
    """Enrol a member and open their account."""
    return _enrol(directory, new, "member")


@router.post(
    "/v1/organisations", status_code=201, operation_id="enrolOrganisation", tags=["people"], **_guarded("operate")
)
def enrol_organisation(directory: TheDirectory, new: asked.NewPerson) -> asked.Enrolled:
    """Enrol an organisation and open its account."""
    return _enrol(directory, new, "organisation")


def _enrol(directory: Directory, new: asked.NewPerson, kind: Literal["member", "organisation"]) -> asked.Enrolled:
    """The account first: a crash in between leaves an account that nobody uses, never a person without one."""
    directory.people.check_free(new.handle)
    account = f"{kind[0]}-{directory.new_id()}"
    directory.ledger.open_account(account, kind=kind, floor=new.floor, ceiling=new.ceiling, key=f"enrol/{account}")
    person = Person(
        account=account,
        handle=new.handle,
        kind=kind,
        name=new.name,
        language=new.language,
        payable_from_other_towns=new.payable_from_other_towns,
    )
    directory.people.add(person)
    return asked.Enrolled(handle=new.handle, account=account)


@router.get("/v1/people", operation_id="listPeople", tags=["people"], **_guarded("operate"))
def list_people(
    directory: TheDirectory,
    after: Annotated[str, Query(pattern=r"^[a-z0-9-]{0,63}$", description="The last account of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=500, description="People.")] = 100,
) -> asked.People:
    """People in order of account id."""
    found = directory.people.page(after=after, limit=limit)
    seen = [asked.SeenPerson.model_validate(asdict(person)) for person in found]
    return asked.People(people=seen, next=found[-1].account if len(found) == limit else None)


@router.put("/v1/members/{account}/consent", operation_id="changeConsent", tags=["people"], **_guarded("operate"))
def change_consent(directory: TheDirectory, account: AccountPath, consent: asked.Consent) -> asked.Consent:
    """Set a member's consent to be paid from other towns by handle."""
    said = consent.payable_from_other_towns
    if not directory.people.change_consent(account, payable_from_other_towns=said):
        raise EdgeProblem("person_unknown")
    return consent


@router.delete(
    "/v1/members/{account}/person",
    status_code=204,
    operation_id="erasePerson",
    tags=["people"],
    **_guarded("operate"),
)
def erase_person(directory: TheDirectory, account: AccountPath) -> None:
    """Erase everything personal of an account, for good; the account and its hours stay."""
    if not directory.people.erase(account):
        raise EdgeProblem("person_unknown")


# Payees ------------------------------------------------------------------------------------------------------------


@router.post("/v1/payees/resolve", operation_id="resolvePayee", tags=["payees"], **_guarded("transfers:write"))
def resolve_payee(directory: TheDirectory, question: asked.PayeeQuestion) -> asked.PayeeHere | asked.PayeeThere:
    """The account (own town) or receiving address (another town) of a handle."""
    if question.node == directory.identity.node:
        person = directory.people.by_handle(question.handle)
        if person is None:
            raise EdgeProblem("payee_unknown")
        return asked.PayeeHere(node=question.node, account=person.account)
    alias = directory.peers.resolve(question.node, question.handle)
    if alias is None:
        raise EdgeProblem("payee_unknown")
    return asked.PayeeThere(node=question.node, alias=alias)


@router.post("/v1/payees", operation_id="givePayee", tags=["payees"], **_guarded("federation"))
def give_payee(directory: TheDirectory, request: Request, question: asked.HandleQuestion) -> asked.GivenAlias:
    """A receiving address for a peer's node, by the member's consent; the answer never says why there is none."""
    asked_by: Caller = request.state.caller
    person = directory.people.by_handle(question.handle)
    if person is None or not person.payable_from_other_towns:
        raise EdgeProblem("payee_unknown")
    # One address a day for a peer and a member: asking again and again writes nothing, and a revoked one is replaced.
    key = f"alias/{asked_by.issuer}/{person.account}/{directory.clock.now().date().isoformat()}"
    try:
        alias = directory.ledger.issue_alias(person.account, audience=asked_by.issuer, key=key)
    except RoomRefused as refused:
        raise EdgeProblem("payee_unknown") from refused
    return asked.GivenAlias(alias=alias)


# Tokens ------------------------------------------------------------------------------------------------------------


@router.post("/v1/token", operation_id="getToken", tags=["tokens"], openapi_extra=PUBLIC)
def get_token(
    directory: TheDirectory,
    response: Response,
    client_id: Annotated[str, Form(max_length=64, description="As the operator made it.")],
    client_secret: Annotated[str, Form(max_length=256, description="Its secret.")],
    grant_type: Annotated[Literal["client_credentials"], Form(description="RFC 6749, section 4.4.")],
    scope: Annotated[str, Form(max_length=300, description="Less than was granted; empty: all of it.")] = "",
) -> asked.IssuedToken:
    """Client credentials → a token of 15 minutes; the answer lists what it allows."""
    client = directory.clients.check(client_id, client_secret)
    if client is None:
        raise EdgeProblem("client_unknown")
    wanted = frozenset(scope.split()) or frozenset(client.scopes)
    if not wanted <= set(client.scopes):
        raise EdgeProblem("scope_not_granted")
    token = directory.token_key.issue(
        issuer=directory.issuer.name,
        subject=client.client,
        audience=directory.audience,
        scopes=wanted,
        accounts=None if client.accounts is None else frozenset(client.accounts),
        now_seconds=int(directory.clock.now().timestamp()),
        seconds=TOKEN_SECONDS_MAX,
    )
    response.headers["Cache-Control"] = "no-store"
    return asked.IssuedToken(access_token=token, expires_in=TOKEN_SECONDS_MAX, scope=" ".join(sorted(wanted)))


@router.get("/v1/public-key", operation_id="getPublicKey", tags=["tokens"], openapi_extra=PUBLIC)
def get_public_key(directory: TheDirectory) -> asked.PublicKey:
    """The key under which this directory's tokens verify."""
    return asked.PublicKey(x=base64.urlsafe_b64encode(directory.token_public).rstrip(b"=").decode("ascii"))


# The node ----------------------------------------------------------------------------------------------------------


@router.get("/livez", operation_id="isAlive", tags=["node"], openapi_extra=PUBLIC)
def is_alive() -> dict[str, str]:
    """The process answers."""
    return {"state": "alive"}


@router.get("/readyz", operation_id="isReady", tags=["node"], openapi_extra=PUBLIC)
def is_ready(directory: TheDirectory) -> dict[str, str]:
    """The people can be read."""
    directory.people.page(after="", limit=1)
    return {"state": "ready"}


@router.get(
    "/metrics",
    operation_id="getMetrics",
    tags=["node"],
    openapi_extra=PUBLIC,
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text."}},
)
def get_metrics(directory: TheDirectory) -> Response:
    """Counters and gauges, without anything personal."""
    return Response(exposition(directory.metrics), media_type=CONTENT_TYPE)


@router.get("/openapi.json", operation_id="getOpenapi", tags=["node"], openapi_extra=PUBLIC)
def get_openapi_document() -> dict[str, Any]:
    """This document."""
    return document()
