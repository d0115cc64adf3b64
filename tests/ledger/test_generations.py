"""A registry that closes a peer's generation: with a successor all goes on, for ever everything open comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from tests.ledger.pair_of_towns import carry, hand_in, make_registry, open_pair, registered, segment_from, signed
from tests.ledger.town_api import Client, Town
from timebank_contracts.entries import decode_entry, entry_type
from timebank_contracts.registry import Registry
from timebank_ledger.timer import Timer

Pair = tuple[Town, Town]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with open_pair() as towns:
        yield towns


def sent(aberdare: Town, barry: Town, minutes: int = 90) -> str:
    alias = barry.member("bryn").post("/v1/accounts/bryn/aliases", {}).json()["alias"]
    body = {"payer": "alys", "payee": {"node": "barry", "alias": alias}, "minutes": minutes, "purpose": "gift"}
    answer = aberdare.member("alys").post("/v1/transfers", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def following(version: int, previous: Registry, **said: object) -> Registry:
    barry = replace(registered("barry", 2), **said)
    return make_registry(registered("aberdare", 1), barry, version=version, previous=previous.sha256)


def first() -> Registry:
    return make_registry(registered("aberdare", 1), registered("barry", 2))


def accept(town: Town, registry: Registry) -> None:
    answer = town.operator().put("/v1/registry", content=signed(registry))
    assert answer.status_code == 200, answer.text


def types(town: Town, start: int) -> list[str]:
    journal = town.writer.journal
    return [entry_type(decode_entry(record.state)) for record in journal.scan(start, journal.length())]


def balance(client: Client, account: str) -> int:
    return int(client.get(f"/v1/accounts/{account}").json()["balance"])


def test_what_was_sent_to_a_town_that_is_closed_for_ever_comes_back(pair: Pair) -> None:
    """PROTOCOL.md X2, X6."""
    aberdare, barry = pair
    transfer = sent(aberdare, barry)
    start = aberdare.writer.tail.length
    accept(aberdare, following(2, first(), state="closed"))
    assert types(aberdare, start) == ["registry.accepted", "peer.generation_closed", "peer.changed"]
    timer = Timer(aberdare.writer, aberdare.clock.now)
    assert timer.round() == 1
    assert timer.round() == 0
    told = aberdare.member("alys").get(f"/v1/transfers/{transfer}").json()
    assert (told["state"], told["reason"]) == ("returned", "peer_closed")
    assert balance(aberdare.member("alys"), "alys") == 0
    statement = aberdare.member("alys").get("/v1/accounts/alys/statement")
    assert statement.status_code == 200, statement.text
    late = segment_from(barry, "aberdare", after=0)
    assert hand_in(aberdare, late).json()["code"] == "peer_unknown"


def test_a_town_that_is_named_no_more_is_closed_for_ever(pair: Pair) -> None:
    """PROTOCOL.md X1, R4."""
    aberdare, barry = pair
    sent(aberdare, barry)
    accept(aberdare, make_registry(registered("aberdare", 1), version=2, previous=first().sha256))
    assert Timer(aberdare.writer, aberdare.clock.now).round() == 1
    assert balance(aberdare.member("alys"), "alys") == 0


def test_with_a_successor_what_is_open_waits_for_it(pair: Pair) -> None:
    """PROTOCOL.md X2, X5."""
    aberdare, barry = pair
    sent(aberdare, barry)
    start = aberdare.writer.tail.length
    accept(aberdare, following(2, first(), generation="g2"))
    assert types(aberdare, start) == ["registry.accepted", "peer.generation_closed", "peer.changed"]
    assert Timer(aberdare.writer, aberdare.clock.now).round() == 0
    assert balance(aberdare.member("alys"), "alys") == -90
    old = segment_from(barry, "aberdare", after=0)
    assert hand_in(aberdare, old).json()["code"] == "segment_invalid"
    stream = aberdare.federation().get("/v1/streams").json()["streams"][0]
    assert (stream["generation"], stream["incoming"]["n"], stream["open_transfers"]) == ("g2", 0, 1)


def test_a_closed_generation_does_not_come_back_by_a_registry(pair: Pair) -> None:
    """PROTOCOL.md X2."""
    aberdare, _ = pair
    second = following(2, first(), state="closed")
    accept(aberdare, second)
    start = aberdare.writer.tail.length
    refused = aberdare.operator().put("/v1/registry", content=signed(following(3, second)))
    assert refused.json()["code"] == "registry_invalid"
    assert "comes back under a later one" in refused.text
    assert aberdare.writer.tail.length == start
    third = following(3, second, generation="g2")
    accept(aberdare, third)
    back = aberdare.operator().put("/v1/registry", content=signed(following(4, third)))
    assert back.json()["code"] == "registry_invalid"


def test_a_node_whose_own_generation_was_closed_writes_no_more(pair: Pair) -> None:
    """PROTOCOL.md X2: reading goes on, and the sentence says what happened."""
    _, barry = pair
    answer = barry.operator().put("/v1/registry", content=signed(following(2, first(), generation="g2")))
    assert answer.status_code == 503
    body = {"payer": "bryn", "payee": {"account": "alys"}, "minutes": 1, "purpose": "gift"}
    assert barry.member("bryn").post("/v1/transfers", body).status_code == 503
    ready = barry.http.get("/readyz")
    assert ready.status_code == 503
    assert "the operators closed g1" in ready.text
    assert balance(barry.member("bryn"), "bryn") == 0


def test_a_town_goes_on_with_the_others_when_one_is_closed(pair: Pair) -> None:
    """PROTOCOL.md X2, X6: what was settled before stays."""
    aberdare, barry = pair
    sent(aberdare, barry, 30)
    carry(aberdare, barry)
    carry(barry, aberdare)
    sent(aberdare, barry, 40)
    accept(aberdare, following(2, first(), state="closed"))
    assert Timer(aberdare.writer, aberdare.clock.now).round() == 1
    assert balance(aberdare.member("alys"), "alys") == -30
    assert aberdare.http.get("/readyz").status_code == 200
