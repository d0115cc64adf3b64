"""Who may call what: every route of the ledger's document × every kind of caller, each cell a real request.

What is expected is computed from the scopes that the route declares and from whether it names something of somebody's;
a route that declares no scope, or that names something which nobody bound, fails. Refused answers give nothing away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from tests.access_matrix import Asked, Route, requests_of, routes_of
from tests.ledger.pair_of_towns import open_pair
from tests.ledger.town_api import NETWORK, Keys, Town, gift, open_town
from timebank_contracts.problems import MEDIA_TYPE
from timebank_contracts.tokens import SCOPES, TOKEN_SECONDS_MAX
from timebank_kit.openapi import openapi_document
from timebank_ledger.api import document

ROUTES: Final = routes_of(document())
MEMBER: Final = frozenset({"accounts:read", "claims:write", "statements:read", "transfers:write"})
ALL: Final = SCOPES - {"federation"}
LIFE: Final = TOKEN_SECONDS_MAX
BROKERS_ONLY: Final = {"upholdClaim": "a broker decides between the two sides"}
"""Routes whose scope a member has, and that a member may not call all the same; and why."""
NOTHING_THERE: Final = {
    "thawStream": "no stream is frozen",
    "replayWebhookDelivery": "nothing was delivered",
    "refundTransfer": "nothing came from another town",
}
"""Routes that find nothing here even for who may call them; and why."""
NEWCOMERS: Final = {"openAccount": {"account": "newcomer"}}
"""Routes whose body names something that is not there yet."""
SECRET_NUMBERS: Final = {347, 613, 6131, 229}
"""Minutes that stand nowhere but in the owner's account."""


@dataclass(frozen=True)
class Caller:
    """One column: a token, and what it is worth at Aberdare."""

    scopes: frozenset[str] = frozenset()
    valid: bool = True
    accounts: frozenset[str] | None = frozenset()
    subject: str = "op"
    issuer: str = "aberdare"
    """The town whose directory signed it; `node`: Aberdare's own event key; empty: no token."""
    audience: str = "aberdare"
    age_seconds: int = 0

    def headers(self, town: Town) -> dict[str, str]:
        if not self.issuer:
            return {}
        keys = Keys(2 if self.issuer == "barry" else 1)
        text = (keys.signs_node_tokens if self.issuer == "node" else keys.signs_tokens).issue(
            issuer="aberdare" if self.issuer == "node" else f"{self.issuer}/directory",
            subject=self.subject,
            audience=f"{NETWORK}/{self.audience}",
            scopes=self.scopes,
            accounts=self.accounts,
            now_seconds=int(town.clock.now().timestamp()) - self.age_seconds,
            seconds=LIFE,
        )
        return {"Authorization": f"Bearer {text}"}


def _member(account: str, subject: str = "") -> Caller:
    return Caller(MEMBER, accounts=frozenset({account}), subject=subject or account)


COLUMNS: Final = {
    "owner": _member("alys"),
    "other member": _member("bryn"),
    "other organisation": _member("library", "lending-desk"),
    "other town": Caller(ALL, valid=False, accounts=None, issuer="barry", audience="barry"),
    "other town, for this one": Caller(ALL, valid=False, accounts=None, issuer="barry"),
    "no token": Caller(valid=False, issuer=""),
    "expired": Caller(ALL, valid=False, accounts=None, age_seconds=LIFE + 60),
    "other audience": Caller(ALL, valid=False, accounts=None, audience="barry"),
    "nothing granted": Caller(MEMBER),
    "no scope": Caller(accounts=None),
}
KEEPERS: Final = (
    COLUMNS["owner"],
    Caller(ALL - {"operate"}, accounts=None, subject="broker"),
    Caller(ALL, accounts=None),
    Caller(frozenset({"federation"}), issuer="node", subject="aberdare"),
)
"""Who is let in somewhere: each route is open to one of them at least, with a request that it takes."""


@dataclass
class Place:
    """A town, what stands in it for each name, and the requests that its routes take."""

    town: Town
    bound: dict[str, str]
    special: dict[str, dict[str, str]] = field(default_factory=dict)
    """What else is bound for one route."""
    taken: dict[str, tuple[Asked, Caller]] = field(default_factory=dict)

    def send(self, asked: Asked, caller: Caller, *, dry: bool = False) -> httpx.Response:
        options = asked.options
        options["headers"] |= caller.headers(self.town)
        if dry:
            options["params"] = {**asked.query, "dry_run": "true"}
        return self.town.http.request(asked.method, asked.path, **options)

    def request_for(self, route: Route) -> tuple[Asked, Caller]:
        """A request that the route takes from somebody, and who that is."""
        if route.operation_id not in self.taken:
            self.taken[route.operation_id] = self._find(route)
        return self.taken[route.operation_id]

    def _find(self, route: Route) -> tuple[Asked, Caller]:
        bound = self.bound | self.special.get(route.operation_id, {})
        told = []
        for asked in requests_of(route, document(), bound=bound, other="dewi"):
            for caller in KEEPERS if route.scopes else (COLUMNS["no token"],):
                answer = self.send(asked, caller, dry=route.has("dry_run"))
                absent = route.operation_id in NOTHING_THERE and answer.status_code == 404
                if is_taken(answer) or absent or (route.is_binary and answer.status_code not in (401, 403)):
                    return asked, caller
                told.append(f"{asked.text[:150]} -> {answer.status_code} {answer.text}"[:500])
        told = list(dict.fromkeys(told))
        raise AssertionError("\n".join([f"{route}: its document makes no request that it takes", *told]))


