"""A town's own policy about a peer: suspended, resumed, a lower limit; what the network says goes on beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ledger.pair_of_towns import (
    both_open,
    carry,
    make_registry,
    open_pair,
    registered,
    signed,
    stream_of,
)
from tests.ledger.town_api import Town

Pair = tuple[Town, Town]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with open_pair() as towns:
        yield towns


def change(town: Town, peer: str, *, key: str, dry_run: bool = False, **body: Any) -> Any:
    path = f"/v1/peers/{peer}" + ("?dry_run=true" if dry_run else "")
    return town.operator().put(path, body, key=key)


def alias_of(town: Town) -> str:
    answer = town.member("bryn").post("/v1/accounts/bryn/aliases", {})
    return str(answer.json()["alias"])


def send(town: Town, alias: str, minutes: int = 90) -> Any:
    body = {"payer": "alys", "payee": {"node": "barry", "alias": alias}, "minutes": minutes, "purpose": "gift"}
    return town.member("alys").post("/v1/transfers", body)


def row(town: Town) -> dict[str, Any]:
    found: dict[str, Any] = town.operator().get("/v1/positions").json()
    return found


def test_a_suspended_peer_gets_nothing_new_and_its_decisions_count(pair: Pair) -> None:
    """PROTOCOL.md R9."""
    aberdare, barry = pair
    alias = alias_of(barry)
    sent = send(aberdare, alias).json()["id"]
    assert change(aberdare, "barry", key="s", suspended=True).json()["state"] == "suspended"
    assert send(aberdare, alias).json()["code"] == "peer_suspended"
    carry(aberdare, barry)
    carry(barry, aberdare)
    assert aberdare.operator().get(f"/v1/transfers/{sent}").json()["state"] == "settled"


def test_what_a_suspended_peer_sends_comes_back_to_its_payer_and_flows_again_after_the_end(pair: Pair) -> None:
    """PROTOCOL.md R9; J-6."""
    aberdare, barry = pair
    alias = alias_of(barry)
    assert change(barry, "aberdare", key="s", suspended=True).status_code == 200
    first = send(aberdare, alias).json()["id"]
    carry(aberdare, barry)
    carry(barry, aberdare)
    assert aberdare.operator().get(f"/v1/transfers/{first}").json()["state"] == "returned"
    under_way = [send(aberdare, alias, minutes).json()["id"] for minutes in (1, 2, 3)]
    assert change(barry, "aberdare", key="r", suspended=False).json()["state"] == "open"
    carry(aberdare, barry)
    carry(barry, aberdare)
    states = [aberdare.operator().get(f"/v1/transfers/{one}").json()["state"] for one in under_way]
    assert states == ["settled"] * 3


def test_the_lower_of_the_network_s_limit_and_the_town_s_own_counts_and_outlives_a_registry(pair: Pair) -> None:
    """PROTOCOL.md R9."""
    aberdare, _ = pair
    assert change(aberdare, "barry", key="a", suspended=False, own_limit=100).json()["owe_limit"] == 100
    assert change(aberdare, "barry", key="b", suspended=True, own_limit=9_000).json()["owe_limit"] == 6_000
    assert change(aberdare, "barry", key="c", suspended=True, own_limit=50).status_code == 200
    first = both_open()
    second = make_registry(
        registered("aberdare", 1), registered("barry", 2, limit=3_000), version=2, previous=first.sha256
    )
    answer = aberdare.federation().put("/v1/registry", content=signed(second))
    assert answer.status_code == 200, answer.text
    stream = stream_of(aberdare, "barry")
    assert (stream["owe_limit"], stream["state"]) == (50, "suspended")
    assert change(aberdare, "barry", key="d", suspended=False).json()["owe_limit"] == 3_000


def test_a_dry_run_changes_nothing_and_a_key_serves_one_command(pair: Pair) -> None:
    aberdare, _ = pair
    assert change(aberdare, "barry", key="k", dry_run=True, suspended=True).json()["state"] == "suspended"
    assert stream_of(aberdare, "barry")["state"] == "open"
    first = change(aberdare, "barry", key="k", suspended=True)
    assert change(aberdare, "barry", key="k", suspended=True).json() == first.json()
    assert change(aberdare, "barry", key="k", suspended=False).json()["code"] == "key_reused"
    assert change(aberdare, "cardiff", key="x", suspended=True).json()["code"] == "peer_unknown"


def test_four_fifths_of_a_limit_are_a_warning_before_it_blocks(pair: Pair) -> None:
    aberdare, barry = pair
    alias = alias_of(barry)
    change(aberdare, "barry", key="a", suspended=False, own_limit=100)
    assert send(aberdare, alias, 79).status_code == 201
    assert not row(aberdare)["warning"]
    assert "timebank_ledger_limits_near 0.0" in aberdare.operator().get("/metrics").text
    assert send(aberdare, alias, 1).status_code == 201
    said = row(aberdare)
    assert (said["warning"], said["rows"][0]["warning"], said["debt"]) == (True, True, 80)
    assert "timebank_ledger_limits_near 1.0" in aberdare.operator().get("/metrics").text
    assert send(aberdare, alias, 21).json()["code"] == "pair_limit_exceeded"
