"""What a peer's segment or a new registry does to the journal. Pure; the counterpart of `propose.py` for what comes in.

    segment ── judge_segment ──▶ Duplicate | Gap: nothing written
                              └▶ Fresh: segment.accepted, then one decision for each message, in order
Source: design page 1, steps 5 and 7; page 2, "Stream, segment, acknowledgement"; PROTOCOL.md S7, T5 to T7.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from msgspec import UNSET, Raw

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.accept import Duplicate, Fresh, Gap, RolledBack, judge_segment
from timebank_contracts.book import Read, apply
from timebank_contracts.errors import Breach, Refusal
from timebank_contracts.names import clearing, transit
from timebank_contracts.registry import Registry
from timebank_contracts.rules_between import decide
from timebank_contracts.rules_claims_between import judge_claim
from timebank_contracts.rules_generations import number_of
from timebank_contracts.rules_returning import is_silent
from timebank_contracts.rules_thanks import thanked_side
from timebank_contracts.segments import parse_segment
from timebank_contracts.state import Book, PeerState
from timebank_ledger.peer_policy import as_entered, peer_in

RULE = e.Actor(kind="rule")


def take_segment(book: Book, raw: bytes, *, time: str, read: Read) -> tuple[list[e.Entry], Duplicate | Gap | Fresh]:
    """Enter what is new in a peer's segment.

    Args:
        book: the writer's own book; changed when entries are returned, unchanged when this raises.
        raw: the segment's bytes.
        time: the clock's time in wire form.
        read: gives an earlier entry.

    Returns:
        The entries, already applied, and the judgement; no entries for a duplicate or a gap.

    Raises:
        Malformed, Unsigned, Refusal, Breach, StopsAt, RolledBack: as `judge_segment`.
    """
    segment = parse_segment(raw)
    judged = judge_segment(book, segment)
    if not isinstance(judged, Fresh):
        return [], judged
    now = max(time, book.time)
    peer = book.peers[segment.statement.from_]
    by = e.Actor(kind="peer", id=peer.peer)
    accepted = e.SegmentAcceptedEntry(n=book.n, time=now, by=by, data=e.SegmentAccepted(envelope=Raw(segment.envelope)))
    apply(book, accepted)
    written: list[e.Entry] = [accepted]
    for message in judged.messages:
        entry = _answer(book, peer, message, now, by, read)
        try:
            apply(book, entry, read=read)
        except Refusal as refusal:
            raise AssertionError(
                "A judged message was refused: the book is half changed, the writer must stop"
            ) from refusal
        written.append(entry)
    return written, judged


def _answer(book: Book, peer: PeerState, raw: bytes, now: str, by: e.Actor, read: Read) -> e.Entry:
    message = m.decode_message(raw)
    head: dict[str, Any] = {"n": book.n, "time": now, "by": by, "in_": Raw(raw)}
    match message:
        case m.TransferSentMessage(data=sent):
            return _decision(book, peer, sent, head, read)
        case m.TransferReceivedMessage(data=received):
            found = book.open_transfers[received.transfer]
            postings = [(transit(peer.peer), -found.minutes), (clearing(peer.peer), found.minutes)]
            return e.TransferSettled(**head, data=e.Settled(transfer=received.transfer), postings=postings)
        case m.TransferRejectedMessage(data=rejected):
            found = book.open_transfers[rejected.transfer]
            postings = [(transit(peer.peer), -found.minutes), (found.payer, found.minutes)]
            returned = e.Returned(transfer=rejected.transfer, reason=rejected.reason)
            return e.TransferReturned(**head, data=returned, postings=postings)
        case m.ClaimMadeMessage(data=claimed):
            return _put(book, peer, claimed, head)
        case m.ClaimWithdrawnMessage(data=withdrawn):
            return e.ClaimWithdrawn(**head, data=e.ClaimNamed(claim=withdrawn.claim))
        case m.ClaimDisputedMessage(data=disputed):
            data = e.ClaimDisputed(claim=disputed.claim, reason=disputed.reason)
            return e.ClaimDisputedEntry(**head, data=data)
    side: Any = thanked_side(book, message, peer, peer.incoming.n + 1)
    assert isinstance(message, m.ThanksGivenMessage), "the types of messages are a closed set"
    return e.ThanksGivenEntry(**head, data=e.ThanksGiven(transfer=message.data.transfer, side=side))


def message_head(book: Book, peer: PeerState, time: str) -> dict[str, Any]:
    """The CloudEvents attributes of our next message to a peer, sent by an entry of this time."""
    return {
        "id": m.message_id(peer.peer, book.me.generation, peer.outgoing.n + 1),
        "source": book.me.node,
        "specversion": "1.0",
        "subject": peer.peer,
        "time": time,
    }


def _decision(
    book: Book, peer: PeerState, data: m.Sent, head: dict[str, Any], read: Read
) -> e.TransferReceived | e.TransferRejected:
    now: str = head["time"]
    account = decide(book, peer, data, now, read=read)
    # The peer has the answer already to what was decided before this node lost state.
    silent = is_silent(book, data.transfer)
    envelope = message_head(book, peer, now)
    if isinstance(account, str):
        reason: Any = account
        no = m.Rejected(transfer=data.transfer, minutes=data.minutes, reason=reason)
        out = UNSET if silent else Raw(m.encode_decision(m.TransferRejectedMessage(**envelope, data=no)))
        return e.TransferRejected(**head, data=e.Returned(transfer=data.transfer, reason=reason), out=out)
    yes = m.Received(transfer=data.transfer, minutes=data.minutes)
    return e.TransferReceived(
        **head,
        data=e.Settled(transfer=data.transfer),
        postings=[(clearing(peer.peer), -data.minutes), (account.account, data.minutes)],
        out=UNSET if silent else Raw(m.encode_decision(m.TransferReceivedMessage(**envelope, data=yes))),
    )


def _put(book: Book, peer: PeerState, data: m.Claimed, head: dict[str, Any]) -> e.ClaimReceived | e.ClaimRefusedEntry:
    """A peer's claim, put to its receiver, or refused with the reason."""
    account = judge_claim(book, peer, data, head["time"])
    if not isinstance(account, str):
        return e.ClaimReceived(**head, data=e.ClaimPut(claim=data.claim, account=account.account))
    reason: Any = account
    answer = m.ClaimDisputedMessage(
        **message_head(book, peer, head["time"]), data=m.Disputed(claim=data.claim, reason=reason)
    )
    said = e.ClaimRefused(claim=data.claim, reason=reason)
    out = UNSET if is_silent(book, data.claim) else Raw(m.encode_message(answer))
    return e.ClaimRefusedEntry(**head, data=said, out=out)


