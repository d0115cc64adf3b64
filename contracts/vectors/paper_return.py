"""A town on paper that lost state and comes back under its next generation; and what its peers do about that.

    go_on(town, size) ─▶ a town with the first `size` entries ── close_for(peer) ── put_back(town, peer) ─▶ as before
Source: PROTOCOL.md X2, X7 to X12.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Raw, structs

from contracts.vectors.paper_town import PaperTown, make_key
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.keys import b64_encode
from timebank_contracts.merkle import EMPTY_ROOT, Tree, leaf_hash
from timebank_contracts.names import transit
from timebank_contracts.rules_generations import number_of
from timebank_contracts.segments import Heard, parse_segment
from timebank_contracts.streams import StreamHead

RULE = e.Actor(kind="rule")
NO_CHAIN = StreamHead(0, bytes(32))


def restored(town: PaperTown, size: int) -> PaperTown:
    """A town with the first `size` entries of another's journal, and its keys: 1 at least."""
    again = PaperTown.__new__(PaperTown)
    again.node, again.entries, again.journal, again.sent, again.taken = town.node, [], [], {}, {}
    again.book, again.waited = type(town.book)(), town.waited
    again.event_key, again.log_key = town.event_key, town.log_key
    for entry in town.entries[:size]:
        again.write(type(entry), **{name: getattr(entry, name) for name in _REST if name != "type"})
    return again


_REST = ("n", "time", "by", "data", "postings", "key", "command", "in_", "out")


def go_on(town: PaperTown, *, registry: int | None = None, **said: Any) -> e.NodeOpened:
    """The town's next generation begins after its last entry; it gets new keys. `said` replaces what is said."""
    me = town.book.me
    generation = f"g{number_of(me.generation) + 1}"
    tree = Tree()
    for raw in town.journal:
        tree.append(leaf_hash(raw))
    version = registry or town.book.registry_version + 1
    previous: dict[str, Any] = {
        "generation": me.generation,
        "size": tree.size,
        "root": tree.root().hex(),
        "registry": version,
        "event_keys": [b64_encode(town.event_key.public)],
    }
    data = e.Opened(
        network=me.network, node=me.node, generation=generation, rules=1, previous=e.Previous(**(previous | said))
    )
    entry = town.write(e.NodeOpened, data)
    begin(town)
    accept(town, version)
    return entry


def begin(town: PaperTown) -> None:
    """The new generation has said nothing yet, under keys of its own."""
    town.event_key = make_key(f"{town.node} {town.book.me.generation} event key")
    town.log_key = make_key(f"{town.node} {town.book.me.generation} log key")
    town.sent = {}


def lose_all(town: PaperTown) -> PaperTown:
    """A town of the same name, with nothing restored: its journal begins under the next generation."""
    again = restored(town, 0)
    me = town.book.me
    previous = e.Previous(
        generation=me.generation,
        size=0,
        root=EMPTY_ROOT.hex(),
        registry=2,
        event_keys=[b64_encode(town.event_key.public)],
    )
    generation = f"g{number_of(me.generation) + 1}"
    again.write(
        e.NodeOpened,
        e.Opened(network=me.network, node=me.node, generation=generation, rules=1, previous=previous),
    )
    begin(again)
    accept(again, 2)
    return again


def accept(town: PaperTown, version: int) -> None:
    """The town accepts a version of the registry."""
    town.write(e.RegistryAcceptedEntry, e.RegistryAccepted(version=version, sha256="ab" * 32), by=RULE)


def close_for(peer: PaperTown, town: PaperTown, *, version: int) -> None:
    """The peer closes the town's earlier generation, and knows the new one."""
    if version > peer.book.registry_version:
        accept(peer, version)
    known = peer.book.peers[town.node]
    ended = e.GenerationClosed(
        peer=town.node, generation=known.generation, last_in=known.incoming.n, chain=known.incoming.chain.hex()
    )
    peer.write(e.PeerGenerationClosed, ended, by=RULE)
    data = e.Peer(
        peer=town.node,
        generation=town.book.me.generation,
        state="open",
        owe_limit=known.owe_limit,
        owed_limit=known.owed_limit,
        event_keys=[b64_encode(town.event_key.public)],
    )
    peer.write(e.PeerChanged, data, by=RULE)


