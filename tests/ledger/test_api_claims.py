"""Claims over HTTP: who may speak for which account, and what a claim is now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.ledger.town_api import OPERATOR, Client, Town, gift
from timebank_contracts.amounts import MINUTES_MAX
from timebank_contracts.entries import Actor
from timebank_contracts.errors import Refusal
from timebank_contracts.state import Book
from timebank_ledger import commands as c
from timebank_ledger.timer import Timer, due_commands
from timebank_ledger.writer import Written

DAY = 86_400.0
CLAIM = {
    "giver": "alys",
    "receiver": "bryn",
    "minutes": 90,
    "activity": "garden",
    "served_on": "2026-03-01",
}


def claimant(town: Town, account: str, **options: Any) -> Client:
    scopes = "claims:write", "statements:read", "accounts:read"
    return town.client(*scopes, subject=account, accounts=frozenset({account}), **options)


@pytest.fixture
def alys(town: Town) -> Client:
    return claimant(town, "alys")


@pytest.fixture
def bryn(town: Town) -> Client:
    return claimant(town, "bryn")


def made(client: Client, **data: Any) -> str:
    answer = client.post("/v1/claims", CLAIM | data)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def balances(town: Town) -> list[int]:
    with town.writer.reading() as book:
        return [book.accounts[account].balance for account in ("alys", "bryn", "pot")]


def test_a_claim_is_made_by_the_giver_and_confirmed_by_the_receiver(town: Town, alys: Client, bryn: Client) -> None:
    claim = made(alys)
    assert alys.post(f"/v1/claims/{claim}/confirmation", {}).json()["code"] == "forbidden"
    assert bryn.post("/v1/claims", CLAIM).json()["code"] == "forbidden"
    listed = bryn.get("/v1/claims").json()["claims"]
    assert [one["id"] for one in listed] == [claim]
    confirmed = bryn.post(f"/v1/claims/{claim}/confirmation", {"minutes": 60})
    assert (confirmed.status_code, confirmed.json()["claim"], confirmed.json()["minutes"]) == (201, claim, 60)
    assert balances(town) == [60, -60, 0]
    now = alys.get(f"/v1/claims/{claim}").json()
    assert (now["state"], now["transfer"], now["minutes"]) == ("confirmed", confirmed.json()["id"], 90)
    assert bryn.post(f"/v1/claims/{claim}/confirmation", {}).json()["code"] == "claim_unknown"
    assert alys.get("/v1/claims").json()["claims"] == []


def test_a_repeated_confirmation_is_answered_from_its_entry(town: Town, alys: Client, bryn: Client) -> None:
    """B-3."""
    path = f"/v1/claims/{made(alys)}/confirmation"
    first = bryn.post(path, {}, key="one")
    assert bryn.post(path, {}, key="one").json() == first.json()
    assert bryn.post(path, {"minutes": 30}, key="one").json()["code"] == "key_reused"
    assert balances(town) == [90, -90, 0]


def test_a_dry_run_of_a_claim_answers_the_same_and_writes_nothing(town: Town, alys: Client, bryn: Client) -> None:
    length = town.writer.tail.length
    tried = alys.post("/v1/claims?dry_run=true", CLAIM, key="k")
    assert town.writer.tail.length == length
    claim = alys.post("/v1/claims", CLAIM, key="k")
    assert tried.json() == claim.json()
    name = claim.json()["id"]
    assert bryn.post(f"/v1/claims/{name}/confirmation?dry_run=true", {}).json()["minutes"] == 90
    assert alys.get(f"/v1/claims/{name}").json()["state"] == "open"


def test_a_dispute_is_a_brokers_to_decide(town: Town, alys: Client, bryn: Client) -> None:
    broker = town.client("claims:write", "statements:read", subject="b-1")
    claim = made(alys)
    assert alys.post(f"/v1/claims/{claim}/dispute", {"reason": "other"}).json()["code"] == "forbidden"
    disputed = bryn.post(f"/v1/claims/{claim}/dispute", {"reason": "other_minutes"}).json()
    assert (disputed["state"], disputed["disputed"]) == ("disputed", True)
    assert [one["id"] for one in broker.get("/v1/claims", disputed=True).json()["claims"]] == [claim]
    assert bryn.post(f"/v1/claims/{claim}/confirmation", {}).json()["code"] == "claim_disputed"
    assert bryn.post(f"/v1/claims/{claim}/upholding").json()["code"] == "forbidden"
    assert broker.post(f"/v1/claims/{claim}/upholding").json()["state"] == "open"
    assert broker.post(f"/v1/claims/{claim}/upholding").json()["code"] == "claim_not_disputed"
    assert broker.post(f"/v1/claims/{claim}/confirmation", {"minutes": 45}).status_code == 201
    with town.writer.reading() as book:
        assert book.accounts["alys"].balance == 45


def test_a_claim_is_withdrawn_by_the_givers_side(alys: Client, bryn: Client) -> None:
    claim = made(alys)
    assert bryn.post(f"/v1/claims/{claim}/withdrawal").json()["code"] == "forbidden"
    assert alys.post(f"/v1/claims/{claim}/withdrawal").json()["state"] == "withdrawn"
    assert alys.get(f"/v1/claims/{claim}").json()["state"] == "withdrawn"


def test_who_sees_neither_account_is_told_that_the_claim_is_unknown(town: Town, alys: Client) -> None:
    """N-8."""
    claim = made(alys)
    other = claimant(town, "library")
    for path in (f"/v1/claims/{claim}", "/v1/claims/aberdare.g1.0", "/v1/claims/barry.g1.6"):
        assert other.get(path).json()["code"] == "claim_unknown"
    assert other.post(f"/v1/claims/{claim}/confirmation", {}).json()["code"] == "claim_unknown"
    assert other.get("/v1/claims").json()["claims"] == []
    assert other.get("/v1/claims", account="alys").json()["claims"] == []


def test_a_delegate_acts_visibly_under_a_mandate(town: Town, alys: Client) -> None:
    scopes = frozenset({"claims:write"})
    token = town.keys.signs_tokens.issue(
        issuer=f"{town.node}/directory",
        subject="carer-1",
        audience=f"timebank.example/{town.node}",
        scopes=scopes,
        accounts=frozenset({"bryn"}),
        mandate="mandate-7",
        now_seconds=int(town.clock.now().timestamp()),
        seconds=900,
    )
    carer = Client(town.http, token, alys.keys)
    assert carer.post(f"/v1/claims/{made(alys)}/confirmation", {}).status_code == 201
    entry = town.journal.read(town.writer.tail.length - 1, 1)[0].state
    assert b'"by":{"id":"carer-1","kind":"delegate","mandate":"mandate-7"}' in entry
    assert b'"confirmed_by":"delegate"' in entry


def test_a_claim_whose_transfer_came_back_is_open_again(town: Town, alys: Client, bryn: Client) -> None:
    claim = made(alys)
    transfer = bryn.post(f"/v1/claims/{claim}/confirmation", {}).json()["id"]
    operator = town.operator()
    part = operator.post(f"/v1/transfers/{transfer}/reversal", {"reason": "mistake", "minutes": 30}).json()
    assert (part["minutes"], part["state"]) == (30, "reversed")
    seen = operator.get(f"/v1/transfers/{transfer}").json()
    assert (seen["state"], seen["reversed_minutes"]) == ("posted", 30)
    assert alys.get(f"/v1/claims/{claim}").json()["state"] == "confirmed"
    assert operator.post(f"/v1/transfers/{transfer}/reversal", {"reason": "mistake"}).status_code == 201
    assert operator.get(f"/v1/transfers/{transfer}").json()["state"] == "reversed"
    assert alys.get(f"/v1/claims/{claim}").json()["state"] == "open"
    assert bryn.post(f"/v1/claims/{claim}/confirmation", {"minutes": 60}).status_code == 201
    assert balances(town) == [60, -60, 0]


def policy(town: Town, **changes: int) -> None:
    said: dict[str, Any] = {"default_floor": -600, "default_ceiling": 6_000, "debt_limit": 60_000} | changes
    town.writer.submit(c.ChangePolicy(by=OPERATOR, **said)).result()


def test_the_timer_expires_confirms_and_closes_what_is_due(town: Town, alys: Client, bryn: Client) -> None:
    """A-4, G-3."""
    policy(town, auto_confirm_after_days=3, claim_expires_after_days=20)
    broker = town.client("claims:write", "statements:read", subject="b-1")
    plain, agreed, disputed = made(alys), made(broker, agreed_minutes=90), made(broker, agreed_minutes=90)
    bryn.post(f"/v1/claims/{disputed}/dispute", {"reason": "not_given"})
    timer = Timer(town.writer, town.clock.now)
    assert timer.round() == 0
    town.clock.advance(4 * DAY)
    assert (timer.round(), timer.round(), balances(town)) == (1, 0, [90, -90, 0])
    town.clock.advance(20 * DAY)
    assert timer.round() == 1
    broker = town.client("claims:write", "statements:read", subject="b-1")
    states = [broker.get(f"/v1/claims/{claim}").json()["state"] for claim in (plain, agreed, disputed)]
    assert states == ["expired", "confirmed", "disputed"]
    member = town.member("bryn")
    assert member.post("/v1/accounts/bryn/closing").json()["state"] == "closing"
    assert timer.round() == 1  # the disputed claim ends with the leaver
    operator = town.operator()
    refused = operator.put("/v1/accounts/bryn/state", {"state": "closed"})
    assert refused.json()["code"] == "account_not_empty"
    town.clock.advance(31 * DAY)
    assert timer.round() == 0  # the pot is empty and may not go below 0
    operator = town.operator()
    operator.put("/v1/accounts/pot/limits", {"floor": -600, "ceiling": 6_000})
    assert (timer.round(), balances(town)) == (1, [90, 0, -90])
    assert operator.get("/v1/accounts/bryn").json()["state"] == "closed"


def test_what_the_rule_cannot_do_is_left_to_the_people(town: Town, alys: Client) -> None:
    policy(town, auto_confirm_after_days=1)
    broker = town.client("claims:write", "statements:read", subject="b-1")
    claim = made(broker, agreed_minutes=601, minutes=601)
    town.clock.advance(2 * DAY)
    assert Timer(town.writer, town.clock.now).round() == 0
    assert claimant(town, "alys").get(f"/v1/claims/{claim}").json()["state"] == "open"
    assert alys.headers


def test_claims_are_listed_in_pages_in_their_order(town: Town, alys: Client) -> None:
    names = [made(alys, minutes=minutes) for minutes in range(1, 6)]
    first = alys.get("/v1/claims", limit=2).json()
    rest = alys.get("/v1/claims", limit=5, after=first["next"]).json()
    assert [one["id"] for one in first["claims"] + rest["claims"]] == names
    assert rest["next"] is None
    assert alys.get("/v1/claims", after="nonsense").json()["code"] == "cursor_invalid"


def test_what_the_rule_confirmed_and_is_disputed_stays_confirmed_and_is_listed_for_who_decides(
    town: Town, alys: Client
) -> None:
    """PROTOCOL.md D6. A-4."""
    policy(town, auto_confirm_after_days=3)
    broker = town.client("claims:write", "statements:read", subject="b-1")
    claim = made(broker, agreed_minutes=90)
    town.clock.advance(4 * DAY)
    assert Timer(town.writer, town.clock.now).round() == 1
    alys, bryn = claimant(town, "alys"), claimant(town, "bryn")
    broker = town.client("claims:write", "statements:read", subject="b-1")
    assert broker.get("/v1/claims", disputed=True).json()["claims"] == []
    assert bryn.post(f"/v1/claims/{claim}/dispute", {"reason": "not_given"}).status_code == 200
    now = alys.get(f"/v1/claims/{claim}").json()
    assert (now["state"], now["disputed"], now["transfer"] is None) == ("confirmed", True, False)
    for client in (broker, bryn):
        assert client.get("/v1/claims", disputed=True).json()["claims"] == [now]
    assert alys.get("/v1/claims", disputed=False).json()["claims"] == []
    assert claimant(town, "library").get("/v1/claims").json()["claims"] == []
    assert broker.post(f"/v1/claims/{claim}/upholding").status_code == 200
    now = alys.get(f"/v1/claims/{claim}").json()
    assert (now["state"], now["disputed"]) == ("confirmed", False)
    assert broker.get("/v1/claims").json()["claims"] == []


def test_the_rule_closes_a_leaver_whatever_bound_of_the_pot_is_not_in_the_way(town: Town) -> None:
    """PROTOCOL.md L5, L10. G-3."""
    town.member("alys").post("/v1/transfers", gift("alys", "bryn", 100))
    operator, timer = town.operator(), Timer(town.writer, town.clock.now)
    operator.post("/v1/transfers", gift("library", "pot", 200) | {"purpose": "pot"})
    for account in ("alys", "bryn"):
        town.member(account).post(f"/v1/accounts/{account}/closing")
    town.clock.advance(31 * DAY)
    operator = town.operator()
    operator.put("/v1/accounts/pot/limits", {"floor": -600, "ceiling": 50})
    assert (timer.round(), balances(town)) == (1, [0, 100, 100])
    support = gift("pot", "library", 300) | {"purpose": "support", "reason": "hardship"}
    assert operator.post("/v1/transfers", support).status_code == 201
    operator.put("/v1/accounts/pot/limits", {"floor": 0, "ceiling": 50})
    assert (timer.round(), balances(town)) == (1, [0, 0, -100])


def test_the_rule_does_not_try_what_no_posting_may_move(town: Town) -> None:
    """PROTOCOL.md L5: the rounds are for what can be done."""
    operator = town.operator()
    with town.writer.reading() as book:
        account = replace(book.accounts["alys"], balance=MINUTES_MAX + 1, state="closing", closing_since=book.time)
        tried = Book(identity=book.identity, accounts=book.accounts | {"alys": account})
    assert list(due_commands(tried, "2027-01-01T00:00:00Z")) == []
    account.balance = -MINUTES_MAX
    tried.accounts["pot"] = replace(tried.accounts["pot"], floor=-2 * MINUTES_MAX)
    assert len(list(due_commands(tried, "2027-01-01T00:00:00Z"))) == 1
    assert operator.headers


def test_the_answer_to_a_dispute_of_what_the_rule_confirmed_says_that_it_is_confirmed(town: Town, alys: Client) -> None:
    """PROTOCOL.md D6. B-3."""
    policy(town, auto_confirm_after_days=3)
    broker = town.client("claims:write", "statements:read", subject="b-1")
    claims = [made(broker, agreed_minutes=90) for _ in range(2)]
    town.clock.advance(4 * DAY)
    assert Timer(town.writer, town.clock.now).round() == 2
    broker, bryn, operator = town.client("claims:write", subject="b-1"), claimant(town, "bryn"), town.operator()
    for claim in claims:
        transfer = bryn.get(f"/v1/claims/{claim}").json()["transfer"]
        part = {"reason": "mistake", "minutes": 30}
        assert operator.post(f"/v1/transfers/{transfer}/reversal", part).status_code == 201
        path = f"/v1/claims/{claim}/dispute"
        tried = bryn.post(f"{path}?dry_run=true", {"reason": "not_given"}).json()
        disputed = bryn.post(path, {"reason": "not_given"}, key=claim).json()
        assert (disputed["state"], disputed["disputed"], disputed["transfer"]) == ("confirmed", True, transfer)
        assert tried == disputed == bryn.get(f"/v1/claims/{claim}").json()
        if claim == claims[0]:
            upheld = broker.post(f"/v1/claims/{claim}/upholding").json()
            assert upheld == bryn.get(f"/v1/claims/{claim}").json()
        assert operator.post(f"/v1/transfers/{transfer}/reversal", {"reason": "not_given"}).status_code == 201
        assert bryn.post(path, {"reason": "not_given"}, key=claim).json() == disputed
        again = bryn.post(path, {"reason": "other"}).json()
        assert (again["state"], again["disputed"]) == ("disputed", True)
        assert broker.post(f"/v1/claims/{claim}/upholding").json()["state"] == "open"


@pytest.mark.parametrize("confirmed_first", [True, False])
def test_of_a_confirmation_and_a_withdrawal_in_one_batch_the_first_ends_the_claim(
    town: Town, alys: Client, confirmed_first: bool
) -> None:
    """PROTOCOL.md D3."""
    claim, by = made(alys), Actor(kind="member", id="bryn")
    commands: list[c.Command] = [
        c.ConfirmClaim(by=by, claim=claim, confirmed_by="receiver"),
        c.EndClaim(by=by, claim=claim, how="withdrawn"),
    ]
    commands = commands if confirmed_first else commands[::-1]
    tried = town.writer.submit_trial(commands).result()
    for answers in (tried, town.writer.submit_many(commands).result()):
        assert isinstance(answers[1], Refusal)
        assert (isinstance(answers[0], Written), answers[1].code) == (True, "claim_unknown")
    assert balances(town) == ([90, -90, 0] if confirmed_first else [0, 0, 0])
    with town.writer.reading() as book:
        assert [book.accounts[account].open_claims for account in ("alys", "bryn")] == [0, 0]


def test_who_spent_what_is_taken_back_is_told_of_it_and_of_the_claim_that_is_open_again(
    town: Town, alys: Client, bryn: Client
) -> None:
    """PROTOCOL.md T12, D7. A-1, A-3."""
    operator = town.operator()
    operator.put("/v1/accounts/pot/limits", {"floor": -600, "ceiling": 6_000})
    claim = made(alys)
    transfer = bryn.post(f"/v1/claims/{claim}/confirmation", {}).json()["id"]
    town.member("alys").post("/v1/transfers", gift("alys", "library", 690))
    assert operator.post(f"/v1/transfers/{transfer}/reversal", {"reason": "mistake"}).status_code == 201
    assert balances(town) == [-600, 0, -90]
    for account in ("alys", "bryn"):
        last = town.member(account).get(f"/v1/accounts/{account}/events").json()["events"][-1]
        assert (last["type"], last["transfer"]) == ("transfer.reversed", transfer)
    assert alys.get(f"/v1/claims/{claim}").json()["state"] == "open"
