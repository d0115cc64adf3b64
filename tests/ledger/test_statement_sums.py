"""Sums at a day or position: the trial balance and balances then, compared with a replay up to there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.busy_town import ACTS, Act, book_at, live
from tests.ledger.pair_of_towns import carry, open_pair
from tests.ledger.town_api import START, Town, gift, open_town
from timebank_contracts.figures import trial_balance
from timebank_ledger.index import Index
from timebank_ledger.index_store import index_url


def _replayed(town: Town, length: int) -> dict[str, Any]:
    found = trial_balance(book_at(town, length))
    return {**found._asdict(), "rows": [row._asdict() for row in found.rows]}


def test_the_trial_balance_adds_up_to_nothing(town: Town) -> None:
    operator = town.operator()
    operator.post("/v1/transfers", gift("alys", "bryn", 90))
    found = operator.get("/v1/trial-balance").json()
    assert (found["entries"], found["credit"], found["debit"], found["total"]) == (7, 90, 90, 0)
    assert {row["kind"]: row["accounts"] for row in found["rows"]} == {"member": 2, "organisation": 1, "pot": 1}


@settings(max_examples=30, deadline=None)
@given(acts=ACTS, at=st.integers(0, 40))
def test_the_trial_balance_then_is_that_of_a_replay_up_to_there(acts: list[Act], at: int) -> None:
    with open_town() as town:
        live(town, acts)
        position = min(at, town.writer.tail.length)
        assert town.operator().get("/v1/trial-balance", position=at).json() == _replayed(town, position)


def test_the_trial_balance_then_has_the_accounts_of_peers_too() -> None:
    with open_pair() as (aberdare, barry):
        alias = barry.member("bryn").post("/v1/accounts/bryn/aliases", {}).json()["alias"]
        body = gift("alys", "", 30) | {"payee": {"node": "barry", "alias": alias}}
        aberdare.member("alys").post("/v1/transfers", body)
        carry(aberdare, barry)
        carry(barry, aberdare)
        for town in (aberdare, barry):
            for position in range(town.writer.tail.length + 1):
                found = town.operator().get("/v1/trial-balance", position=position).json()
                assert found == _replayed(town, position)


def test_a_balance_then_is_what_the_first_entries_or_days_leave(town: Town) -> None:
    operator = town.operator()
    position = operator.post("/v1/transfers", gift("alys", "bryn", 30)).headers["X-Position"]
    town.clock.advance((datetime(2026, 3, 3, 10, 0, tzinfo=UTC) - START).total_seconds())
    operator = town.operator()
    operator.post("/v1/transfers", gift("alys", "bryn", 12))
    path = "/v1/accounts/bryn/balance"
    expected = {"account": "bryn", "kind": "member", "date": None, "time_zone": "Europe/London"}
    assert operator.get(path).json() == expected | {"balance": 42, "position": 8}
    assert operator.get(path, position=position).json() == expected | {"balance": 30, "position": 7}
    assert operator.get(path, position=3).json() == expected | {"balance": 0, "position": 3}
    for day, balance, length in (("2026-03-01", 0, 0), ("2026-03-02", 30, 7), ("2030-01-01", 42, 8)):
        found = operator.get(path, date=day).json()
        assert found == expected | {"balance": balance, "position": length, "date": day}
        assert operator.get("/v1/trial-balance", date=day).json()["credit"] == balance


@pytest.mark.parametrize("path", ["/v1/accounts/bryn/balance", "/v1/trial-balance"])
@pytest.mark.parametrize("asked", [{"date": "2026-03-02", "position": 3}, {"date": "yesterday"}])
def test_a_moment_that_is_none_or_two_is_refused(town: Town, path: str, asked: dict[str, Any]) -> None:
    answer = town.operator().get(path, **asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")
    assert answer.json()["detail"].startswith("date:")


def test_accounts_are_listed_with_their_balances_then_in_pages_that_join(town: Town) -> None:
    live(town, [(60, 0, 1, 30, False), (60, 1, 2, 15, False)])
    town.index.advance_to(8)
    whole = town.index.standings(8, limit=10)
    assert [tuple(one) for one in whole] == [
        ("alys", "member", -30),
        ("bryn", "member", 15),
        ("library", "organisation", 0),
        ("pot", "pot", 15),
    ]
    assert town.index.standings(8, limit=2) + town.index.standings(8, after="bryn", limit=2) == whole
    assert [one.account for one in town.index.standings(4, limit=10)] == ["alys", "pot"]


@pytest.mark.servers
def test_sums_then_are_the_same_on_postgresql(postgres_dsn: str, town: Town) -> None:
    live(town, [(60, 0, 1, 30, False), (60, 1, 2, 15, False), (60, 2, 1, 5, False)])
    index = Index(index_url(postgres_dsn), town.journal, name="test")
    length = town.writer.tail.length
    for one in (index, town.index):
        one.advance_to(length)
    for position in range(length + 1):
        assert index.kinds(position) == town.index.kinds(position)
        assert index.standings(position, limit=9) == town.index.standings(position, limit=9)
    index.close()
