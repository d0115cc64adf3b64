"""Who may call what at the directory and at federation: every route of their documents × every kind of caller.

What is expected is computed from the scopes that a route declares. Refused answers give nothing of anybody away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest

from tests.access_matrix import Asked, Route, requests_of, routes_of
from tests.federation.towns import NETWORK, FederatedTown, Network, open_towns
from timebank_contracts.problems import MEDIA_TYPE
from timebank_contracts.tokens import SCOPES, TOKEN_SECONDS_MAX, TokenKey
from timebank_directory.api import document
from timebank_federation.api import document as federation_document
from timebank_kit.web import AsgiBridge

pytestmark = pytest.mark.slow  # it opens whole towns

ROUTES: Final = routes_of(document())
OF_FEDERATION: Final = routes_of(federation_document())
MEMBER: Final = frozenset({"accounts:read", "claims:write", "statements:read", "transfers:write"})
ALL: Final = SCOPES - {"federation"}
LIFE: Final = TOKEN_SECONDS_MAX
CLIENT: Final = {"client_id": "office", "client_secret": "Zk1qX3vN8pR5tW7yB2dF4hJ6mQ9sU0aE"}
"""As the document's example says."""


@dataclass(frozen=True)
class Caller:
    """One column: a token, and what it is worth at Aberdare."""

    scopes: frozenset[str] = frozenset()
    valid: bool = True
    account: str | None = None
    """Handle of whose account was granted; None: all."""
    issuer: str = "aberdare"
    """The town whose directory signed it; `node`: Barry's own event key; empty: no token."""
    audience: str = "aberdare"
    age_seconds: int = 0


COLUMNS: Final = {
    "owner": Caller(MEMBER, account="alys"),
    "other member": Caller(MEMBER, account="bryn"),
    "other organisation": Caller(MEMBER, account="library"),
    "other town": Caller(ALL, valid=False, issuer="barry", audience="barry"),
    "other town, for this one": Caller(ALL, valid=False, issuer="barry"),
    "no token": Caller(valid=False, issuer=""),
    "expired": Caller(ALL, valid=False, age_seconds=LIFE + 60),
    "other audience": Caller(ALL, valid=False, audience="barry"),
    "no scope": Caller(),
    "other town's node": Caller(frozenset({"federation"}), issuer="node"),
}
KEEPERS: Final = (COLUMNS["owner"], Caller(ALL), COLUMNS["other town's node"])


@dataclass
class Place:
    """Two towns, what stands in Aberdare for each name, and the requests that its directory takes."""

    network: Network
    bound: dict[str, str]
    taken: dict[str, Asked] = field(default_factory=dict)

    @property
    def aberdare(self) -> FederatedTown:
        return self.network["aberdare"]

    def headers(self, caller: Caller) -> dict[str, str]:
        if not caller.issuer:
            return {}
        if caller.issuer == "node":
            return self.network["barry"].node_headers(to=caller.audience)
        town = self.network[caller.issuer]
        accounts = None if caller.account is None else frozenset({self.aberdare.accounts[caller.account]})
        text = TokenKey(town.home.seed("token"), town.home.key("token").public).issue(
            issuer=f"{caller.issuer}/directory",
            subject="somebody",
            audience=f"{NETWORK}/{caller.audience}",
            scopes=caller.scopes,
            accounts=accounts,
            now_seconds=int(self.network.clock.now().timestamp()) - caller.age_seconds,
            seconds=LIFE,
        )
        return {"Authorization": f"Bearer {text}"}

    def send(self, http: httpx.Client, asked: Asked, caller: Caller) -> httpx.Response:
        options = asked.options
        options["headers"] |= self.headers(caller)
        return http.request(asked.method, asked.path, **options)

    def request_for(self, route: Route) -> Asked:
        """A request that the route takes from somebody."""
        if route.operation_id not in self.taken:
            self.taken[route.operation_id] = self._find(route)
        return self.taken[route.operation_id]

    def _find(self, route: Route) -> Asked:
        bound = self.bound | ({"account": self.aberdare.accounts["leaver"]} if route.method == "DELETE" else {})
        told = []
        for asked in requests_of(route, document(), bound=bound, other="dewi"):
            for caller in KEEPERS if route.scopes else (COLUMNS["no token"],):
                answer = self.send(self.aberdare.http, asked, caller)
                if answer.status_code < 400 or answer.status_code == 409:
                    return asked
                told.append(f"{asked.text[:150]} -> {answer.status_code} {answer.text}"[:500])
        raise AssertionError("\n".join([f"{route}: its document makes no request that it takes", *told]))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_towns(tmp_path_factory.mktemp("towns"), "aberdare", "barry") as network:
        town = network["aberdare"]
        for handle in ("library", "leaver"):
            town.enrol(handle)
        town.directory.directory.clients.add(
            CLIENT["client_id"],
            scopes=["accounts:read"],
            accounts=[],
            secret=CLIENT["client_secret"],
            salt=b"s" * 16,
        )
        yield Place(network, {"account": town.accounts["alys"], "handle": "bryn", "node": "barry", "peer": "barry"})


