"""What the directory serves: people and organisations to operators, receiving addresses; tokens in `api_tokens.py`.

    handle@node ── own town: by_handle ─▶ account                    a handle leaves the town only when it is asked for,
                └─ a peer: POST its /v1/payees with a node token     by consent, and as an alias

Handles travel in bodies, never in a URL. The served document is `contracts/openapi/directory.json`.
Source: design page 4; page 2, "Payee address"; PROTOCOL.md W7.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, FastAPI, Path, Query, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from timebank_contracts.errors import Refusal
from timebank_contracts.problems import problem
from timebank_contracts.tokens import Caller, Rejected
from timebank_directory import api_tokens, asked
from timebank_directory.edge import Directory, TheDirectory, asked_with, guarded
from timebank_directory.people import HandleInvalid, HandleTaken, Person
from timebank_directory.rooms import RoomAway, RoomRefused
from timebank_directory.used_keys import Asked
from timebank_kit.cursors import CURSOR_CHARACTERS_MAX, make_cursor, read_cursor
from timebank_kit.key_set import KeysAway
from timebank_kit.metrics import CONTENT_TYPE, exposition
from timebank_kit.openapi import PUBLIC, openapi_document, read_examples
from timebank_kit.problem_answers import EdgeProblem, answer_problems
from timebank_kit.strict_json import StrictRoute
from timebank_kit.web import BodyLimit

BODY_BYTES_MAX: Final = 65_536
TAKEN_BACK_MAX: Final = 32
"""Addresses of a member for a peer that may be taken back in a year; then the handle leads nowhere until the next."""
AccountPath = Annotated[str, Path(pattern=asked.ACCOUNT_PATTERN, description="An opaque account id.")]
router = APIRouter(route_class=StrictRoute)


def make_app(directory: Directory) -> FastAPI:
    """The application."""
    app = _bare_app()
    app.state.directory = directory
    app.add_middleware(BodyLimit, bytes_max=BODY_BYTES_MAX)
    return app


def _bare_app() -> FastAPI:
    app = FastAPI(title="Timebank directory", version="1", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(router)
    app.include_router(api_tokens.router)
    answer_problems(
        app,
        {
            KeysAway: lambda error: problem("room_away", str(error)),
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
    return openapi_document(
        _bare_app(),
        description="Who the people of one town are, and the tokens of its clients.",
        examples=read_examples("timebank_directory"),
    )


# People ------------------------------------------------------------------------------------------------------------


@router.post(
    "/v1/members", status_code=201, operation_id="enrolMember", tags=["people"], **guarded("operate", keyed=True)
)
def enrol_member(directory: TheDirectory, request: Request, new: asked.NewPerson) -> asked.Enrolled:
    """Enrol a member and open their account."""
    return _enrol(directory, request, new, "member")


@router.post(
    "/v1/organisations",
    status_code=201,
    operation_id="enrolOrganisation",
    tags=["people"],
    **guarded("operate", keyed=True),
)
def enrol_organisation(directory: TheDirectory, request: Request, new: asked.NewPerson) -> asked.Enrolled:
    """Enrol an organisation and open its account."""
    return _enrol(directory, request, new, "organisation")


def _enrol(
    directory: Directory, request: Request, new: asked.NewPerson, kind: Literal["member", "organisation"]
) -> asked.Enrolled:
    """The key stands for the account from the first moment on, so whoever comes again goes on where it stopped."""
    wanted = asked_with(request, kind=kind, **new.model_dump())
    fresh_account = f"{kind[0]}-{directory.new_id()}"
    account, fresh = directory.used_keys.begin(wanted, account=fresh_account, today=directory.clock.now().date())
    if fresh or directory.people.by_account(account) is None:
        try:
            _make_person(directory, new, account, kind)
        except (HandleTaken, HandleInvalid, RoomRefused):
            if directory.people.by_account(account) is None:
                if fresh:
                    directory.used_keys.forget(wanted)
                raise
    return asked.Enrolled(handle=new.handle, account=account)


def _make_person(
    directory: Directory, new: asked.NewPerson, account: str, kind: Literal["member", "organisation"]
) -> None:
    """The account first: a crash in between leaves an account that nobody uses, never a person without one."""
    directory.people.check_free(new.handle)
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


@router.get("/v1/people", operation_id="listPeople", tags=["people"], **guarded("operate"))
def list_people(
    directory: TheDirectory,
    after: Annotated[
        str, Query(max_length=CURSOR_CHARACTERS_MAX, description="Cursor: `next` of the page before.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=500, description="People.")] = 100,
) -> asked.People:
    """People in order of account id."""
    last = read_cursor("listPeople", after, place=asked.ACCOUNT_PATTERN) if after else ""
    found = directory.people.page(after=last, limit=limit)
    seen = [asked.SeenPerson.model_validate(asdict(person)) for person in found]
    more = len(found) == limit
    return asked.People(people=seen, next=make_cursor("listPeople", found[-1].account) if more else None)


@router.put(
    "/v1/members/{account}/consent",
    operation_id="changeConsent",
    tags=["people"],
    **guarded("operate", keyed=True),
)
def change_consent(
    directory: TheDirectory, request: Request, account: AccountPath, consent: asked.Consent
) -> asked.Consent:
    """Set a member's consent to be paid from other towns by handle."""
    said = consent.payable_from_other_towns
    wanted = asked_with(request, kind="consent", account=account, payable_from_other_towns=said)
    if directory.used_keys.find(wanted) is None:
        if not directory.people.change_consent(account, payable_from_other_towns=said):
            raise EdgeProblem("person_unknown")
        _done(directory, wanted, account)
    return consent