def freeze(book: Book, raw: bytes, breach: Breach, *, time: str) -> list[e.Entry]:
    """Stop the stream that a breach came by; the segment's hash says which evidence was kept beside the journal."""
    statement = parse_segment(raw).statement
    data = e.Frozen(
        peer=statement.from_,
        generation=statement.generation,
        position=breach.position,
        code=breach.code,
        segment_sha256=sha256(raw).hexdigest(),
    )
    entry = e.PeerFrozen(n=book.n, time=max(time, book.time), by=RULE, data=data)
    apply(book, entry)
    return [entry]


def accept_registry(
    book: Book,
    registry: Registry,
    *,
    own_limits: dict[str, int],
    time: str,
    by: e.Actor,
    key: str | None = None,
    digest: str | None = None,
) -> list[e.Entry]:
    """Enter a verified registry: one entry for the version, one for each peer that it changes.

    Args:
        book: changed when entries are returned.
        registry: verified against the one in force by the caller.
        own_limits: minutes by peer, where this node wants another limit of its own than it has in the book.
        time: the clock's time in wire form.
        by: who accepts it.
        key: of the command; the entry of the version keeps it.
        digest: of what was asked.

    Raises:
        Refusal: `registry_invalid`: another network, this node is named no more or under another generation, not newer,
            or it names a generation of a peer that is over.
        RolledBack: the operators closed this journal's generation: another one is this node now.
    """
    me = book.me
    own = registry.find(me.node)
    if own is not None and registry.network == me.network and number_of(own.generation) > number_of(me.generation):
        text = f"{me.node} is {own.generation}: the operators closed {me.generation}, which this journal is."
        raise RolledBack(f"By version {registry.version} of the registry {text}")
    # A town that joins later enters the versions before it too; it has no peer as long as none names it.
    is_unnamed = own is None and bool(book.peers)
    if registry.network != me.network or is_unnamed or (own is not None and own.generation != me.generation):
        raise Refusal("registry_invalid", "The registry is of another network, or does not name this node.")
    _check_generations(book, registry)
    now = max(time, book.time)
    data = e.RegistryAccepted(version=registry.version, sha256=registry.sha256)
    keyed: dict[str, Any] = {"key": UNSET if key is None else key, "command": UNSET if digest is None else digest}
    written: list[e.Entry] = [e.RegistryAcceptedEntry(n=book.n, time=now, by=by, data=data, **keyed)]
    apply(book, written[0])
    for said in [*_peers_in(registry, book, own_limits), *_peers_gone(registry, book)]:
        ended = _ended(book, said)
        if ended is None and said == _as_entered(book, said.peer):
            continue
        if ended is not None:
            written.append(e.PeerGenerationClosed(n=book.n, time=now, by=by, data=ended))
            apply(book, written[-1])
        entry = e.PeerChanged(n=book.n, time=now, by=by, data=said)
        apply(book, entry)
        written.append(entry)
    return written


