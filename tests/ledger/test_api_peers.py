"""Peers over HTTP: a transfer's life between two towns, segments of every sort, the registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ledger.pair_of_towns import (
    OPERATORS,
    both_open,
    carry,
    hand_in,
    make_registry,
    open_pair,
    registered,
    segment_from,
    signed,
    stream_of,
)
from tests.ledger.town_api import Town, open_town
from timebank_contracts.segments import SEGMENT_BYTES_MAX

Pair = tuple[Town, Town]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with open_pair() as towns:
        yield towns


def _alias(barry: Town, audience: str | None = None) -> str:
    body = {} if audience is None else {"audience": audience}
    alias: str = barry.member("bryn").post("/v1/accounts/bryn/aliases", body).json()["alias"]
    return alias


def _send(aberdare: Town, alias: str, minutes: int = 90) -> dict[str, Any]:
    body = {
        "payer": "alys",
        "payee": {"node": "barry", "alias": alias},
        "minutes": minutes,
        "purpose": "service",
        "activity": "garden",
        "served_on": "2026-03-01",
    }
    answer = aberdare.member("alys").post("/v1/transfers", body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_transfer_is_sent_received_and_settled_exactly_once(pair: Pair) -> None:
    aberdare, barry = pair
    sent = _send(aberdare, _alias(barry))
    assert (sent["id"], sent["state"]) == ("aberdare.g1.barry.1", "sent")
    assert carry(aberdare, barry)["outcome"] == "fresh"
    assert carry(barry, aberdare) | {"heard": None} == {
        "outcome": "fresh",
        "high": 1,
        "position": None,
        "code": None,
        "detail": None,
        "heard": None,
    }
    path = f"/v1/transfers/{sent['id']}"
    assert aberdare.member("alys").get(path).json() == sent | {"state": "settled"}
    assert barry.member("bryn").get(path).json()["state"] == "received"
    assert barry.operator().get("/v1/accounts/bryn").json()["balance"] == 90
    (row,) = aberdare.operator().get("/v1/positions").json()["rows"]
    assert (row["peer"], row["clearing"], row["transit"], row["debt"]) == ("barry", 90, 0, 90)
    assert (row["open_transfers"], row["oldest_age_seconds"]) == (0, None)


def test_a_transfer_to_an_unknown_address_comes_back_with_its_reason(pair: Pair) -> None:
    aberdare, barry = pair
    sent = _send(aberdare, "0" * 32)
    (row,) = aberdare.operator().get("/v1/positions").json()["rows"]
    assert (row["transit"], row["open_transfers"], row["oldest_age_seconds"]) == (90, 1, 0)
    carry(aberdare, barry)
    carry(barry, aberdare)
    found = aberdare.member("alys").get(f"/v1/transfers/{sent['id']}").json()
    assert found == sent | {"state": "returned", "reason": "alias_unknown"}
    assert barry.operator().get(f"/v1/transfers/{sent['id']}").json()["state"] == "rejected"
    assert aberdare.operator().get("/v1/accounts/alys").json()["balance"] == 0
    lines = aberdare.member("alys").get("/v1/accounts/alys/statement").json()["lines"]
    assert [(line["type"], line["minutes"], line["transfer"]) for line in lines] == [
        ("transfer.sent", -90, sent["id"]),
        ("transfer.returned", 90, sent["id"]),
    ]


def test_a_transfer_whose_time_was_over_is_rejected_by_the_payee_s_town(pair: Pair) -> None:
    aberdare, barry = pair
    sent = _send(aberdare, _alias(barry))
    barry.clock.advance(8 * 86_400)
    carry(aberdare, barry)
    assert barry.operator().get(f"/v1/transfers/{sent['id']}").json()["reason"] == "expired"


def test_a_segment_sent_again_or_cut_anew_changes_nothing(pair: Pair) -> None:
    aberdare, barry = pair
    alias = _alias(barry)
    for _ in range(3):
        _send(aberdare, alias, 10)
    first = segment_from(aberdare, "barry", after=0, limit=2)
    assert hand_in(barry, first).json()["high"] == 2
    assert hand_in(barry, first).json()["outcome"] == "duplicate"
    overlapping = segment_from(aberdare, "barry", after=1)
    assert hand_in(barry, overlapping).json() | {"heard": 0} == {
        "outcome": "fresh",
        "high": 3,
        "position": None,
        "code": None,
        "detail": None,
        "heard": 0,
    }
    assert barry.operator().get("/v1/accounts/bryn").json()["balance"] == 30


def test_a_segment_out_of_order_waits_for_what_is_missing(pair: Pair) -> None:
    aberdare, barry = pair
    alias = _alias(barry)
    for _ in range(2):
        _send(aberdare, alias, 10)
    answer = hand_in(barry, segment_from(aberdare, "barry", after=1)).json()
    assert (answer["outcome"], answer["high"]) == ("gap", 0)


def test_a_segment_signed_by_no_key_in_force_has_no_effect(pair: Pair) -> None:
    aberdare, barry = pair
    _send(aberdare, _alias(barry))
    length = barry.writer.tail.length
    answer = hand_in(barry, segment_from(aberdare, "barry", after=0, key=aberdare.keys.log)).json()
    assert (answer["outcome"], answer["code"]) == ("unsigned", "segment_invalid")
    assert barry.writer.tail.length == length


@pytest.mark.parametrize("raw", [b"", b"\n", b"{}\n", b"x" * SEGMENT_BYTES_MAX + b"\n"])
def test_bytes_that_are_no_segment_are_malformed(pair: Pair, raw: bytes) -> None:
    answer = hand_in(pair[0], raw)
    assert (answer.status_code, answer.json()["code"]) in {(400, "malformed"), (413, "too_large")}


def test_a_segment_with_a_changed_message_is_malformed(pair: Pair) -> None:
    aberdare, barry = pair
    _send(aberdare, _alias(barry))
    segment = segment_from(aberdare, "barry", after=0).replace(b'"minutes":90', b'"minutes":91')
    assert hand_in(barry, segment).json()["code"] == "malformed"


def test_a_segment_for_another_town_is_refused(pair: Pair) -> None:
    aberdare, barry = pair
    _send(aberdare, _alias(barry))
    answer = hand_in(aberdare, segment_from(aberdare, "barry", after=0)).json()
    assert (answer["outcome"], answer["code"]) == ("refused", "segment_invalid")


def test_messages_are_read_from_any_position_with_the_chain_there(pair: Pair) -> None:
    aberdare, barry = pair
    alias = _alias(barry)
    for _ in range(5):
        _send(aberdare, alias, 10)
    federation = aberdare.federation()
    whole = federation.get("/v1/streams/barry/messages", after=0)
    part = federation.get("/v1/streams/barry/messages", after=2, limit=2)
    assert part.content.split(b"\n")[:-1] == whole.content.split(b"\n")[2:4]
    end = federation.get("/v1/streams/barry/messages", after=5)
    assert end.content == b""
    assert end.headers["X-Stream-Chain"] == stream_of(aberdare, "barry")["outgoing"]["chain"]
    beyond = federation.get("/v1/streams/barry/messages", after=6)
    assert (beyond.status_code, beyond.json()["code"]) == (404, "not_found")
    assert federation.get("/v1/streams/cardiff/messages").json()["code"] == "peer_unknown"


def test_an_address_for_one_town_is_of_no_use_within_the_town(pair: Pair) -> None:
    _, barry = pair
    alias = _alias(barry, audience="aberdare")
    body = {"payer": "alys", "payee": {"node": "barry", "alias": alias}, "minutes": 5, "purpose": "gift"}
    assert barry.member("alys").post("/v1/transfers", body).json()["code"] == "alias_unknown"


def test_between_towns_a_transfer_is_a_service_or_a_gift(pair: Pair) -> None:
    aberdare, barry = pair
    body = {"payer": "alys", "payee": {"node": "barry", "alias": _alias(barry)}, "minutes": 5, "purpose": "pot"}
    assert aberdare.member("alys").post("/v1/transfers", body).json()["code"] == "purpose_invalid"


def test_only_messages_leave_the_town_and_the_payer_s_tag_differs_each_time(pair: Pair) -> None:
    aberdare, barry = pair
    alias = _alias(barry)
    _send(aberdare, alias)
    _send(aberdare, alias)
    content = aberdare.federation().get("/v1/streams/barry/messages").content
    assert b"alys" not in content
    tags = {line.split(b'"payer_tag":"')[1][:30] for line in content.split(b"\n")[:-1]}
    assert len(tags) == 2


def test_the_first_registry_is_an_operator_s_and_the_next_proves_itself() -> None:
    with open_town() as town:
        first = both_open()
        refused = town.federation().put("/v1/registry", content=signed(first))
        assert refused.json()["code"] == "forbidden"
        put = town.operator().put("/v1/registry", content=signed(first))
        assert put.json() == {"version": 1, "sha256": first.sha256}
        length = town.writer.tail.length
        again = town.federation().put("/v1/registry", content=signed(first))
        assert (again.json(), town.writer.tail.length) == (put.json(), length)
        second = make_registry(
            registered("aberdare", 1),
            registered("barry", 2, state="suspended"),
            version=2,
            previous=first.sha256,
        )
        assert town.federation().put("/v1/registry", content=signed(second)).json() == {
            "version": 2,
            "sha256": second.sha256,
        }
        assert stream_of(town, "barry")["state"] == "suspended"


@pytest.mark.parametrize("raw", [b"", b"{}", signed(both_open(), OPERATORS[:1]), signed(both_open()) + b" "])
def test_a_registry_that_too_few_signed_or_that_is_none_is_refused(raw: bytes) -> None:
    with open_town() as town:
        answer = town.operator().put("/v1/registry", content=raw)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
        assert town.writer.tail.length == 6


def test_a_frozen_stream_goes_on_when_an_operator_thaws_it_with_a_reason(pair: Pair) -> None:
    """PROTOCOL.md S9."""
    aberdare, barry = pair
    forged = segment_from(aberdare, "barry", after=0, messages=[b"{}"])
    assert hand_in(barry, forged).json()["outcome"] == "frozen"
    _send(aberdare, _alias(barry))
    assert carry(aberdare, barry)["code"] == "stream_frozen"
    thaw = {"reason": "node_mended"}
    assert barry.member("bryn").post("/v1/streams/aberdare/thaw", thaw).json()["code"] == "forbidden"
    operator = barry.operator()
    assert operator.post("/v1/streams/aberdare/thaw", {"reason": "Alys said so"}).json()["code"] == "field_invalid"
    assert operator.post("/v1/streams/aberdare/thaw?dry_run=true", thaw, key="t").json()["frozen"] is False
    assert stream_of(barry, "aberdare")["frozen"] is True
    answer = operator.post("/v1/streams/aberdare/thaw", thaw, key="t")
    assert answer.json() == {"peer": "aberdare", "frozen": False}
    assert operator.post("/v1/streams/aberdare/thaw", thaw, key="t").json() == answer.json()
    assert operator.post("/v1/streams/aberdare/thaw", thaw).json()["code"] == "peer_unknown"
    assert carry(aberdare, barry)["outcome"] == "fresh"
