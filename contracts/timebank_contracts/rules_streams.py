"""Rules of the registry, of peers, and of the streams to and from them.

An accepted segment is one entry, and each of its new messages causes exactly one entry, in order, without another entry
between: so the high-water mark of every stream is a fold of the journal.
Source: design page 2; PROTOCOL.md S1 to S11, R4, R5.
"""

from __future__ import annotations

from base64 import b64decode

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.errors import BREACHES, Breach, Malformed, Refusal
from timebank_contracts.names import clearing, transit
from timebank_contracts.protocol_versions import sendable_types
from timebank_contracts.rules_generations import begin_generation, check_generation
from timebank_contracts.rules_returning import returning_to
from timebank_contracts.segments import PROTOCOL_VERSION, SegmentStatement, is_signed_by, open_statement
from timebank_contracts.state import Account, Book, PeerState, PendingSegment
from timebank_contracts.streams import StreamHead, chain_next, chain_start


class Stale(Refusal):
    """The peer answers another generation of this node than this one."""


def registry_accepted(book: Book, entry: e.RegistryAcceptedEntry) -> None:
    _bare(entry)
    if entry.by.kind not in ("operator", "rule"):
        raise Refusal("purpose_invalid", "An operator, or the network's rule, accepts a registry.")
    if entry.data.version <= book.registry_version:
        raise Refusal("registry_invalid")
    book.registry_version = entry.data.version
    book.registry_sha256 = entry.data.sha256


def peer_changed(book: Book, entry: e.PeerChanged) -> None:
    data = entry.data
    _bare(entry)
    if entry.by.kind not in ("operator", "rule"):
        raise Refusal("purpose_invalid", "An operator, or the registry's rule, changes a peer.")
    me = book.me
    if data.peer == me.node:
        raise Refusal("peer_unknown", "A node is not its own peer.")
    own_limit = None if data.own_limit is UNSET else data.own_limit
    if (data.suspended_here and data.state == "open") or (
        own_limit is not None and max(data.owe_limit, data.owed_limit) > own_limit
    ):
        raise Refusal("registry_invalid", "A peer's state and limits are not above those that this node sets itself.")
    keys = tuple(b64decode(key) for key in data.event_keys)
    peer = book.peers.get(data.peer)
    if peer is None:
        accounts = [
            Account(clearing(data.peer), "clearing", 0, 0),
            Account(transit(data.peer), "transit", 0, 0),
        ]
        starts = [
            chain_start(network=me.network, sender=data.peer, generation=data.generation, receiver=me.node),
            chain_start(network=me.network, sender=me.node, generation=me.generation, receiver=data.peer),
        ]
        for account in accounts:
            book.accounts[account.account] = account
        book.peers[data.peer] = PeerState(
            peer=data.peer,
            generation=data.generation,
            state=data.state,
            owe_limit=data.owe_limit,
            owed_limit=data.owed_limit,
            event_keys=keys,
            clearing=accounts[0],
            transit=accounts[1],
            incoming=StreamHead(0, starts[0]),
            outgoing=StreamHead(0, starts[1]),
            unheard={0: starts[1]},
            returning=returning_to(book, data.peer),
        )
        _note_policy(book.peers[data.peer], data)
        return
    check_generation(peer, data)
    if data.generation != peer.generation:
        begin_generation(book, peer, data.generation)
    peer.state = data.state
    peer.owe_limit = data.owe_limit
    peer.owed_limit = data.owed_limit
    peer.event_keys = keys
    _note_policy(peer, data)


def _note_policy(peer: PeerState, data: e.Peer) -> None:
    peer.own_limit = None if data.own_limit is UNSET else data.own_limit
    peer.suspended_here = data.suspended_here
    peer.protocols = (1,) if data.protocols is UNSET else tuple(data.protocols)


def peer_frozen(book: Book, entry: e.PeerFrozen) -> None:
    _bare(entry)
    if entry.by.kind != "rule":
        raise Refusal("purpose_invalid", "A stream is frozen by rule, when its evidence comes.")
    peer = book.peers.get(entry.data.peer)
    if peer is None:
        raise Refusal("peer_unknown")
    if peer.frozen:
        raise Refusal("stream_frozen")
    if entry.data.code not in BREACHES or entry.data.position != peer.incoming.n + 1:
        raise Refusal("segment_invalid", "A stream freezes at its next message, for a breach of the contract.")
    peer.frozen = True


def peer_thawed(book: Book, entry: e.PeerThawed) -> None:
    _bare(entry)
    peer = book.peers.get(entry.data.peer)
    if peer is None or not peer.frozen or entry.by.kind != "operator":
        raise Refusal("peer_unknown", "An operator thaws a frozen stream.")
    peer.frozen = False


def segment_accepted(book: Book, entry: e.SegmentAcceptedEntry) -> None:
    _bare(entry)
    envelope = bytes(entry.data.envelope)
    try:
        statement = open_statement(envelope)
    except Malformed as error:
        raise Refusal("segment_invalid", str(error)) from error
    peer = check_statement(book, statement)
    if not is_signed_by(envelope, peer.event_keys):
        raise Refusal("segment_invalid", "No key of this peer in force here signed the segment.")
    if entry.by.kind != "peer" or entry.by.id != peer.peer:
        raise Refusal("segment_invalid", "A segment is the act of its sender.")
    mark = peer.incoming
    if not statement.first <= mark.n + 1 <= statement.last:
        raise Refusal("segment_invalid", f"The next message is {mark.n + 1}.")
    if statement.first == mark.n + 1 and bytes.fromhex(statement.prior) != mark.chain:
        raise Refusal("segment_invalid", "The segment does not continue the chain applied here.")
    check_heard(book, peer, statement)
    note_heard(peer, statement.heard.n)
    book.pending = PendingSegment(peer.peer, statement.last, bytes.fromhex(statement.head))