def _check_generations(book: Book, registry: Registry) -> None:
    for node in registry.nodes:
        known = book.peers.get(node.node)
        if known is None:
            continue
        if number_of(node.generation) < number_of(known.generation):
            raise Refusal("registry_invalid", f"{node.node} is at {known.generation}; no earlier one comes back.")
        if node.generation == known.generation and known.has_ended and node.state != "closed":
            text = f"Generation {known.generation} of {node.node} was closed; it comes back under a later one."
            raise Refusal("registry_invalid", text)


def _ended(book: Book, said: e.Peer) -> e.GenerationClosed | None:
    """The end of the peer's open generation, when the registry goes on to another one, or closes the peer for ever."""
    peer = book.peers.get(said.peer)
    if peer is None or peer.has_ended or (said.generation == peer.generation and said.state != "closed"):
        return None
    mark = peer.incoming
    return e.GenerationClosed(peer=said.peer, generation=peer.generation, last_in=mark.n, chain=mark.chain.hex())


def _peers_in(registry: Registry, book: Book, own_limits: dict[str, int]) -> Iterator[e.Peer]:
    me = book.me.node
    for node in registry.nodes if registry.find(me) is not None else ():
        known = book.peers.get(node.node)
        own_limit = own_limits.get(node.node, None if known is None else known.own_limit)
        if node.node != me:
            suspended_here = known is not None and known.suspended_here
            yield peer_in(registry, node, me=me, own_limit=own_limit, suspended_here=suspended_here)


def _peers_gone(registry: Registry, book: Book) -> Iterator[e.Peer]:
    """A peer that the registry names no more is closed and keeps no key: nothing of it is believed from here on."""
    for name in sorted(set(book.peers) - {node.node for node in registry.nodes}):
        generation = book.peers[name].generation
        yield e.Peer(peer=name, generation=generation, state="closed", owe_limit=0, owed_limit=0, event_keys=[])


def _as_entered(book: Book, peer: str) -> e.Peer | None:
    found = book.peers.get(peer)
    return None if found is None else as_entered(found)