@router.delete(
    "/v1/members/{account}/person",
    status_code=204,
    operation_id="erasePerson",
    tags=["people"],
    **guarded("operate", keyed=True),
)
def erase_person(directory: TheDirectory, request: Request, account: AccountPath) -> None:
    """Erase everything personal of an account, for good; the account and its hours stay."""
    wanted = asked_with(request, kind="erase", account=account)
    if directory.used_keys.find(wanted) is None:
        if not directory.people.erase(account):
            raise EdgeProblem("person_unknown")
        _done(directory, wanted, account)


def _done(directory: Directory, wanted: Asked, account: str) -> None:
    """Kept afterwards: a crash in between lets the same request do the same once more."""
    directory.used_keys.begin(wanted, account=account, today=directory.clock.now().date())


# Payees ------------------------------------------------------------------------------------------------------------


@router.post("/v1/payees/resolve", operation_id="resolvePayee", tags=["payees"], **guarded("transfers:write"))
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


@router.post("/v1/payees", operation_id="givePayee", tags=["payees"], **guarded("federation"))
def give_payee(directory: TheDirectory, request: Request, question: asked.HandleQuestion) -> asked.GivenAlias:
    """A receiving address for a peer's node, by the member's consent; the answer never says why there is none."""
    asked_by: Caller = request.state.caller
    person = directory.people.by_handle(question.handle)
    if person is None or not person.payable_from_other_towns:
        raise EdgeProblem("payee_unknown")
    try:
        alias = _address_for(directory, person.account, peer=asked_by.issuer)
    except RoomRefused as refused:
        raise EdgeProblem("payee_unknown") from refused
    if alias is None:
        raise EdgeProblem("payee_unknown")
    return asked.GivenAlias(alias=alias)


def _address_for(directory: Directory, account: str, *, peer: str) -> str | None:
    """A member's address for a peer that is good now; None: a closed account, or too many were taken back this year.

    One a year for a peer and a member, so that asking again and again writes nothing. It is never an address of
    another origin, such as a claim's: the peer would learn whose that one is.
    """
    if directory.ledger.is_closed(account):
        return None
    year = directory.clock.now().year
    for taken_back in range(TAKEN_BACK_MAX):
        key = f"handle/{peer}/{account}/{year}/{taken_back}"
        alias = directory.ledger.issue_alias(account, audience=peer, key=key)
        if directory.ledger.is_kept(alias):
            return alias
    return None


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
