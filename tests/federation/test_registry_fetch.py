"""The registry from peers: one version after another, verified, bounded; forks are seen wherever they are met."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import msgspec
import pytest

from tests.federation.test_registries import FIRST, node, opened
from tests.federation.towns import START, Network, changed, signed
from timebank_contracts.names import Identity
from timebank_contracts.registry import RegisteredNode, Registry
from timebank_federation.registries import Registries
from timebank_federation.registry_fetch import PAUSE_SECONDS, POLL_SECONDS, VERSIONS_AT_ONCE_MAX, RegistryFetch
from timebank_kit.clock import ManualClock


class Peers:
    """The doors of peers that serve these documents, by node and version."""

    def __init__(self, served: Mapping[str, Mapping[int, bytes]]) -> None:
        self.served = served
        self.asked: list[tuple[str, int]] = []

    def segment_after(self, peer: RegisteredNode, *, to: Identity, after: int, limit: int) -> bytes | None:
        return None

    def registry(self, peer: RegisteredNode, version: int) -> bytes | None:
        self.asked.append((peer.node, version))
        return self.served.get(peer.node, {}).get(version)


def versions(count: int, *, first: bytes = FIRST) -> dict[int, bytes]:
    """A chain of so many versions, in which Barry's limit moves."""
    found, last = {1: first}, opened(first)
    for version in range(2, count + 1):
        last = changed(last, limit=version)
        found[version] = signed(last)
    return found


def fetch_of(peers: Peers, *held: bytes) -> tuple[RegistryFetch, Registries, ManualClock]:
    """Aberdare's, which holds these versions."""
    registries, clock = Registries(None), ManualClock(START)
    for envelope in held:
        registries.add(envelope)
    return RegistryFetch(me="aberdare", registries=registries, door=peers, clock=clock), registries, clock


def test_a_node_that_missed_many_versions_takes_them_one_after_another_a_bounded_number_at_a_time() -> None:
    """PROTOCOL.md R7."""
    chain = versions(VERSIONS_AT_ONCE_MAX + 5)
    peers = Peers({"barry": chain})
    fetch, registries, clock = fetch_of(peers, FIRST)
    assert fetch.up_to(10**9)
    assert registries.version == 1 + VERSIONS_AT_ONCE_MAX
    assert not fetch.up_to(10**9), "whoever claims a number makes nobody ask without rest"
    clock.advance(PAUSE_SECONDS)
    assert fetch.up_to(10**9)
    assert registries.envelopes == chain


def test_a_version_that_one_peer_lacks_comes_from_the_next(three: Registry) -> None:
    first = signed(three)
    chain = versions(4, first=first)
    peers = Peers({"barry": {number: chain[number] for number in (1, 3, 4)}, "cardiff": chain})
    fetch, registries, _ = fetch_of(peers, first)
    assert fetch.up_to(4)
    assert registries.version == 4
    assert peers.asked[0] == ("barry", 2)


def test_a_version_that_nobody_serves_leaves_what_is_held_in_force() -> None:
    chain = versions(4)
    fetch, registries, _ = fetch_of(Peers({"barry": {number: chain[number] for number in (1, 3, 4)}}), FIRST)
    assert not fetch.up_to(4)
    assert registries.version == 1
    assert registries.fork is None


def test_what_too_few_operators_signed_is_taken_from_no_peer() -> None:
    """PROTOCOL.md R3, R7."""
    second = versions(2)[2]
    forged = second.replace(b'"sig":"', b'"sig":"A', 1)
    fetch, registries, _ = fetch_of(Peers({"barry": {2: forged}}), FIRST)
    assert not fetch.up_to(2)
    assert registries.version == 1
    assert registries.fork is None


def test_a_newer_version_is_found_by_polling_alone() -> None:
    chain = versions(3)
    peers = Peers({"barry": chain})
    fetch, registries, clock = fetch_of(peers, FIRST)
    assert not fetch.poll()
    assert peers.asked == []
    clock.advance(POLL_SECONDS)
    assert fetch.poll()
    assert registries.version == 3


def test_a_peer_s_other_document_of_the_version_in_force_is_a_fork() -> None:
    """PROTOCOL.md R6: nobody names a newer number, and it is seen all the same."""
    rival = signed(changed(opened(FIRST), limit=1))
    fetch, registries, clock = fetch_of(Peers({"barry": {1: FIRST, 2: rival}}), FIRST, versions(2)[2])
    clock.advance(POLL_SECONDS)
    fetch.poll()
    assert registries.fork is not None
    assert "two signed documents of version 2" in registries.fork


def test_a_fork_further_back_is_found_when_a_newer_version_does_not_follow() -> None:
    """PROTOCOL.md R6."""
    ours, last = versions(4), changed(opened(FIRST), limit=1)
    theirs = {1: FIRST, 2: signed(last)}
    for version in range(3, 6):
        last = changed(last, limit=1000 + version)
        theirs[version] = signed(last)
    fetch, registries, _ = fetch_of(Peers({"barry": theirs}), *(ours[number] for number in range(1, 5)))
    assert not fetch.up_to(5)
    assert registries.fork is not None
    assert "version 2" in registries.fork
    assert registries.version == 4


@pytest.fixture
def three() -> Registry:
    """Version 1 of a network of three."""
    first = opened(FIRST)
    return msgspec.structs.replace(first, nodes=[*first.nodes, node("cardiff", 3)])


def put(network: Network, town: str, envelope: bytes) -> httpx.Response:
    return ask(network, "PUT", town, "/v1/federation/registry", network[town].headers("operate"), envelope)


def ask(
    network: Network, method: str, town: str, path: str, headers: dict[str, str], content: bytes = b""
) -> httpx.Response:
    request = httpx.Request(method, f"http://{town}.example{path}", headers=headers, content=content)
    answer = network[town].door.handle_request(request)
    answer.read()
    return answer


def test_an_operator_puts_a_version_and_every_town_comes_to_hold_it(network: Network) -> None:
    second = network.next_registry(limit=120)
    answer = put(network, "aberdare", second)
    assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == 2
    assert answer.json()["refused_by_ledger"] is None
    network.pump()
    network.send("aberdare", "barry", key="after")
    network.pump()
    for name, peer in (("aberdare", "barry"), ("barry", "aberdare")):
        assert network[name].federation.registries.envelopes[2] == second
        assert network[name].stream(peer)["owe_limit"] == 120
    assert put(network, "aberdare", second).json()["version"] == 2


def test_a_fork_between_two_towns_stops_what_passes_between_them_and_is_on_the_metrics(network: Network) -> None:
    """PROTOCOL.md R6."""
    assert put(network, "aberdare", network.next_registry(limit=120)).status_code == 200
    assert put(network, "barry", network.next_registry(limit=60)).status_code == 200
    network.clock.advance(POLL_SECONDS)
    network["aberdare"].federation.receiver.poll_peers()
    assert "timebank_federation_registry_forked 1.0" in ask(network, "GET", "aberdare", "/metrics", {}).text
    headers = network["barry"].node_headers(to="aberdare")
    asked = ask(network, "GET", "aberdare", "/v1/streams/aberdare/g1/barry?after=0", headers)
    assert asked.json()["code"] == "not_ready"
    assert list(network["aberdare"].home.registry_folder.glob("fork-2-*.json"))
    assert put(network, "aberdare", network.next_registry(limit=60)).json()["code"] == "registry_invalid"