def check_statement(book: Book, statement: SegmentStatement) -> PeerState:
    """The peer whose stream a statement continues; raises `Refusal` when it is not meant for this journal."""
    me = book.me
    if statement.protocol != PROTOCOL_VERSION:
        raise Refusal("segment_invalid", f"This node speaks protocol {PROTOCOL_VERSION}.")
    if (statement.network, statement.to) != (me.network, me.node):
        raise Refusal("segment_invalid", "The segment is for another network or node.")
    peer = book.peers.get(statement.from_)
    if peer is None or peer.state == "closed":
        raise Refusal("peer_unknown")
    if peer.generation != statement.generation or peer.has_ended:
        raise Refusal("segment_invalid", "The segment is of another generation of this peer than the open one.")
    if peer.frozen:
        raise Refusal("stream_frozen")
    if peer.returning is not None and not peer.returning.takes:
        raise Refusal("peer_recovering")
    return peer


def check_heard(book: Book, peer: PeerState, statement: SegmentStatement) -> None:
    """Raise `Refusal` when the peer heard what this journal, in this generation, never said.

    A value older than what the peer said before cannot be compared any more and is no news.
    """
    heard = statement.heard
    if heard.generation != book.me.generation:
        # Who has not yet learnt of this generation, or knows a later one, proves nothing about what this one held.
        raise Stale("segment_invalid", f"The peer speaks of generation {heard.generation} of this node.")
    if heard.n > peer.outgoing.n:
        raise Refusal("segment_invalid", "The peer heard more than this journal holds: this node was rolled back.")
    if heard.n >= peer.heard and peer.unheard[heard.n] != bytes.fromhex(heard.chain):
        raise Refusal("segment_invalid", "The peer heard another history than this journal's.")


def note_heard(peer: PeerState, heard: int) -> None:
    """Take notice that the peer applied our stream up to `heard`."""
    for position in range(peer.heard, heard):
        del peer.unheard[position]
    peer.heard = max(peer.heard, heard)


def incoming_message(book: Book, entry: e.Entry) -> tuple[PeerState, m.AnyMessage, bytes]:
    """The peer, the message in `entry.in_` and the chain value after it.

    Raises:
        Refusal: no segment is pending, or the message does not continue the stream.
        Breach: the message is not what an honest sender would send there.
        UnknownType: a later version's message.
    """
    pending = book.pending
    if pending is None or pending.own or entry.in_ is UNSET:
        raise Refusal("segment_pending", "This entry follows from a peer's message, and there is none.")
    peer = book.peers[pending.peer]
    if entry.by.kind != "peer" or entry.by.id != peer.peer:
        raise Refusal("segment_invalid", "A decision's cause is the peer's message.")
    raw = bytes(entry.in_)
    message = decode_incoming(book, peer, raw, peer.incoming.n + 1)
    chain = chain_next(peer.incoming.chain, raw)
    if peer.incoming.n + 1 == pending.until and chain != pending.head:
        raise Refusal("segment_invalid", "The messages do not fold to the head that the peer signed.")
    return peer, message, chain


def decode_incoming(book: Book, peer: PeerState, raw: bytes, position: int) -> m.AnyMessage:
    """The message that stands at `position` of the stream from `peer`; raises `Breach` or `UnknownType`."""
    try:
        message = m.decode_message(raw)
    except m.UnknownType:
        raise
    except Malformed as error:
        raise Breach("message_malformed", position, str(error)) from error
    expected = (peer.peer, book.me.node, m.message_id(book.me.node, peer.generation, position))
    if (message.source, message.subject, message.id) != expected:
        raise Breach("message_misplaced", position, f"Expected was the message {expected[2]}.")
    return message


def outgoing_message(book: Book, peer: PeerState, entry: e.Entry) -> m.AnyMessage:
    """The message in `entry.out`, which must be the next one to `peer`; raises `Refusal` or `Malformed`."""
    if entry.out is UNSET:
        raise Refusal("segment_invalid", "This entry sends a message.")
    message = m.decode_message(bytes(entry.out))
    me = book.me
    expected = (me.node, peer.peer, m.message_id(peer.peer, me.generation, peer.outgoing.n + 1), entry.time)
    if (message.source, message.subject, message.id, message.time) != expected:
        raise Refusal("segment_invalid", f"Expected was the message {expected[2]}.")
    if entry.in_ is UNSET and peer.returning is not None:
        raise Refusal("peer_recovering")
    # A decision answers what the peer itself began, and is never withheld.
    if entry.in_ is UNSET and str(type(message).__struct_config__.tag) not in sendable_types(peer.protocols):
        raise Refusal("peer_needs_upgrade")
    return message


def advance_outgoing(peer: PeerState, entry: e.Entry) -> None:
    """The stream to `peer` grows by the entry's message."""
    assert entry.out is not UNSET
    chain = chain_next(peer.outgoing.chain, bytes(entry.out))
    peer.outgoing = StreamHead(peer.outgoing.n + 1, chain)
    peer.unheard[peer.outgoing.n] = chain


def advance_incoming(book: Book, peer: PeerState, chain: bytes) -> None:
    """The stream from `peer` was applied one message further."""
    peer.incoming = StreamHead(peer.incoming.n + 1, chain)
    assert book.pending is not None
    if peer.incoming.n == book.pending.until:
        book.pending = None


def _bare(entry: e.Entry) -> None:
    if entry.postings is not UNSET or entry.out is not UNSET:
        raise Refusal("posting_invalid", "An entry of this type moves no minutes and sends no message.")
