"""While a town puts back what it lost: words that came too early, and peers that hand back what is not theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.federation.test_recovery import balance, come_back, kinds, sound
from tests.federation.towns import FederatedTown, Network, changed, open_towns, signed
from timebank_contracts.names import Identity
from timebank_contracts.registry import RegisteredNode
from timebank_contracts.segments import parse_segment
from timebank_federation.recovery import Recovery
from timebank_federation.registries import Registries

pytestmark = pytest.mark.slow  # every test opens whole towns


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with open_towns(tmp_path, "aberdare", "barry", on_disk=True) as found:
        yield found


class Handing:
    """A peer's door that hands back what it is given, one after the other."""

    def __init__(self, *segments: bytes) -> None:
        self.segments = list(segments)

    def own_segment_after(self, peer: RegisteredNode, *, lost: Identity, after: int) -> bytes | None:
        return self.segments.pop(0) if self.segments else None


def asks(town: FederatedTown, door: Handing) -> Recovery:
    """The recovery of a town whose peers are behind this door."""
    federation = town.federation
    return Recovery(
        identity=town.home.identity,
        ledger=federation.ledger,
        registries=federation.registries,
        door=door,
        sender=federation.sender,
    )


def held(network: Network, *, node: str = "aberdare", **changes: Any) -> bytes:
    """The next registry, with changes to the line of a node."""
    holder = Registries(None)
    for envelope in network.registries:
        last = holder.add(envelope)
    return signed(changed(last, node=node, **changes))


def test_a_statement_names_no_later_registry_than_what_it_heard_is_by(network: Network) -> None:
    """PROTOCOL.md X10: its registry says that nothing more of a closed generation will be applied."""
    network.send("aberdare", "barry", 30, key="before")
    network.pump()
    barry = network["barry"].federation
    barry.registries.add(held(network, generation="g2"))
    said = barry.sender.segment_after("aberdare", barry.sender.peers["aberdare"].head.n, limit=1)
    assert said is not None
    statement = parse_segment(said).statement
    assert (statement.heard.generation, statement.registry) == ("g1", 1), "held, and not in force in the journal yet"
    barry.hand_over_registries()
    said = barry.sender.segment_after("aberdare", barry.sender.peers["aberdare"].head.n, limit=1)
    assert said is not None
    statement = parse_segment(said).statement
    assert (statement.heard.generation, statement.heard.n, statement.registry) == ("g2", 0, 2)


def test_what_a_peer_said_before_it_closed_the_generation_waits_and_is_not_held_against_it(
    network: Network, tmp_path: Path
) -> None:
    """PROTOCOL.md X8, X10."""
    network.send("aberdare", "barry", 30, key="before")
    network.pump()
    size = network["aberdare"].ledger.writer.tail.length
    early = network["barry"].segment("aberdare", [])
    network.send("aberdare", "barry", 45, key="lost")
    network.pump()
    with come_back(network, tmp_path, size) as town:
        assert town.federation.receiver.take(early) == "recovering"
        assert not town.federation.receiver.refused
        assert town.stream("barry")["returning"]["stage"] == "recovers"
        assert town.federation.recovery.step() == 2
        network.pump()
        sound(network)
        assert balance(town, town.accounts["alys"]) == -75


def test_a_peer_hands_back_what_was_sent_to_it_and_nothing_else(tmp_path: Path) -> None:
    """PROTOCOL.md X9: what Cardiff never took is not put back because Barry got hold of it."""
    with open_towns(tmp_path, "aberdare", "barry", "cardiff", on_disk=True) as network:
        size = network["aberdare"].ledger.writer.tail.length
        network.send("aberdare", "cardiff", 30, key="never-taken")
        network["aberdare"].federation.sender.step(wait_seconds=0)
        stolen = network.records("cardiff")[-1]
        with come_back(network, tmp_path, size) as town:
            network["cardiff"].federation.registries.add(network.registries[-1])
            network["cardiff"].federation.hand_over_registries()
            recovery = asks(town, Handing(stolen))
            assert recovery.step() == 0
            assert "another town" in recovery.refused["barry"]
            assert "segment.recovered" not in kinds(town)
            assert town.federation.recovery.step() == 2
            network.pump()
            assert balance(town, town.accounts["alys"]) == 0


@pytest.mark.parametrize("cut", [1, 2])
def test_what_is_cut_off_in_the_middle_goes_on_at_the_next_poll(network: Network, tmp_path: Path, cut: int) -> None:
    """PROTOCOL.md X9 to X11: each answer is entered whole, and the rest is asked for again."""
    size = network["aberdare"].ledger.writer.tail.length
    for number in range(2):
        network.send("aberdare", "barry", 10, key=f"lost-{number}")
        network.pump()
    with come_back(network, tmp_path, size) as town:
        asked = []
        barry = network["barry"]
        with httpx.Client(transport=network.doors) as http:
            for after in range(2):
                url = f"http://barry.example/v1/streams/aberdare/g1/barry?after={after}"
                asked.append(http.get(url, headers=town.node_headers(to="barry")).content)
        assert asks(town, Handing(*asked[:cut])).step() == cut
        assert town.stream("barry")["returning"]["said"] == cut
        assert asks(town, Handing(*asked[:1])).step() == 0, "what is there already brings nothing new"
        assert town.federation.recovery.step() == 3 - cut
        network.pump()
        barry.federation.receiver.poll_peers()
        town.federation.receiver.poll_peers()
        network.pump()
        sound(network)
        assert balance(town, town.accounts["alys"]) == -20