def expected(route: Route, caller: Caller) -> set[int]:
    """The statuses that a cell may have; 200 stands for every one that is no refusal of the caller."""
    if not route.scopes:
        return {200}
    if not caller.valid:
        return {401}
    return {200} if route.scopes & caller.scopes else {403}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_route_answers_whom_its_scopes_allow_and_nobody_else(place: Place, route: Route, column: str) -> None:
    """PROTOCOL.md W2, W3, H1."""
    asked = place.request_for(route)
    answer = place.send(place.aberdare.http, asked, COLUMNS[column])
    if not route.scopes:
        assert answer.status_code == 200, answer.text
        return
    said = 200 if answer.status_code not in (401, 403) else answer.status_code
    assert {said} == expected(route, COLUMNS[column]), answer.text
    if said != 200:
        check_refusal(answer, asked, place)


def check_refusal(answer: httpx.Response, asked: Asked, place: Place) -> None:
    """A problem document that tells of nobody what its reader did not say."""
    assert answer.headers["content-type"] == MEDIA_TYPE
    said: dict[str, Any] = answer.json()
    assert said["status"] == answer.status_code
    assert said["code"] == {401: "unauthorised", 403: "forbidden"}[answer.status_code]
    people = place.aberdare.accounts
    words = set(re.findall(r"[\w-]+", answer.text)) - set(re.findall(r"[\w-]+", asked.text))
    assert not words & {*people, *people.values()}
    assert "Name of" not in answer.text


@pytest.mark.parametrize("route", [route for route in ROUTES if route.scopes], ids=str)
def test_every_route_is_open_to_somebody_with_a_request_made_of_its_own_document(place: Place, route: Route) -> None:
    """Else a matrix of refusals would prove nothing."""
    assert place.request_for(route)


def test_a_broker_of_another_town_is_turned_away_from_every_room(place: Place) -> None:
    """Case N-8: the role is worth nothing without the town."""
    town = place.aberdare
    with httpx.Client(transport=AsgiBridge(town.federation.app), base_url="http://federation") as door:
        rooms = ((town.http, ROUTES, document()), (door, OF_FEDERATION, federation_document()))
        names = {"sender_node": "aberdare", "generation": "g1", "to": "barry", "version": "1"}
        for http, routes, said in rooms:
            for route in routes:
                if not route.scopes:
                    continue
                asked = next(requests_of(route, said, bound=place.bound | names, other="dewi"))
                for column in ("other town", "other town, for this one"):
                    answer = place.send(http, asked, COLUMNS[column])
                    assert answer.status_code == 401, f"{route} {column}"
                    check_refusal(answer, asked, place)


def test_a_peer_s_node_is_let_in_where_peers_are_and_nowhere_else(place: Place) -> None:
    """PROTOCOL.md W7."""
    let_in = set()
    for route in ROUTES:
        if route.scopes:
            answer = place.send(place.aberdare.http, place.request_for(route), COLUMNS["other town's node"])
            let_in |= {route.operation_id} if answer.status_code not in (401, 403) else set()
    assert let_in == {"givePayee"}
