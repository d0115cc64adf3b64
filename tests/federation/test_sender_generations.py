"""A peer's generation is closed: the sender speaks of the next one, and says nothing of what it had heard before."""

from __future__ import annotations

from pathlib import Path

from tests.federation.towns import Network, open_towns
from timebank_contracts.segments import parse_segment
from timebank_ledger.timer import Timer


def accept(network: Network, envelope: bytes) -> None:
    federation = network["aberdare"].federation
    federation.registries.add(envelope)
    federation.hand_over_registries()


def test_with_a_successor_the_sender_heard_nothing_of_it_yet(tmp_path: Path) -> None:
    """PROTOCOL.md X3: our own stream goes on where it was."""
    with open_towns(tmp_path, "aberdare", "barry") as network:
        network.send("aberdare", "barry", key="before")
        network.pump()
        accept(network, network.next_registry(generation="g2"))
        before = len(network.records("barry"))
        network.send("aberdare", "barry", key="after")
        network["aberdare"].federation.sender.step(wait_seconds=0)
        network["aberdare"].federation.sender.step(wait_seconds=0)
        said = [parse_segment(raw).statement for raw in network.records("barry")[before:]]
        assert said
        assert {(one.heard.generation, one.heard.n) for one in said} == {("g2", 0)}
        assert [one.last for one in said if one.count][-1] == 2


def test_what_comes_back_from_a_closed_town_is_not_waited_for_any_more(tmp_path: Path) -> None:
    """PROTOCOL.md X6."""
    with open_towns(tmp_path, "aberdare", "barry") as network:
        town = network["aberdare"]
        transfer = network.send("aberdare", "barry", key="open")
        sender = town.federation.sender
        sender.follow(wait_seconds=0)
        assert sender.peers["barry"].outgoing.open == 1
        accept(network, network.next_registry(state="closed"))
        assert Timer(town.ledger.writer, network.clock.now).round() == 1
        sender.follow(wait_seconds=0)
        sender.follow(wait_seconds=0)
        assert sender.peers["barry"].outgoing.open == 0
        assert network.state("aberdare", transfer) == "returned"
