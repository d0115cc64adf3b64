"""Rules of a node that lost state and comes back: it goes on from a verified prefix, under a new generation.

    node.opened {previous} ─▶ for each peer:
        segment.recovered, message.recovered …   what the prefix lacks and the peer applied: it happened
        stream.recovered                         the peer's word that this is all
        message.repeated …                       what the prefix has and the peer never applied: said again
        its stream, from where the prefix stands; what was decided before is not decided again (forced)

Recovered entries are facts: no floor, ceiling, limit or state refuses them, and every audit lists them.
Source: design page 2, "Rollback and generations"; decision 0010; PROTOCOL.md X7 to X12.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec
from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.amounts import LIMIT_MAX
from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.keys import b64_decode
from timebank_contracts.merkle import EMPTY_ROOT
from timebank_contracts.names import Identity, TransferName, federated_transfer, parse_transfer, transit
from timebank_contracts.rules_accounts import RULES_VERSION, no_postings
from timebank_contracts.rules_accounts import node_opened as node_first_opened
from timebank_contracts.rules_claims import end_claim
from timebank_contracts.rules_generations import number_of, was_said
from timebank_contracts.rules_refunds import Read
from timebank_contracts.segments import PROTOCOL_VERSION, SegmentStatement, is_signed_by, open_statement
from timebank_contracts.state import (
    PAYABLE_KINDS,
    Account,
    Book,
    Forced,
    OpenTransfer,
    PeerState,
    PendingSegment,
    Predecessor,
    Returning,
    SentClaim,
)
from timebank_contracts.streams import StreamHead, chain_next, chain_start

LOST: Final = "lost"
"""The account that stands for whoever cannot be found any more."""
_REFUSED_CLAIM: Final = frozenset({"alias_unknown", "account_closed", "expired", "claim_limit"})


def node_opened(book: Book, entry: e.NodeOpened) -> None:
    """A journal begins; or it goes on under a later generation, from the entries before this one."""
    previous = entry.data.previous
    if book.identity is None:
        _check_previous(entry, generation=None if previous is UNSET else previous.generation)
        if previous is not UNSET and previous.root != EMPTY_ROOT.hex():
            raise Refusal("registry_invalid", "Nothing was restored: the root is that of the empty tree.")
        node_first_opened(book, entry)
        if previous is not UNSET:
            _note_previous(book, previous)
        return
    me = book.me
    if previous is UNSET or (entry.data.network, entry.data.node) != (me.network, me.node):
        raise Refusal("node_opened")
    no_postings(entry)
    _check_previous(entry, generation=me.generation)
    if entry.data.rules != RULES_VERSION:
        raise Refusal("node_not_opened", f"These are rules {RULES_VERSION}; the journal asks for {entry.data.rules}.")
    if previous.registry <= book.registry_version:
        raise Refusal("registry_invalid", "A later version of the registry than the one in force names the generation.")
    if any(peer.returning is not None and peer.state != "closed" for peer in book.peers.values()):
        raise Refusal("peer_recovering", "The generation before is not put back with every peer; restore all of it.")
    book.identity = Identity(me.network, me.node, entry.data.generation)
    book.began[entry.data.generation] = entry.n
    _note_previous(book, previous)
    for peer in [book.peers[name] for name in book.peers]:
        _begin_again(book, peer, me.generation)


def _note_previous(book: Book, previous: e.Previous) -> None:
    keys = tuple(b64_decode(key) for key in previous.event_keys)
    book.previous = Predecessor(previous.generation, previous.registry, keys)
    # There is always an account for whoever cannot be found.
    if LOST not in book.accounts:
        book.accounts[LOST] = Account(LOST, LOST, -LIMIT_MAX, LIMIT_MAX)


def _check_previous(entry: e.NodeOpened, *, generation: str | None) -> None:
    """Raise `Refusal` unless an operator goes on from exactly the entries before, under a later generation."""
    previous = entry.data.previous
    if previous is UNSET:
        return
    if entry.by.kind != "operator":
        raise Refusal("purpose_invalid", "An operator lets a node come back under a new generation.")
    if (previous.generation, previous.size) != (generation, entry.n):
        raise Refusal("registry_invalid", "A generation goes on from the entries before its node.opened.")
    if number_of(entry.data.generation) != number_of(previous.generation) + 1:
        raise Refusal("registry_invalid", f"Only the next generation follows {previous.generation}.")
    if not previous.size and number_of(previous.generation) > 1:
        # What the generations before it had said is in no stream that could still be recovered.
        raise Refusal("registry_invalid", "With nothing restored a town comes back after its first generation only.")


def _begin_again(book: Book, peer: PeerState, generation: str) -> None:
    """Our stream to a peer begins anew; what the old one held is still to be compared with what the peer applied."""
    me = book.me
    said = peer.outgoing
    chains = {peer.heard + index: chain for index, chain in enumerate(peer.unheard.values())}
    peer.returning = Returning(generation=generation, said=said, restored=said.n, chains=chains)
    peer.own_ended = {**peer.own_ended, generation: said.n}
    start = chain_start(network=me.network, sender=me.node, generation=me.generation, receiver=peer.peer)
    peer.outgoing = StreamHead(0, start)
    peer.heard = 0
    peer.unheard = {0: start}


def returning_to(book: Book, peer: str) -> Returning | None:
    """What is to be put back with a peer that this journal meets now: the lost part may have known it."""
    previous, me = book.previous, book.me
    if previous is None or book.registry_version != previous.registry:
        return None
    start = chain_start(network=me.network, sender=me.node, generation=previous.generation, receiver=peer)
    return Returning(generation=previous.generation, said=StreamHead(0, start), restored=0, chains={0: start})


def segment_recovered(book: Book, entry: e.SegmentRecoveredEntry) -> None:
    """A lost segment of our own: its messages follow, each as one entry."""
    peer, returning = _recovering(book, entry, entry.data.peer)
    envelope = bytes(entry.data.envelope)
    statement = _statement(envelope)
    me, said = book.me, returning.said
    meant = (PROTOCOL_VERSION, me.network, me.node, returning.generation, peer.peer)
    if (statement.protocol, statement.network, statement.from_, statement.generation, statement.to) != meant:
        raise Refusal("segment_invalid", f"Only what {returning.generation} sent to {peer.peer} is recovered.")
    assert book.previous is not None, "a node that returns has a previous generation"
    if not is_signed_by(envelope, book.previous.event_keys):
        raise Refusal("segment_invalid", "No event key of the previous generation signed the segment.")
    if not statement.first <= said.n + 1 <= statement.last:
        raise Refusal("segment_invalid", f"The next message to recover is {said.n + 1}.")
    if statement.first == said.n + 1 and bytes.fromhex(statement.prior) != said.chain:
        raise Refusal("segment_invalid", "The segment does not continue the chain that was restored.")
    book.pending = PendingSegment(peer.peer, statement.last, bytes.fromhex(statement.head), own=True)


def message_recovered(book: Book, entry: e.MessageRecoveredEntry) -> None:
    """A lost message of our own: what it said happened."""
    pending = book.pending
    if pending is None or not pending.own or entry.in_ is UNSET or pending.peer != entry.data.peer:
        raise Refusal("segment_pending", "This entry follows from a recovered segment, and there is none.")
    if entry.out is not UNSET or (entry.by.kind, entry.by.id) != ("peer", pending.peer):
        raise Refusal("segment_invalid", "What is recovered is handed back by the peer, and sends no message.")
    peer = book.peers[pending.peer]
    returning = peer.returning
    assert returning is not None, "a recovered segment is pending"
    position, raw = returning.said.n + 1, bytes(entry.in_)
    message = m.decode_message(raw)
    expected = (book.me.node, peer.peer, m.message_id(peer.peer, returning.generation, position))
    if (message.source, message.subject, message.id) != expected:
        raise Refusal("segment_invalid", f"Expected was the message {expected[2]}.")
    if isinstance(message, m.TransferSentMessage | m.ClaimMadeMessage):
        name = message.data.transfer if isinstance(message, m.TransferSentMessage) else message.data.claim
        if name != federated_transfer(book.me.node, returning.generation, peer.peer, position):
            raise Refusal("segment_invalid", "The id of what is recovered is its position in its stream.")
    chain = chain_next(returning.said.chain, raw)
    if position == pending.until and chain != pending.head:
        raise Refusal("segment_invalid", "The messages do not fold to the head that was signed.")
    forced = _put_back(book, peer, entry, message)
    said = StreamHead(position, chain)
    peer.returning = replace(returning, said=said, chains={position: chain}, forced=returning.forced + forced)
    peer.own_ended = {**peer.own_ended, returning.generation: position}
    if position == pending.until:
        book.pending = None


def _put_back(book: Book, peer: PeerState, entry: e.MessageRecoveredEntry, message: m.AnyMessage) -> int:
    """Let a recovered message have its effect; returns how many things of the peer's are decided by it beforehand."""
    if isinstance(message, m.ClaimMadeMessage):
        _claimed_again(book, peer, entry, message.data)
        return 0
    if entry.data.account is not UNSET:
        raise Refusal("segment_invalid", "Only a claim names its giver's account.")
    if isinstance(message, m.TransferSentMessage):
        return _sent_again(book, peer, entry, message.data)
    no_postings(entry)
    match message:
        case m.TransferReceivedMessage(data=yes):
            return _force(book, peer, yes.transfer, Forced(peer.peer, "received", minutes=yes.minutes))
        case m.TransferRejectedMessage(data=no):
            return _force(book, peer, no.transfer, Forced(peer.peer, "rejected", str(no.reason), no.minutes))
        case m.ClaimWithdrawnMessage(data=withdrawn):
            found = book.sent_claims.pop(withdrawn.claim, None)
            if found is not None:
                book.accounts[found.giver].open_claims -= 1
        case m.ClaimDisputedMessage(data=disputed):
            return _disputed_again(book, peer, disputed)
        case m.ThanksGivenMessage(data=thanked):
            side = "payer" if parse_transfer(thanked.transfer).node == book.me.node else "payee"
            book.thanked[f"{thanked.transfer} {side}"] = entry.time
    return 0