def last_word(peer: PaperTown, town: PaperTown, *, generation: str = "g1", **said: Any) -> bytes:
    """The peer's statement of what it applied of an earlier generation of the town."""
    found = peer.book.peers[town.node].endings[generation]
    heard = Heard(generation=generation, n=found.n, chain=found.chain.hex())
    first = len(peer.sent.get(town.node, [])) + 1
    fields: dict[str, Any] = {"heard": heard, "registry": peer.book.registry_version}
    return peer.segment(town.node, first, **(fields | said))


def recover(town: PaperTown, peer: PaperTown, raw: bytes, payers: dict[str, str]) -> list[e.Entry]:
    """Enter what a segment of our own, that the peer kept, has and we lost; `payers` by transfer, else `lost`."""
    segment = parse_segment(raw)
    by = e.Actor(kind="peer", id=peer.node)
    returning = town.book.peers[peer.node].returning
    assert returning is not None
    known = returning.said.n + 1 - segment.statement.first
    first = len(town.entries)
    data = e.SegmentRecovered(peer=peer.node, envelope=Raw(segment.envelope))
    town.write(e.SegmentRecoveredEntry, data, by=by)
    for message in segment.messages[known:]:
        found = m.decode_message(message)
        postings: Any = UNSET
        account: Any = UNSET
        if isinstance(found, m.ClaimMadeMessage) and found.data.giver in town.book.aliases:
            account = town.book.aliases[found.data.giver].account
        if isinstance(found, m.TransferSentMessage):
            said = found.data
            postings = [(payers.get(said.transfer, "lost"), -said.minutes), (transit(peer.node), said.minutes)]
        town.write(
            e.MessageRecoveredEntry,
            e.MessageRecovered(peer=peer.node, account=account),
            by=by,
            in_=Raw(message),
            postings=postings,
        )
    return town.entries[first:]


def repeat(town: PaperTown, peer: PaperTown) -> int:
    """Say again what was restored and the peer never applied; returns how many messages."""
    returning = town.book.peers[peer.node].returning
    count = 0
    while returning is not None and not returning.takes:
        wanted = m.message_id(peer.node, returning.generation, returning.repeated + 1)
        position, old = next(
            (entry.n, found)
            for entry in town.entries
            if entry.out is not UNSET and (found := m.decode_message(bytes(entry.out))).id == wanted
        )
        head = town.envelope(peer.node)
        out = Raw(m.encode_message(structs.replace(old, id=head["id"], time=head["time"])))
        data = e.MessageRepeated(peer=peer.node, position=position)
        town.write(e.MessageRepeatedEntry, data, by=RULE, out=out)
        count += 1
        returning = town.book.peers[peer.node].returning
    return count


def put_back(town: PaperTown, peer: PaperTown, payers: dict[str, str] | None = None) -> None:
    """All of X9 to X11 with one peer, which has closed the earlier generation."""
    returning = town.book.peers[peer.node].returning
    assert returning is not None
    for raw in peer.taken.get(f"{town.node}/{returning.generation}", []):
        now = town.book.peers[peer.node].returning
        assert now is not None
        if parse_segment(raw).statement.last > now.said.n:
            recover(town, peer, raw, payers or {})
    envelope = Raw(parse_segment(last_word(peer, town, generation=returning.generation)).envelope)
    data = e.StreamRecovered(peer=peer.node, envelope=envelope)
    town.write(e.StreamRecoveredEntry, data, by=e.Actor(kind="peer", id=peer.node))
    repeat(town, peer)
