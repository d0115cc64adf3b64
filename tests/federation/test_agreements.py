"""A limit that two towns agree on: it counts at both when both operators have assented, and never before."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.federation.test_registry_fetch import ask
from tests.federation.towns import NETWORK, Network
from timebank_contracts.agreements import LimitAgreement, sign_agreement
from timebank_contracts.keys import SigningKey

pytestmark = pytest.mark.slow  # every test opens whole towns


def call(network: Network, town: str, method: str, path: str, body: Any = None) -> httpx.Response:
    request = httpx.Request(method, f"http://{town}.example{path}", headers=network[town].headers("operate"), json=body)
    answer = network[town].door.handle_request(request)
    answer.read()
    return answer


def propose(network: Network, town: str, peer: str, limit: int) -> httpx.Response:
    return call(network, town, "POST", "/v1/federation/limits", {"peer": peer, "limit": limit})


def assent(network: Network, town: str, peer: str) -> httpx.Response:
    return call(network, town, "POST", f"/v1/federation/limits/{peer}/assent")


def limits(network: Network) -> list[int]:
    """What counts at Aberdare, and at Barry."""
    return [network["aberdare"].stream("barry")["owe_limit"], network["barry"].stream("aberdare")["owe_limit"]]


def listed(network: Network, town: str) -> list[tuple[str, int, list[str]]]:
    found = call(network, town, "GET", "/v1/federation/limits").json()["limits"]
    return [(one["state"], one["limit"], one["signed_by"]) for one in found]


def test_a_proposal_counts_nowhere_before_the_other_operator_assents_and_then_at_both(network: Network) -> None:
    """PROTOCOL.md R10."""
    assert propose(network, "aberdare", "barry", 120).json()["signed_by"] == ["aberdare"]
    assert limits(network) == [6_000, 6_000]
    assert listed(network, "barry") == [("pending", 120, ["aberdare"])]
    assert assent(network, "barry", "aberdare").json()["signed_by"] == ["aberdare", "barry"]
    assert limits(network) == [120, 120]
    both = [("agreed", 120, ["aberdare", "barry"])]
    assert [listed(network, town) for town in ("aberdare", "barry")] == [both, both]


def test_nobody_assents_to_their_own_proposal_or_to_none(network: Network) -> None:
    """PROTOCOL.md R10."""
    assert assent(network, "barry", "aberdare").json()["code"] == "malformed"
    propose(network, "aberdare", "barry", 120)
    assert assent(network, "aberdare", "barry").json()["code"] == "malformed"
    assert limits(network) == [6_000, 6_000]


def test_the_network_s_limit_bounds_what_is_agreed(network: Network) -> None:
    """PROTOCOL.md R9, R10."""
    propose(network, "aberdare", "barry", 9_000)
    assent(network, "barry", "aberdare")
    assert limits(network) == [6_000, 6_000]


def test_a_peer_that_was_away_gets_proposal_and_assent_later(network: Network) -> None:
    barry, aberdare = network["barry"], network["aberdare"]
    barry.door.is_cut = True
    propose(network, "aberdare", "barry", 120)
    barry.door.is_cut = False
    assert listed(network, "barry") == []
    aberdare.federation.agreements.hand_over_again()
    aberdare.door.is_cut = True
    assent(network, "barry", "aberdare")
    aberdare.door.is_cut = False
    assert limits(network) == [6_000, 120]
    barry.federation.agreements.hand_over_again()
    assert limits(network) == [120, 120]


def test_a_document_travels_as_a_file_too(network: Network) -> None:
    network["barry"].door.is_cut = True
    file = propose(network, "aberdare", "barry", 60).json()["envelope"].encode()
    network["barry"].door.is_cut = False
    taken = ask(network, "PUT", "barry", "/v1/limits/aberdare", network["barry"].headers("operate"), file)
    assert taken.json()["signed_by"] == ["aberdare"]
    assent(network, "barry", "aberdare")
    assert limits(network) == [60, 60]


def test_an_older_agreement_never_replaces_a_later_one(network: Network) -> None:
    """PROTOCOL.md R10."""
    propose(network, "aberdare", "barry", 120)
    old = assent(network, "barry", "aberdare").json()["envelope"].encode()
    network.clock.advance(60)
    propose(network, "barry", "aberdare", 30)
    assent(network, "aberdare", "barry")
    assert limits(network) == [30, 30]
    again = ask(network, "PUT", "barry", "/v1/limits/aberdare", network["barry"].headers("operate"), old)
    assert again.json()["limit"] == 30
    assert limits(network) == [30, 30]


def test_a_document_that_the_peer_did_not_sign_is_nothing(network: Network) -> None:
    """PROTOCOL.md R10."""

    def forged(*towns: str, by: SigningKey, network_name: str = NETWORK) -> bytes:
        said = LimitAgreement(
            network=network_name,
            towns=list(towns),
            limit=1,
            proposed_at="2026-03-02T10:00:00.000Z",
            proposed_by=towns[0],
        )
        return sign_agreement(said, by)

    stranger = SigningKey(bytes(31) + b"\x09")
    headers = network["aberdare"].node_headers(to="barry") | {"Idempotency-Key": "k"}
    for wrong in (
        forged("aberdare", "barry", by=stranger),
        forged("barry", "aberdare", by=network["aberdare"].key),
        forged("aberdare", "cardiff", by=network["aberdare"].key),
        forged("aberdare", "barry", by=network["aberdare"].key, network_name="far.example"),
        b"{}",
    ):
        assert ask(network, "PUT", "barry", "/v1/limits/aberdare", headers, wrong).json()["code"] == "malformed"
    assert ask(network, "PUT", "barry", "/v1/limits/cardiff", headers, b"{}").json()["code"] == "forbidden"
    assert listed(network, "barry") == []
