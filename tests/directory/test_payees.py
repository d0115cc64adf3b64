"""Whom one may pay in another town, by handle: by consent, at an address for the town that asked, until revoked."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.directory.forms import code, enrol, resolve
from tests.federation.towns import FederatedTown, Network
from timebank_directory.api import TAKEN_BACK_MAX

pytestmark = pytest.mark.slow  # every test opens whole towns


def test_without_consent_a_peer_learns_nothing(network: Network, aberdare: FederatedTown) -> None:
    """The same answer for an unknown handle, one without consent, one erased, and one whose account is closed."""
    enrol(aberdare, handle="private")
    erased = aberdare.enrol("erased")
    closed = aberdare.enrol("closed")
    aberdare.http.delete(f"/v1/members/{erased}/person", headers=aberdare.headers("operate"))
    aberdare.ask_ledger("PUT", f"/v1/accounts/{closed}/state", json={"state": "closed"})
    headers = network["barry"].node_headers(to="aberdare")
    answers = [
        aberdare.http.post("/v1/payees", json={"handle": handle}, headers=headers)
        for handle in ("nobody", "private", "erased", "closed")
    ]
    assert code(answers[0]) == (404, "payee_unknown")
    assert len({answer.content for answer in answers}) == 1
    assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1


def test_consent_can_be_given_and_taken_back(network: Network, aberdare: FederatedTown) -> None:
    account = enrol(aberdare).json()["account"]
    path = f"/v1/members/{account}/consent"
    for consents, status in ((True, 200), (False, 404)):
        said = {"payable_from_other_towns": consents}
        assert aberdare.http.put(path, json=said, headers=aberdare.headers("operate")).json() == said
        assert resolve(network["barry"], "mair", "aberdare").status_code == status


def test_an_alias_is_for_the_peer_that_asked_and_no_other_way_in(network: Network, aberdare: FederatedTown) -> None:
    alias = resolve(network["barry"], "bryn", "aberdare").json()["alias"]
    account = aberdare.accounts["bryn"]
    assert alias != account
    body = {"payer": aberdare.accounts["alys"], "payee": {"node": "aberdare", "alias": alias}, "minutes": 5}
    answer = aberdare.ask_ledger(
        "POST", "/v1/transfers", json={**body, "purpose": "gift"}, headers={"Idempotency-Key": "k"}
    )
    assert answer.status_code >= 400


def test_asking_again_and_again_writes_one_address_a_year(network: Network, aberdare: FederatedTown) -> None:
    before = aberdare.ledger.writer.tail.length
    aliases = [resolve(network["barry"], "bryn", "aberdare").json()["alias"] for _ in range(20)]
    assert (len(set(aliases)), aberdare.ledger.writer.tail.length) == (1, before + 1)
    network.clock.advance(366 * 24 * 3600)
    assert resolve(network["barry"], "bryn", "aberdare").json()["alias"] not in aliases


def test_an_address_that_was_taken_back_is_replaced_when_the_handle_is_asked_for(
    network: Network, aberdare: FederatedTown
) -> None:
    """PROTOCOL.md W7, L6."""
    given: list[str] = []
    for _ in range(3):
        given.append(resolve(network["barry"], "bryn", "aberdare").json()["alias"])
        assert resolve(network["barry"], "bryn", "aberdare").json()["alias"] == given[-1]
        headers = {"Idempotency-Key": f"back-{given[-1]}"}
        assert aberdare.ask_ledger("DELETE", f"/v1/aliases/{given[-1]}", headers=headers).status_code == 204
    assert len(set(given)) == 3


def test_whose_account_was_closed_is_found_no_more_by_who_had_an_address(
    network: Network, aberdare: FederatedTown
) -> None:
    assert resolve(network["barry"], "bryn", "aberdare").status_code == 200
    path = f"/v1/accounts/{aberdare.accounts['bryn']}/state"
    assert aberdare.ask_ledger("PUT", path, json={"state": "closed"}).status_code == 200
    assert code(resolve(network["barry"], "bryn", "aberdare")) == (404, "payee_unknown")


def test_who_takes_address_after_address_back_leads_nowhere_until_next_year(
    network: Network, aberdare: FederatedTown
) -> None:
    for number in range(TAKEN_BACK_MAX):
        alias = resolve(network["barry"], "bryn", "aberdare").json()["alias"]
        headers = {"Idempotency-Key": f"back-{number}"}
        assert aberdare.ask_ledger("DELETE", f"/v1/aliases/{alias}", headers=headers).status_code == 204
    assert code(resolve(network["barry"], "bryn", "aberdare")) == (404, "payee_unknown")
    network.clock.advance(366 * 24 * 3600)
    assert resolve(network["barry"], "bryn", "aberdare").status_code == 200


def test_a_handle_leads_to_no_address_that_was_made_for_something_else(
    network: Network, aberdare: FederatedTown
) -> None:
    """A claim's address is nobody's: a peer that knows the handle too learns no more."""
    path, body = f"/v1/accounts/{aberdare.accounts['bryn']}/aliases", {"audience": "barry"}
    made = aberdare.ask_ledger("POST", path, json=body, headers={"Idempotency-Key": "own"}).json()["alias"]
    given = resolve(network["barry"], "bryn", "aberdare").json()["alias"]
    assert given != made
    kept = aberdare.ask_ledger("GET", path).json()["aliases"]
    assert {one["alias"] for one in kept} == {made, given}


def test_a_payee_of_another_town_is_asked_for_by_its_node(network: Network, aberdare: FederatedTown) -> None:
    assert resolve(aberdare, "bryn", "barry").json().keys() == {"node", "alias"}
    assert code(resolve(aberdare, "nobody", "barry")) == (404, "payee_unknown")
    assert code(resolve(aberdare, "bryn", "cardiff")) == (404, "payee_unknown")
    network["barry"].door.is_cut = True
    assert code(resolve(aberdare, "bryn", "barry")) == (503, "room_away")


class Answering(httpx.BaseTransport):
    """A peer that answers whatever it likes."""

    def __init__(self, answer: Callable[[], httpx.Response]) -> None:
        self._answer = answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._answer()


@pytest.mark.parametrize(
    "answer",
    [
        lambda: httpx.Response(200, json={}),
        lambda: httpx.Response(200, json=[]),
        lambda: httpx.Response(200, json={"alias": "m-3q5x7"}),
        lambda: httpx.Response(200, json={"alias": 7}),
        lambda: httpx.Response(200, text="<html>"),
        lambda: httpx.Response(200, content=b"[" * 60_000),
        lambda: httpx.Response(200, content=bytes(1_000_000)),
        lambda: httpx.Response(401, json={"code": "unauthorised", "detail": "yours"}),
        lambda: httpx.Response(409, json={"code": "floor", "detail": "yours"}),
        lambda: httpx.Response(302, headers={"location": "http://127.0.0.1/"}),
        lambda: httpx.Response(500, text="oops"),
    ],
)
def test_a_peer_that_answers_nonsense_is_away_and_speaks_for_nobody(
    network: Network, aberdare: FederatedTown, answer: Callable[[], httpx.Response]
) -> None:
    network.doors.lines["barry.example"] = Answering(answer)  # type: ignore[assignment]  # a hostile line
    told = resolve(aberdare, "bryn", "barry")
    assert code(told) == (503, "room_away")
    assert "yours" not in told.text
