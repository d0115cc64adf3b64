"""Claims, refunds and thanks between two towns over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ledger.pair_of_towns import carry, open_pair
from tests.ledger.town_api import Client, Town

SERVICE = {"purpose": "service", "activity": "garden", "served_on": "2026-03-01"}
Pair = tuple[Town, Town]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with open_pair() as towns:
        yield towns


def person(town: Town, account: str) -> Client:
    scopes = "transfers:write", "claims:write", "statements:read", "accounts:read"
    return town.client(*scopes, subject=account, accounts=frozenset({account}))


def address(town: Town, account: str) -> str:
    return str(person(town, account).post(f"/v1/accounts/{account}/aliases", {}).json()["alias"])


def talk(one: Town, other: Town) -> None:
    for sender, receiver in ((one, other), (other, one), (one, other)):
        carry(sender, receiver)


def claimed(pair: Pair, **data: Any) -> str:
    """Bryn of Barry claims 60 minutes from Alys of Aberdare."""
    aberdare, barry = pair
    receiver = {"node": "aberdare", "alias": address(aberdare, "alys")}
    said = {"giver": "bryn", "receiver": receiver, "minutes": 60, "activity": "garden", "served_on": "2026-03-01"}
    answer = person(barry, "bryn").post("/v1/claims", said | data)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["giver"], answer.json()["receiver"], answer.json()["peer"]) == ("bryn", None, "aberdare")
    return str(answer.json()["id"])


def paid(pair: Pair, minutes: int = 90) -> str:
    """Alys of Aberdare paid Bryn of Barry, and it is settled."""
    aberdare, barry = pair
    payee = {"node": "barry", "alias": address(barry, "bryn")}
    body = SERVICE | {"payer": "alys", "payee": payee, "minutes": minutes}
    transfer = str(person(aberdare, "alys").post("/v1/transfers", body).json()["id"])
    talk(aberdare, barry)
    return transfer


def test_a_claim_across_towns_is_confirmed_by_its_receiver_and_both_see_it_ended(pair: Pair) -> None:
    aberdare, barry = pair
    claim = claimed(pair)
    talk(barry, aberdare)
    alys, bryn = person(aberdare, "alys"), person(barry, "bryn")
    [seen] = alys.get("/v1/claims").json()["claims"]
    assert (seen["id"], seen["giver"], seen["receiver"], seen["peer"]) == (claim, None, "alys", "barry")
    assert [one["id"] for one in bryn.get("/v1/claims").json()["claims"]] == [claim]
    assert bryn.post(f"/v1/claims/{claim}/confirmation", {}).json()["code"] == "forbidden"
    sent = alys.post(f"/v1/claims/{claim}/confirmation", {"minutes": 45})
    assert (sent.status_code, sent.json()["state"], sent.json()["claim"]) == (201, "sent", claim)
    assert alys.post(f"/v1/claims/{claim}/confirmation", {}).json()["code"] == "claim_unknown"
    talk(aberdare, barry)
    assert [client.get(f"/v1/claims/{claim}").json()["state"] for client in (alys, bryn)] == ["confirmed"] * 2
    assert bryn.get("/v1/accounts/bryn").json()["balance"] == 45
    assert person(aberdare, "bryn").get(f"/v1/claims/{claim}").json()["code"] == "claim_unknown"


def test_a_dry_run_of_a_claim_across_towns_writes_nothing(pair: Pair) -> None:
    aberdare, barry = pair
    receiver = {"node": "aberdare", "alias": address(aberdare, "alys")}
    body = {"giver": "bryn", "receiver": receiver, "minutes": 60, "activity": "garden", "served_on": "2026-03-01"}
    length = barry.writer.tail.length
    tried = person(barry, "bryn").post("/v1/claims?dry_run=true", body, key="c")
    assert (tried.status_code, barry.writer.tail.length) == (201, length)
    assert person(barry, "bryn").post("/v1/claims", body, key="c").json() == tried.json()
    again = person(barry, "bryn").post("/v1/claims", body | {"minutes": 30})
    assert (again.status_code, barry.writer.tail.length) == (201, length + 3), "one address a month serves all claims"


def test_a_claim_is_withdrawn_and_disputed_across_towns(pair: Pair) -> None:
    aberdare, barry = pair
    alys, bryn = person(aberdare, "alys"), person(barry, "bryn")
    first, second = claimed(pair), claimed(pair)
    talk(barry, aberdare)
    assert alys.post(f"/v1/claims/{first}/withdrawal").json()["code"] == "forbidden"
    assert bryn.post(f"/v1/claims/{first}/withdrawal").json()["state"] == "withdrawn"
    assert alys.post(f"/v1/claims/{second}/dispute", {"reason": "other_minutes"}).json()["state"] == "disputed"
    talk(barry, aberdare)
    talk(aberdare, barry)
    states = [alys.get(f"/v1/claims/{first}").json()["state"], bryn.get(f"/v1/claims/{second}").json()["state"]]
    assert states == ["withdrawn", "disputed"]
    events = [one["type"] for one in alys.get("/v1/accounts/alys/events").json()["events"]]
    assert events[-2:] == ["claim.disputed", "claim.withdrawn"]


def test_a_claim_that_can_be_put_to_nobody_is_refused_there(pair: Pair) -> None:
    aberdare, barry = pair
    claim = claimed(pair, receiver={"node": "aberdare", "alias": "0" * 32})
    talk(barry, aberdare)
    talk(aberdare, barry)
    assert person(barry, "bryn").get(f"/v1/claims/{claim}").json()["state"] == "refused"
    assert person(barry, "bryn").get("/v1/claims").json()["claims"] == []


def test_a_refund_goes_back_across_towns_and_is_counted(pair: Pair) -> None:
    aberdare, barry = pair
    transfer = paid(pair)
    bryn = person(barry, "bryn")
    assert person(barry, "alys").post(f"/v1/transfers/{transfer}/refund", {}).json()["code"] == "transfer_unknown"
    back = bryn.post(f"/v1/transfers/{transfer}/refund", {"minutes": 30})
    assert (back.status_code, back.json()["refunds"], back.json()["minutes"]) == (201, transfer, 30)
    assert bryn.get(f"/v1/transfers/{transfer}").json()["refunded_minutes"] == 30
    assert bryn.post(f"/v1/transfers/{transfer}/refund", {"minutes": 61}).json()["code"] == "refund_exceeded"
    tried = bryn.post(f"/v1/transfers/{transfer}/refund?dry_run=true", {}).json()
    assert tried["minutes"] == 60
    assert bryn.post(f"/v1/transfers/{transfer}/refund", {"from_pot": True}).json()["code"] == "forbidden"
    talk(barry, aberdare)
    assert person(aberdare, "alys").get("/v1/accounts/alys").json()["balance"] == -60
    refused = person(aberdare, "alys").post(f"/v1/transfers/{transfer}/refund", {})
    assert refused.json()["code"] == "transfer_unknown"


def test_each_side_thanks_once_in_its_own_town(pair: Pair) -> None:
    aberdare, barry = pair
    transfer = paid(pair)
    alys, bryn = person(aberdare, "alys"), person(barry, "bryn")
    thanked = alys.post(f"/v1/transfers/{transfer}/thanks", {})
    assert (thanked.status_code, thanked.json()["side"]) == (201, "payer")
    assert alys.post(f"/v1/transfers/{transfer}/thanks", {}).json()["code"] == "thanks_given"
    assert bryn.post(f"/v1/transfers/{transfer}/thanks", {"side": "payer"}).json()["code"] == "forbidden"
    assert bryn.post(f"/v1/transfers/{transfer}/thanks", {}).json()["side"] == "payee"
    talk(aberdare, barry)
    for client in (alys, bryn):
        assert client.get(f"/v1/transfers/{transfer}").json()["thanked_by"] == ["payee", "payer"]
    assert bryn.get("/v1/accounts/bryn/events").json()["events"][-1]["type"] == "thanks.given"


def test_within_a_town_who_speaks_for_both_sides_says_for_which(pair: Pair) -> None:
    aberdare, _ = pair
    body = SERVICE | {"payer": "alys", "payee": {"account": "bryn"}, "minutes": 60}
    transfer = person(aberdare, "alys").post("/v1/transfers", body).json()["id"]
    broker = aberdare.client("transfers:write", "statements:read", subject="b-1")
    assert broker.post(f"/v1/transfers/{transfer}/thanks", {}).json()["code"] == "field_invalid"
    assert broker.post(f"/v1/transfers/{transfer}/thanks", {"side": "payee"}).status_code == 201
    assert person(aberdare, "alys").post(f"/v1/transfers/{transfer}/thanks", {}).json()["side"] == "payer"
    assert broker.get(f"/v1/transfers/{transfer}").json()["thanked_by"] == ["payee", "payer"]


def test_a_repeated_claim_on_another_town_is_answered_after_its_giver_left(pair: Pair) -> None:
    """B-3."""
    aberdare, barry = pair
    receiver = {"node": "aberdare", "alias": address(aberdare, "alys")}
    said = {"giver": "bryn", "receiver": receiver, "minutes": 60, "activity": "garden", "served_on": "2026-03-01"}
    first = person(barry, "bryn").post("/v1/claims", said, key="one")
    assert first.status_code == 201
    assert person(barry, "bryn").post(f"/v1/claims/{first.json()['id']}/withdrawal").status_code == 200
    barry.clock.advance(2 * 86_400.0)
    closed = barry.operator().put("/v1/accounts/bryn/state", {"state": "closed"})
    assert closed.status_code == 200, closed.text
    length = barry.writer.tail.length
    assert person(barry, "bryn").post("/v1/claims", said, key="one").json() == first.json()
    assert person(barry, "bryn").post("/v1/claims", said, key="two").json()["code"] == "account_closed"
    assert barry.writer.tail.length == length


def test_a_claim_on_another_town_that_is_refused_leaves_nothing_behind(pair: Pair) -> None:
    aberdare, barry = pair
    receiver = {"node": "aberdare", "alias": address(aberdare, "alys")}
    said = {"giver": "bryn", "receiver": receiver, "minutes": 60, "activity": "garden", "served_on": "2026-03-01"}
    bryn, length = person(barry, "bryn"), barry.writer.tail.length
    assert bryn.post("/v1/claims", said | {"agreed_minutes": 60}).status_code == 422
    for changed in ({"served_on": "2027-03-01"}, {"receiver": receiver | {"node": "nowhere"}}):
        tried = bryn.post("/v1/claims?dry_run=true", said | changed).json()
        assert bryn.post("/v1/claims", said | changed).json()["code"] == tried["code"]
    assert barry.writer.tail.length == length


def test_a_dispute_that_crosses_a_withdrawal_leaves_the_claim_withdrawn(pair: Pair) -> None:
    """PROTOCOL.md D11."""
    aberdare, barry = pair
    claim = claimed(pair)
    talk(barry, aberdare)
    assert person(aberdare, "alys").post(f"/v1/claims/{claim}/dispute", {"reason": "other"}).status_code == 200
    assert person(barry, "bryn").post(f"/v1/claims/{claim}/withdrawal").status_code == 200
    talk(aberdare, barry)
    for town, account in ((aberdare, "alys"), (barry, "bryn")):
        assert person(town, account).get(f"/v1/claims/{claim}").json()["state"] == "withdrawn"