def _sent_again(book: Book, peer: PeerState, entry: e.MessageRecoveredEntry, data: m.Sent) -> int:
    postings = entry.postings
    if postings is UNSET or len(postings) != 2 or postings[1] != (transit(peer.peer), data.minutes):
        raise Refusal("posting_invalid", "A recovered transfer moves its minutes from its payer to transit.")
    payer_id, minutes = postings[0]
    payer = book.accounts.get(payer_id)
    if payer is None or minutes != -data.minutes or payer.kind not in PAYABLE_KINDS | {"pot", LOST}:
        raise Refusal("posting_invalid", "The payer is who its tag names, or the account of what was lost.")
    if payer.state == "closed":
        raise Refusal("posting_invalid", "Who left meanwhile stays at 0: the account of what was lost pays.")
    claim = "" if data.claim is UNSET else data.claim
    claimed = book.claims.get(claim)
    payer.balance -= data.minutes
    payer.in_transit += data.minutes
    book.change_debt(peer, 0, data.minutes)
    refunds = "" if data.refunds is UNSET else data.refunds
    book.open_transfers[data.transfer] = OpenTransfer(
        peer.peer, payer_id, data.minutes, entry.n, entry.time, refunds, claim, claimed
    )
    book.recovered_at[data.transfer] = entry.n
    if refunds:
        book.refunded[refunds] = book.refunded.get(refunds, 0) + data.minutes
    if claimed is not None:
        end_claim(book, claim, claimed)
    elif claim and _is_to_come(peer, claim):
        return _force(book, peer, claim, Forced(peer.peer, "paid"))
    return 0