def is_taken(answer: httpx.Response) -> bool:
    """Whether a request was taken for what it is: done, or refused by a rule of the book, as the state stands."""
    return answer.status_code < 400 or answer.status_code == 409


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with open_pair() as (aberdare, _):
        yield seeded(aberdare)


def seeded(town: Town) -> Place:
    """Alys owns things, Dewi is at their other end, and Bryn and the library have nothing to do with them."""
    operator = town.operator()
    made(operator.post("/v1/accounts", {"account": "dewi", "kind": "member"}))
    made(operator.put("/v1/accounts/alys/limits", {"floor": -613, "ceiling": 6_131}))
    broker = town.client(*ALL - {"operate"}, subject="broker")
    transfer = made(broker.post("/v1/transfers", gift("dewi", "alys", 347)))["id"]
    served = {"activity": "garden", "served_on": "2026-03-01", "minutes": 229}
    gave = made(broker.post("/v1/claims", {"giver": "alys", "receiver": "dewi", **served}))["id"]
    got = made(broker.post("/v1/claims", {"giver": "dewi", "receiver": "alys", **served}))["id"]
    disputed = made(broker.post("/v1/claims", {"giver": "alys", "receiver": "dewi", **served}))["id"]
    made(broker.post(f"/v1/claims/{disputed}/dispute", {"reason": "other_minutes"}))
    alias = made(broker.post("/v1/accounts/alys/aliases", {}))["alias"]
    bound = {"account": "alys", "transfer": transfer, "claim": gave, "alias": alias, "peer": "barry"}
    place = Place(town, bound | {"level": "0", "path": "000", "delivery": "1"})
    place.special = NEWCOMERS | {name: {"claim": got} for name in ("confirmClaim", "disputeClaim")}
    place.special["upholdClaim"] = {"claim": disputed}
    for route in ROUTES:
        _make_what_the_owner_makes(place, route)
    place.bound["path"] = f"000.p/{town.writer.tail.length}"
    return place


def _make_what_the_owner_makes(place: Place, route: Route) -> None:
    """`POST /v1/things` makes what `{thing}` stands for in `/v1/things/{thing}`, where nothing was bound to it yet."""
    names = {
        one.path.removeprefix(f"{route.path}/{{").split("}")[0]
        for one in ROUTES
        if one.path.startswith(f"{route.path}/{{")
    }
    new = names - place.bound.keys()
    if route.method != "POST" or not new:
        return
    for asked in requests_of(route, document(), bound=place.bound, other="dewi"):
        answer = place.send(asked, COLUMNS["owner"])
        if answer.status_code == 201:
            place.bound |= dict.fromkeys(new, str(answer.json()["id"]))
            return


def made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code < 300, answer.text
    said: dict[str, Any] = answer.json()
    return said


def expected(route: Route, caller: Caller) -> set[int]:
    """The statuses that a cell may have; 200 stands for every one that is no refusal of the caller."""
    if not route.scopes:
        return {200}
    if not caller.valid:
        return {401}
    if not route.scopes & caller.scopes:
        return {403}
    if route.operation_id in BROKERS_ONLY:
        return {403, 404}
    if not route.is_about_somebody(document(), bound=dict.fromkeys(SOMEBODYS, "")):
        return {200, 204}
    if caller is COLUMNS["owner"]:
        # A rule of the book may still say no, to whoever asks.
        return {200, 409, 422} | ({404} if route.operation_id in NOTHING_THERE else set())
    # A list that is narrowed to what is another's is empty, or refused.
    return {403, 404} if route.method != "GET" or route.path_names else {200, 403, 404}


SOMEBODYS: Final = ("account", "transfer", "claim", "programme")
"""Names in a query or body that stand for something of somebody's."""


