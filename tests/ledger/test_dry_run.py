"""`?dry_run=true`: on every writing route the answer of the real command, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.ledger.pair_of_towns import both_open, open_pair, signed, stream_of
from tests.ledger.town_api import Client, Town, gift
from timebank_ledger.api import document

Ask = Callable[[Client, dict[str, Any]], httpx.Response]
CONFIRMED = {"confirmed_by": "none"}
POLICY = {"default_floor": -60, "default_ceiling": 600, "debt_limit": 1_000}


def issued(operator: Client) -> str:
    """An address of bryn's: the same one however often it is asked for."""
    alias: str = operator.post("/v1/accounts/bryn/aliases", {}, key="alias").json()["alias"]
    return alias


CLAIM = {"giver": "alys", "receiver": "bryn", "minutes": 90, "activity": "garden", "served_on": "2026-03-01"}
MONEY = {"minor_units": 500, "currency": "GBP", "kind": "materials", "settled_by": "cash", "paid_on": "2026-03-01"}
OPEN, DISPUTED = "/v1/claims/aberdare.g1.8", "/v1/claims/aberdare.g1.9"
ASKED: dict[str, Ask] = {
    "makeClaim": lambda op, how: op.post("/v1/claims", CLAIM, **how),
    "confirmClaim": lambda op, how: op.post(f"{OPEN}/confirmation", {"minutes": 60}, **how),
    "disputeClaim": lambda op, how: op.post(f"{OPEN}/dispute", {"reason": "not_given"}, **how),
    "withdrawClaim": lambda op, how: op.post(f"{OPEN}/withdrawal", **how),
    "upholdClaim": lambda op, how: op.post(f"{DISPUTED}/upholding", **how),
    "recordMoney": lambda op, how: op.post("/v1/money", MONEY | {"transfer": "aberdare.g1.6"}, **how),
    "postTransfer": lambda op, how: op.post("/v1/transfers", gift("alys", "bryn", 90) | CONFIRMED, **how),
    "thankForTransfer": lambda op, how: op.post("/v1/transfers/aberdare.g1.6/thanks", {"side": "payer"}, **how),
    "reverseTransfer": lambda op, how: op.post("/v1/transfers/aberdare.g1.6/reversal", {"reason": "mistake"}, **how),
    "openAccount": lambda op, how: op.post("/v1/accounts", {"account": "cai", "kind": "member"}, **how),
    "setLimits": lambda op, how: op.put("/v1/accounts/alys/limits", {"floor": -60, "ceiling": 120}, **how),
    "setAccountState": lambda op, how: op.put("/v1/accounts/alys/state", {"state": "frozen"}, **how),
    "beginClosing": lambda op, how: op.post("/v1/accounts/library/closing", **how),
    "issueAlias": lambda op, how: op.post("/v1/accounts/alys/aliases", {}, **how),
    "revokeAlias": lambda op, how: op.delete(f"/v1/aliases/{issued(op)}", **how),
    "setPolicy": lambda op, how: op.put("/v1/policy", POLICY, **how),
    "acceptRegistry": lambda op, how: op.put("/v1/registry", content=signed(both_open()), **how),
}
EXEMPT = {
    "postTransfers": "tested by itself: a batch holds many commands",
    "uploadTransfers": "tested by itself: a file holds many commands",
    "takeSegment": "no command of a caller's: a peer's messages are decided when they come",
    "sayContradiction": "no command of a caller's: the town's own federation says what a witness holds",
    "refundTransfer": "tested by itself: it needs a transfer from another town",
    "changePeer": "tested by itself: it needs a peer",
    "thawStream": "tested by itself: it needs a stream that a peer broke",
} | dict.fromkeys(
    [
        "createWebhook",
        "deleteWebhook",
        "editWebhook",
        "enableWebhook",
        "replayWebhookDelivery",
        "rotateWebhookSecret",
    ],
    "tested by itself: it writes no entry",
)


@pytest.fixture
def busy(town: Town) -> Town:
    """With a transfer to take back, an address to revoke, and claims to end."""
    operator = caller(town)
    assert operator.post("/v1/transfers", gift("alys", "bryn", 30) | CONFIRMED).status_code == 201
    issued(operator)
    assert [operator.post("/v1/claims", CLAIM).status_code for _ in range(2)] == [201, 201]
    assert operator.post(f"{DISPUTED}/dispute", {"reason": "not_given"}).status_code == 200
    return town


def caller(town: Town) -> Client:
    """Who may do everything."""
    return town.client("operate", "transfers:write", "claims:write", "statements:read")


def seen(answer: httpx.Response) -> tuple[Any, ...]:
    body = answer.json() if answer.content else None
    return answer.status_code, body, answer.headers.get("X-Position"), answer.headers.get("ETag")


