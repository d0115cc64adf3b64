"""Versions N and N−1 side by side: a sender keeps to what the receiver knows."""

from __future__ import annotations

import msgspec
import pytest

from tests.ledger.pair_of_towns import both_open, carry, make_registry, open_pair, registered, signed
from timebank_contracts.messages import MESSAGE_TYPES
from timebank_contracts.protocol_versions import TYPES_OF, sendable_types
from timebank_contracts.registry import RegisteredNode

NEWER = {**TYPES_OF, 2: TYPES_OF[1] | {"tool.lent"}}


@pytest.mark.parametrize(
    ("protocols", "sends"),
    [([1], False), ([1, 2], True), ([2], True), ([2, 3], True), ([1, 3], False)],
)
def test_a_newer_town_sends_a_new_type_only_to_a_peer_that_lists_its_version(protocols: list[int], sends: bool) -> None:
    """PROTOCOL.md E9."""
    found = sendable_types(protocols, types_of=NEWER)
    assert ("tool.lent" in found) is sends
    assert TYPES_OF[1] <= found


def test_towns_that_share_no_version_begin_nothing_with_each_other() -> None:
    """PROTOCOL.md E9."""
    assert sendable_types([2, 3]) == frozenset()
    assert sendable_types([1, 2]) == frozenset(MESSAGE_TYPES)


def barry_speaking(*protocols: int) -> RegisteredNode:
    return msgspec.structs.replace(registered("barry", 2), protocols=list(protocols))


def test_a_town_begins_nothing_with_a_peer_that_knows_no_such_message_and_still_answers_it() -> None:
    """PROTOCOL.md E9."""
    with open_pair() as (aberdare, barry):
        alias = barry.member("bryn").post("/v1/accounts/bryn/aliases", {}).json()["alias"]
        body = {"payer": "alys", "payee": {"node": "barry", "alias": alias}, "minutes": 5, "purpose": "gift"}
        back = aberdare.member("bryn").post("/v1/accounts/bryn/aliases", {}).json()["alias"]
        later = make_registry(registered("aberdare", 1), barry_speaking(2), version=2, previous=both_open().sha256)
        assert aberdare.federation().put("/v1/registry", content=signed(later)).status_code == 200
        assert aberdare.member("alys").post("/v1/transfers", body).json()["code"] == "peer_needs_upgrade"
        other = {"payer": "alys", "payee": {"node": "aberdare", "alias": back}, "minutes": 5, "purpose": "gift"}
        sent = barry.member("alys").post("/v1/transfers", other).json()["id"]
        carry(barry, aberdare)
        carry(aberdare, barry)
        assert barry.operator().get(f"/v1/transfers/{sent}").json()["state"] == "settled"
        both = make_registry(registered("aberdare", 1), barry_speaking(1, 2), version=3, previous=later.sha256)
        assert aberdare.federation().put("/v1/registry", content=signed(both)).status_code == 200
        assert aberdare.member("alys").post("/v1/transfers", body).status_code == 201
