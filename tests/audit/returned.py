"""A town of the auditor's tests that lost entries and comes back, by the ledger's own code and a signed registry."""

from __future__ import annotations

from typing import Any

from tests.audit.builder import NETWORK, OPERATOR, Network, Writer, key
from timebank_contracts import entries as e
from timebank_contracts.keys import b64_encode
from timebank_contracts.names import Identity
from timebank_contracts.segments import Heard, parse_segment
from timebank_contracts.tiles import root_of_entries
from timebank_ledger import commands as c
from timebank_ledger.peers import RULE, accept_registry
from timebank_ledger.recovery import recover


def lose(network: Network, town: Writer, size: int) -> None:
    """The town has its first `size` entries left, and new keys; its operators' registry names its next generation."""
    old = b64_encode(town.event_key.public)
    town.rewind(size)
    before = town.identity
    town.identity = Identity(NETWORK, town.node, f"g{int(before.generation[1:]) + 1}")
    town.event_key, town.log_key = (key(f"{town.identity.origin} {use}") for use in ("event", "log"))
    network.registry = network.make_registry(limit=3_000, previous=network.registry)
    envelope = network.sign(network.registry)
    previous = e.Previous(
        generation=before.generation,
        size=size,
        root=root_of_entries(town.raws).hex(),
        registry=network.registry.version,
        event_keys=[old],
    )
    go_on(town, previous)
    written = accept_registry(town.book, network.registry, own_limits={}, time=network.tick(), by=OPERATOR)
    town.registries[network.registry.version] = envelope
    town.raws += [e.encode_entry(entry) for entry in written]
    for peer in network.towns.values():
        if peer is not town:
            peer.accept(network.registry, envelope)


def go_on(town: Writer, previous: e.Previous) -> None:
    """The entry by which the town goes on."""
    data = e.Opened(network=NETWORK, node=town.node, generation=town.identity.generation, rules=1, previous=previous)
    town.write([e.NodeOpened(n=town.book.n, time=town.network.tick(), by=OPERATOR, data=data)])


def put_back(town: Writer, peer: Writer, *, until: int | None = None, **said: Any) -> None:
    """The peer hands back what it kept, or so many segments of it, and says its last word."""
    returning = town.book.peers[peer.node].returning
    assert returning is not None
    origin = town.identity._replace(generation=returning.generation).origin
    for raw in peer.taken.get(origin, [])[:until]:
        now = town.book.peers[peer.node].returning
        assert now is not None
        if parse_segment(raw).statement.last > now.said.n:
            _enter(town, raw)
    ending = peer.book.peers[town.node].endings[returning.generation]
    heard = Heard(
        generation=returning.generation, n=said.get("n", ending.n), chain=said.get("chain", ending.chain.hex())
    )
    _enter(town, peer.segment(town.node, after=len(peer.messages(town.node)), messages=[], heard=heard))
    while (left := town.book.peers[peer.node].returning) is not None and not left.takes:
        wanted = f'"id":"{peer.node}/{left.generation}/{left.repeated + 1}"'.encode()
        position = next(n for n, raw in enumerate(town.raws) if wanted in raw)
        town.do(c.RepeatMessage(by=RULE, peer=peer.node, position=position))


def _enter(town: Writer, raw: bytes) -> None:
    written = recover(town.book, parse_segment(raw), payers={}, time=town.network.tick())
    town.raws += [e.encode_entry(entry) for entry in written]


def returned() -> Network:
    """Two towns, of which Aberdare lost what Barry had applied, and got it back."""
    network = Network("aberdare", "barry")
    aberdare, barry = network.towns.values()
    aberdare.send("barry", 30)
    barry.hear(aberdare)
    aberdare.hear(barry)
    size = len(aberdare.raws)
    aberdare.send("barry", 12)
    barry.send("aberdare", 5)
    barry.hear(aberdare)
    aberdare.hear(barry)
    barry.hear(aberdare)
    lose(network, aberdare, size)
    return network