@pytest.mark.parametrize("operation", sorted(ASKED))
def test_a_dry_run_answers_as_the_command_would_and_writes_nothing(busy: Town, operation: str) -> None:
    operator, ask = caller(busy), ASKED[operation]
    length = busy.writer.tail.length
    tried = ask(operator, {"key": "k", "params": {"dry_run": "true"}})
    assert (busy.writer.tail.length, tried.headers["X-Dry-Run"]) == (length, "true")
    done = ask(operator, {"key": "k"})
    assert done.status_code in (200, 201, 204), done.text
    assert "X-Dry-Run" not in done.headers
    assert seen(tried) == seen(done)
    assert busy.writer.tail.length > length
    again = ask(operator, {"key": "k", "params": {"dry_run": "true"}})
    assert seen(again) == seen(done)


def test_a_dry_run_is_refused_as_the_command_would_be(town: Town) -> None:
    alys = town.member("alys")
    for body, code in ((gift("alys", "bryn", 601), "floor"), (gift("bryn", "alys", 1), "forbidden")):
        tried = alys.post("/v1/transfers", body, params={"dry_run": "true"})
        assert (tried.json()["code"], tried.headers.get("X-Dry-Run", "true")) == (code, "true")
        assert alys.post("/v1/transfers", body).json() == tried.json()


def test_a_dry_run_of_a_batch_lets_later_commands_meet_the_earlier_ones(town: Town) -> None:
    operator = town.operator()
    commands = [
        gift("alys", "bryn", 600) | CONFIRMED | {"key": "a"},
        gift("alys", "bryn", 1) | CONFIRMED | {"key": "b"},
        gift("bryn", "alys", 1_200) | CONFIRMED | {"key": "c"},
        gift("alys", "bryn", 600) | CONFIRMED | {"key": "a"},
        {"key": "d"},
    ]
    tried = operator.post("/v1/transfers/batch", commands, key=None, params={"dry_run": "true"})
    assert town.writer.tail.length == 6
    done = operator.post("/v1/transfers/batch", commands, key=None)
    assert [one["status"] for one in done.json()["answers"]] == [201, 409, 201, 201, 422]
    assert seen(tried) == seen(done)


def test_a_group_session_shows_its_split_before_it_is_confirmed(town: Town) -> None:
    session = {"sharing": ["alys", "library"], "shared_minutes": 61, "leaders": [["bryn", 90]]}
    said = {"session": session, "purpose": "service", "activity": "garden", "served_on": "2026-03-01"}
    operator = town.operator()
    give = {"payer": "alys", "payee": {"account": "pot"}, "minutes": 100, "purpose": "pot", **CONFIRMED}
    assert operator.post("/v1/transfers", give).status_code == 201
    tried = operator.post("/v1/transfers", said, params={"dry_run": "true"}, key="k")
    assert dict(tried.json()["postings"]) == {"alys": -31, "library": -30, "pot": -29, "bryn": 90}
    assert seen(operator.post("/v1/transfers", said, key="k")) == seen(tried)


def test_a_transfer_to_another_town_is_tried_and_leaves_no_message() -> None:
    with open_pair() as (aberdare, barry):
        alias = barry.member("bryn").post("/v1/accounts/bryn/aliases", {}).json()["alias"]
        body = gift("alys", "bryn", 90) | {"payee": {"node": "barry", "alias": alias}}
        alys, before = aberdare.member("alys"), stream_of(aberdare, "barry")
        tried = alys.post("/v1/transfers", body, key="k", params={"dry_run": "true"})
        assert (tried.status_code, tried.json()["id"]) == (201, "aberdare.g1.barry.1")
        assert stream_of(aberdare, "barry") == before
        assert seen(alys.post("/v1/transfers", body, key="k")) == seen(tried)


def test_a_change_about_a_peer_is_tried_and_changes_nothing() -> None:
    with open_pair() as (aberdare, _):
        operator, said = aberdare.operator(), {"own_limit": 3_000, "suspended": False}
        before = operator.get("/v1/positions").json()
        tried = operator.put("/v1/peers/barry", said, key="k", params={"dry_run": "true"})
        assert tried.status_code == 200, tried.text
        assert operator.get("/v1/positions").json() == before
        assert seen(operator.put("/v1/peers/barry", said, key="k")) == seen(tried)
        assert operator.get("/v1/positions").json() != before


def test_a_misspelt_dry_run_is_never_the_real_thing(town: Town) -> None:
    for params in ({"dryrun": "true"}, {"dry_run": "please"}, {"dry-run": "1"}):
        answer = town.member("alys").post("/v1/transfers", gift("alys", "bryn", 30), params=params)
        assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")
    assert town.writer.tail.length == 6


def test_every_writing_route_can_be_tried_and_is_tried_here_or_by_itself() -> None:
    known: dict[str, set[str]] = {}
    for path in document()["paths"].values():
        for method, operation in path.items():
            if method in ("post", "put", "patch", "delete"):
                known[operation["operationId"]] = {one["name"] for one in operation.get("parameters", [])}
    assert {name for name, parameters in known.items() if "dry_run" not in parameters} == {
        "sayContradiction",
        "takeSegment",
    }
    assert known.keys() == ASKED.keys() | EXEMPT.keys()
