"""A peer whose software lies: a signed message that breaks the contract freezes its stream, until an operator thaws it.

The honest message of that position comes later, so a stream that was thawed goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.clients import OPERATOR, Clients
from tests.simulation.network import Network
from tests.simulation.registries import NETWORK
from tests.simulation.schedule import Schedule
from tests.simulation.town import Town
from timebank_contracts import messages as m
from timebank_contracts.names import Identity
from timebank_contracts.segments import Heard, make_segment
from timebank_contracts.streams import StreamHead
from timebank_ledger import commands as c

THAWS_EVERY_SECONDS = 5


class Lies:
    """Tells lies in the towns' names, and lets operators thaw what they froze."""

    def __init__(self, schedule: Schedule, network: Network, clients: Clients) -> None:
        self.schedule = schedule
        self.chance = schedule.random
        self.network = network
        self.clients = clients

    def tell(self, town: Town, after: Callable[[float, Callable[[], None]], None]) -> None:
        """A peer of a town lies to it; the operator looks into it some time after."""
        liar = self.chance.choice([one for one in self.clients.towns if one is not town])
        peer = town.book.peers.get(liar.name)
        if peer is None or peer.has_ended or liar.is_gone:
            return
        position = peer.incoming.n + 1
        head = m.message_id(town.name, peer.generation, position)
        name = f"{town.name}.{town.book.me.generation}.{liar.name}.{peer.outgoing.n + 7}"
        decision = m.TransferReceivedMessage(
            id=head,
            source=liar.name,
            specversion="1.0",
            subject=town.name,
            time=town.book.time,
            data=m.Received(transfer=name, minutes=60),
        )
        lie = self.chance.choice((m.encode_decision(decision), b'{"id":"nothing"}'))
        segment = make_segment(
            identity=Identity(NETWORK, liar.name, peer.generation),
            to=town.name,
            after=StreamHead(peer.incoming.n, peer.incoming.chain),
            messages=[lie],
            heard=Heard(generation=town.book.me.generation, n=peer.heard, chain=peer.unheard[peer.heard].hex()),
            registry=town.book.registry_version,
            size=0,
            root=bytes(32),
            key=self.clients.registries.signing_key(liar.name, town.book.registry_version),
        )
        self.network.store(town.name, segment)
        after(self.chance.choice((20.0, 90.0, 300.0)), lambda: self.thaw(town))

    def thaw(self, town: Town) -> None:
        """The operator has kept the evidence and lets every stream go on."""
        for name, peer in town.book.peers.items():
            if peer.frozen:
                town.submit(c.ThawPeer(by=OPERATOR, peer=name, reason="looked_into"), lambda answer: None)

    def thaw_all(self, seconds: float) -> None:
        """For so long, operators thaw at once whatever a lie that is still under way may freeze."""
        for at in range(0, int(seconds), THAWS_EVERY_SECONDS):
            for town in self.clients.towns:
                self.schedule.after(float(at), lambda town=town: self.thaw(town))  # type: ignore[misc]  # binds this town