def _claimed_again(book: Book, peer: PeerState, entry: e.MessageRecoveredEntry, data: m.Claimed) -> None:
    no_postings(entry)
    # Whose address is lost too has no claim any more: its payment would find no account either.
    alias = book.aliases.get(data.giver)
    if entry.data.account != (UNSET if alias is None else alias.account):
        raise Refusal("account_unknown", "A claim's giver is who holds the address that it names.")
    if alias is not None:
        book.sent_claims[data.claim] = SentClaim(alias.account, peer.peer, entry.n, data.expires_at)
        book.accounts[alias.account].open_claims += 1


def _disputed_again(book: Book, peer: PeerState, data: m.Disputed) -> int:
    reason = str(data.reason)
    if _is_to_come(peer, data.claim):
        return _force(book, peer, data.claim, Forced(peer.peer, _outcome_of(reason), reason))
    claim = book.claims.get(data.claim)
    if claim is not None:
        book.claims[data.claim] = replace(claim, disputed=True)
    return 0


def _outcome_of(reason: str) -> str:
    return "refused" if reason in _REFUSED_CLAIM else "disputed"


def _force(book: Book, peer: PeerState, name: str, forced: Forced) -> int:
    if not _is_to_come(peer, name):
        raise Refusal("segment_invalid", "What was restored has this decided already.")
    is_new = name not in book.forced
    book.forced[name] = forced
    return int(is_new)


def _is_to_come(peer: PeerState, name: str) -> bool:
    """Whether something of the peer's was not taken from its stream yet, as far as this journal has it."""
    found: TransferName = parse_transfer(name)
    return found.node == peer.peer and not was_said(peer, found.generation, found.position, last=peer.incoming.n)


