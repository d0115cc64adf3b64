"""Accounts over HTTP: opened, limited, frozen, closed, addressed."""

from __future__ import annotations

from tests.ledger.town_api import Town, gift


def test_an_account_is_opened_with_the_town_s_limits(town: Town) -> None:
    answer = town.operator().post("/v1/accounts", {"account": "cai", "kind": "member"}, key="k")
    expected = {
        "account": "cai",
        "kind": "member",
        "state": "open",
        "balance": 0,
        "in_transit": 0,
        "floor": -600,
        "ceiling": 6000,
        "available": 600,
        "owner": None,
    }
    assert (answer.status_code, answer.json()) == (201, expected)
    assert answer.headers["X-Position"] == "7"
    again = town.operator().post("/v1/accounts", {"account": "cai", "kind": "member"}, key="k")
    assert (again.status_code, again.json()) == (201, expected)


def test_an_account_opens_once(town: Town) -> None:
    answer = town.operator().post("/v1/accounts", {"account": "alys", "kind": "member"})
    assert (answer.status_code, answer.json()["code"]) == (409, "account_exists")


def test_an_account_of_a_peer_cannot_be_opened(town: Town) -> None:
    body = {"account": "clearing:barry", "kind": "member"}
    assert town.operator().post("/v1/accounts", body).json()["code"] == "account_kind"
    body = {"account": "cai", "kind": "clearing"}
    assert town.operator().post("/v1/accounts", body).json()["errors"][0]["field"] == "kind"


def test_limits_and_states_change_by_an_operator(town: Town) -> None:
    operator = town.operator()
    limited = operator.put("/v1/accounts/alys/limits", {"floor": -60, "ceiling": 120})
    assert (limited.json()["floor"], limited.json()["ceiling"]) == (-60, 120)
    assert operator.put("/v1/accounts/alys/state", {"state": "frozen"}).json()["state"] == "frozen"
    assert operator.put("/v1/accounts/alys/state", {"state": "open"}).json()["state"] == "open"
    assert operator.put("/v1/accounts/bryn/state", {"state": "closed"}).json()["state"] == "closed"
    assert operator.put("/v1/accounts/bryn/state", {"state": "open"}).json()["code"] == "account_closed"
    assert operator.put("/v1/accounts/nobody/state", {"state": "open"}).json()["code"] == "account_unknown"


def test_the_policy_changes_and_binds_new_accounts(town: Town) -> None:
    operator = town.operator()
    answer = operator.put("/v1/policy", {"default_floor": -60, "default_ceiling": 600, "debt_limit": 1_000})
    said = answer.json()
    assert (said["default_floor"], said["default_ceiling"], said["debt_limit"]) == (-60, 600, 1_000)
    assert (answer.headers["X-Position"], operator.get("/v1/policy").json()) == ("7", said)
    assert operator.post("/v1/accounts", {"account": "cai", "kind": "member"}).json()["floor"] == -60


def test_accounts_are_listed_in_pages_that_join(town: Town) -> None:
    operator = town.operator()
    seen, after = [], None
    for _ in range(4):
        page = operator.get("/v1/accounts", limit=1, **({} if after is None else {"after": after})).json()
        seen += [one["account"] for one in page["accounts"]]
        after = page["next"]
    assert seen == ["alys", "bryn", "library", "pot"]
    assert after is None


def test_an_alias_is_issued_repeated_and_revoked(town: Town) -> None:
    bryn = town.member("bryn")
    issued = bryn.post("/v1/accounts/bryn/aliases", {}, key="k")
    assert issued.status_code == 201
    assert bryn.post("/v1/accounts/bryn/aliases", {}, key="k").json() == issued.json()
    path = f"/v1/aliases/{issued.json()['alias']}"
    assert town.member("alys").delete(path).json()["code"] == "forbidden"
    assert bryn.delete(path).status_code == 204
    assert bryn.delete(path).json()["code"] == "alias_unknown"


def test_an_alias_for_a_town_that_is_no_peer_is_refused(town: Town) -> None:
    answer = town.member("bryn").post("/v1/accounts/bryn/aliases", {"audience": "barry"})
    assert (answer.status_code, answer.json()["code"]) == (404, "peer_unknown")


def test_a_change_of_the_policy_lists_the_accounts_that_it_does_not_touch(town: Town) -> None:
    """D-5."""
    operator = town.operator()
    assert operator.get("/v1/accounts", apart=True).json()["accounts"] == []
    policy = {"default_floor": -300, "default_ceiling": 6_000, "debt_limit": 60_000}
    assert operator.put("/v1/policy", policy).status_code == 200
    assert operator.post("/v1/accounts", {"account": "cai", "kind": "member"}).status_code == 201
    apart = operator.get("/v1/accounts", apart=True).json()["accounts"]
    assert [one["account"] for one in apart] == ["alys", "bryn", "library"]
    assert operator.put("/v1/accounts/alys/limits", {"floor": -300, "ceiling": 6_000}).status_code == 200
    apart = operator.get("/v1/accounts", apart=True).json()["accounts"]
    assert [one["account"] for one in apart] == ["bryn", "library"]
    refused = town.member("alys").post("/v1/transfers", gift("alys", "bryn", 301)).json()
    assert (refused["code"], "ask a broker" in refused["detail"]) == ("floor", True)


def test_the_pot_is_known_by_its_id_and_stays_open(town: Town) -> None:
    """H-2."""
    operator = town.operator()
    assert operator.put("/v1/accounts/pot/state", {"state": "closed"}).json()["code"] == "account_kind"
    assert operator.post("/v1/accounts", {"account": "cronfa", "kind": "pot"}).json()["code"] == "account_kind"