def statuses(answer: httpx.Response) -> set[int]:
    """The status of an answer, or of each command in the answer to several; 200 for each that is good."""
    found = {answer.status_code}
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind == "application/x-ndjson":
        lines = [json.loads(line) for line in answer.text.splitlines()]
        found = {line["status"] for line in lines if "status" in line} or found
    elif kind == "application/json" and isinstance(answer.json(), dict):
        found = {item["status"] for item in answer.json().get("answers", ())} or found
    return {200 if status < 400 else status for status in found}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_route_answers_whom_its_scopes_and_accounts_allow_and_nobody_else(
    place: Place, route: Route, column: str
) -> None:
    """PROTOCOL.md W2, W3, H1."""
    asked, _ = place.request_for(route)
    caller, wanted = COLUMNS[column], expected(route, COLUMNS[column])
    before = place.town.writer.tail.length
    answer = place.send(asked, caller, dry=200 in wanted and route.has("dry_run"))
    if not route.scopes:
        assert answer.status_code == place.send(asked, COLUMNS["no token"]).status_code
        return
    assert statuses(answer) <= wanted, f"{column}: {answer.status_code} {answer.text[:300]}"
    if 200 not in wanted or route.has("dry_run"):
        assert place.town.writer.tail.length == before, "nothing was written"
    if caller is not COLUMNS["owner"]:
        assert given_away(answer, asked, place) == set(), f"{column}: {answer.text[:300]}"
    if answer.status_code >= 400:
        check_problem(answer)


def check_problem(answer: httpx.Response) -> None:
    assert answer.headers["content-type"] == MEDIA_TYPE
    said = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= said.keys()
    assert said["status"] == answer.status_code
    if answer.status_code == 401:
        assert (said["code"], answer.headers["WWW-Authenticate"]) == ("unauthorised", "Bearer")


def given_away(answer: httpx.Response, asked: Asked, place: Place) -> set[str]:
    """What an answer tells of Alys and Dewi that its reader did not say themselves."""
    words = set(re.findall(r"[A-Za-z0-9][A-Za-z0-9.-]*", answer.text))
    secrets = {"alys", "dewi", *place.bound.values()} - {
        "barry",
        "0",
        "1",
        "000",
    }
    numbers = {f"{number}" for number in SECRET_NUMBERS}
    said = set(re.findall(r"[A-Za-z0-9][A-Za-z0-9.-]*", asked.text))
    return words & ((secrets - said) | numbers)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.scopes], ids=str)
def test_every_route_is_open_to_somebody_with_a_request_made_of_its_own_document(place: Place, route: Route) -> None:
    """Else a matrix of refusals would prove nothing."""
    asked, keeper = place.request_for(route)
    assert route.scopes & keeper.scopes
    assert place.send(asked, COLUMNS["no token"]).status_code == 401


@pytest.mark.parametrize("route", [route for route in ROUTES if {"account"} & set(route.path_names)], ids=str)
def test_an_account_that_is_another_s_is_answered_like_one_that_does_not_exist(place: Place, route: Route) -> None:
    asked, _ = place.request_for(route)
    nobody = Asked(asked.method, asked.path.replace("alys", "nobody"), asked.query, asked.headers, asked.body)
    there, absent = place.send(asked, COLUMNS["other member"]), place.send(nobody, COLUMNS["other member"])
    assert (there.status_code, there.text.replace("alys", "nobody")) == (absent.status_code, absent.text)


def test_a_list_names_what_its_reader_was_granted_and_no_more(place: Place) -> None:
    for route in ROUTES:
        if route.method == "GET" and route.scopes & MEMBER and not route.path_names:
            asked, _ = place.request_for(route)
            bare = Asked(asked.method, asked.path, {}, asked.headers, asked.body)
            answer = place.send(bare, COLUMNS["other member"])
            assert given_away(answer, bare, place) == set(), f"{route}: {answer.text[:300]}"


def test_a_broker_of_another_town_is_turned_away_from_every_route(place: Place) -> None:
    """Case N-8: the role is worth nothing without the town; path and token must agree."""
    with open_town("barry", 2) as barry:
        broker = barry.client(*ALL, subject="broker")
        node = barry.federation()
        assert broker.get("/v1/accounts").status_code == node.get("/v1/journal").status_code == 200
        for route in ROUTES:
            if not route.scopes:
                continue
            asked, _ = place.request_for(route)
            for visitor in (broker, node):
                options = asked.options
                options["headers"] |= visitor.headers
                answer = place.town.http.request(asked.method, asked.path, **options)
                assert answer.status_code in (401, 403), str(route)
                check_problem(answer)
                assert given_away(answer, asked, place) == set(), str(route)


def test_a_route_that_declares_no_scope_fails_the_matrix() -> None:
    app = FastAPI()
    app.get("/v1/open", operation_id="open")(lambda: None)
    with pytest.raises(AssertionError, match="does not say who may call"):
        routes_of(openapi_document(app, description="A new route."))
    app = FastAPI()
    app.get("/v1/open", operation_id="open", openapi_extra={"security": [{"bearer": []}]})(lambda: None)
    with pytest.raises(AssertionError, match="names no scope"):
        routes_of(openapi_document(app, description="A new route."))


def test_a_route_that_names_something_new_fails_the_matrix_until_it_is_bound() -> None:
    app = FastAPI()
    app.get("/v1/things/{thing}", operation_id="getThing", openapi_extra={"security": [{"bearer": ["operate"]}]})(
        lambda thing: None
    )
    said = openapi_document(app, description="A new route.")
    with pytest.raises(AssertionError, match="thing"):
        next(requests_of(routes_of(said)[0], said, bound={}, other="dewi"))