def stream_recovered(book: Book, entry: e.StreamRecoveredEntry) -> None:
    """The peer says what it applied of the previous generation, which is over for it: that and no more happened."""
    peer, returning = _recovering(book, entry, entry.data.peer)
    envelope = bytes(entry.data.envelope)
    statement = _statement(envelope)
    me = book.me
    if (statement.protocol, statement.network, statement.from_, statement.to, statement.count) != (
        PROTOCOL_VERSION,
        me.network,
        peer.peer,
        me.node,
        0,
    ):
        raise Refusal("segment_invalid", f"It is no statement of {peer.peer} to this node, without messages.")
    if not is_signed_by(envelope, peer.event_keys):
        raise Refusal("segment_invalid", "No key of this peer in force here signed the statement.")
    assert book.previous is not None, "a node that returns has a previous generation"
    if statement.registry < book.previous.registry:
        raise Refusal("segment_invalid", "The peer does not hold the registry yet that closed the generation.")
    heard = statement.heard
    if heard.generation != returning.generation or heard.n > returning.said.n:
        raise Refusal("segment_invalid", f"Of {heard.generation} the peer applied {heard.n}; recover that first.")
    # A peer that lost state too may hold less than it once said; what it said then was compared.
    is_less = bool(peer.ended) and heard.n < min(returning.chains)
    if not is_less and returning.chains.get(heard.n) != bytes.fromhex(heard.chain):
        raise Refusal("segment_invalid", "The peer applied another history than the one restored here.")
    is_longer = returning.said.n > returning.restored
    if is_longer and heard.n != returning.said.n:
        raise Refusal("segment_invalid", "More was recovered than the peer says it applied.")
    peer.returning = replace(returning, until=heard.n, repeated=heard.n)
    end_returning(peer)


def message_repeated(book: Book, entry: e.MessageRepeatedEntry, read: Read) -> None:
    """What the peer never applied is said again, word for word, at the next position of the new stream."""
    peer = book.peers.get(entry.data.peer)
    returning = None if peer is None else peer.returning
    if peer is None or returning is None or returning.until < 0 or returning.takes:
        raise Refusal("segment_pending", "Nothing is left to be said again to this peer.")
    if entry.by.kind != "rule" or entry.in_ is not UNSET or entry.postings is not UNSET or entry.out is UNSET:
        raise Refusal("segment_invalid", "The rule says again what was said, and nothing else.")
    first = read(entry.data.position)
    raw = UNSET if first is None else first.out
    if raw is UNSET:
        raise Refusal("segment_invalid", "The entry named sent no message.")
    old, new = m.decode_message(bytes(raw)), m.decode_message(bytes(entry.out))
    following = returning.repeated + 1
    if (old.subject, old.id) != (peer.peer, m.message_id(peer.peer, returning.generation, following)):
        raise Refusal("segment_invalid", f"The next message to be said again is {following}.")
    position = peer.outgoing.n + 1
    name = m.message_id(peer.peer, book.me.generation, position)
    if new != msgspec.structs.replace(old, id=name, time=entry.time):
        raise Refusal("segment_invalid", "What is said again is what was said, at its new position and time.")
    chain = chain_next(peer.outgoing.chain, bytes(entry.out))
    peer.outgoing = StreamHead(position, chain)
    peer.unheard[position] = chain
    peer.returning = replace(returning, repeated=following)
    end_returning(peer)


def is_silent(book: Book, name: str) -> bool:
    """Whether the peer has our answer about this already: it was sent before state was lost, and is not sent again."""
    forced = book.forced.get(name)
    return forced is not None and forced.outcome in ("received", "rejected", "refused")


def take_forced(book: Book, peer: PeerState, name: str) -> str:
    """What was decided of this before state was lost is carried out now; returns the outcome, empty for none."""
    forced = book.forced.pop(name, None)
    if forced is None:
        return ""
    assert peer.returning is not None, "a peer returns until all that is forced was taken"
    peer.returning = replace(peer.returning, forced=peer.returning.forced - 1)
    end_returning(peer)
    return forced.outcome


def end_returning(peer: PeerState) -> None:
    """With nothing left to put back, the two towns go on as any two."""
    returning = peer.returning
    if returning is not None and returning.takes and not returning.forced:
        peer.returning = None


def _recovering(book: Book, entry: e.Entry, name: str) -> tuple[PeerState, Returning]:
    peer = book.peers.get(name)
    if peer is None:
        raise Refusal("peer_unknown")
    if peer.returning is None or peer.returning.until >= 0:
        raise Refusal("segment_invalid", "Nothing is left to be recovered from this peer.")
    if peer.state == "closed":
        raise Refusal("peer_unknown", "The registry closed this town.")
    if entry.postings is not UNSET or entry.out is not UNSET:
        raise Refusal("posting_invalid", "An entry of this type moves no minutes and sends no message.")
    if (entry.by.kind, entry.by.id) != ("peer", name):
        raise Refusal("segment_invalid", "What is recovered is handed back by the peer.")
    return peer, peer.returning


def _statement(envelope: bytes) -> SegmentStatement:
    try:
        return open_statement(envelope)
    except Malformed as error:
        raise Refusal("segment_invalid", str(error)) from error
