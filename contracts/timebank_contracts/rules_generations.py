"""Rules of generations: a peer lost state, and the registry closed its generation, with a successor or for ever.

    peer.generation_closed ──┬─▶ peer.changed {next generation}: its stream begins anew, all else goes on
      ≤ last_in: happened    └─▶ peer.changed {closed}: each open transfer to it is returned, citing the registry
      above it:  never

What a peer had said and was not applied here may be said again by its next generation, under the ids that it had: each
once, in the order of the old stream.
Source: design page 2, "Rollback and generations"; PROTOCOL.md X1 to X6.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.names import TransferName, federated_transfer, parse_transfer
from timebank_contracts.state import Book, PeerState
from timebank_contracts.streams import StreamHead, chain_start


def number_of(generation: str) -> int:
    """3 for `g3`."""
    return int(generation[1:])


def generation_closed(book: Book, entry: e.PeerGenerationClosed) -> None:
    data = entry.data
    if entry.postings is not UNSET or entry.out is not UNSET:
        raise Refusal("posting_invalid", "An entry of this type moves no minutes and sends no message.")
    if entry.by.kind not in ("operator", "rule"):
        raise Refusal("purpose_invalid", "An operator, or the registry's rule, closes a peer's generation.")
    peer = book.peers.get(data.peer)
    if peer is None:
        raise Refusal("peer_unknown")
    if data.generation != peer.generation or peer.has_ended:
        raise Refusal("registry_invalid", "Only the open generation of a peer is closed, and once.")
    if (data.last_in, data.chain) != (peer.incoming.n, peer.incoming.chain.hex()):
        raise Refusal("segment_invalid", f"This journal applied {peer.incoming.n} messages of that generation.")
    # Never changed in place: a layer over the book shares it.
    peer.ended = {**peer.ended, data.generation: data.last_in}
    peer.endings = {**peer.endings, data.generation: peer.incoming}


def check_generation(peer: PeerState, data: e.Peer) -> None:
    """Raise `Refusal` unless a `peer.changed` may name this generation: the present, or a later one after its end."""
    if data.generation == peer.generation:
        if peer.has_ended and data.state != "closed":
            raise Refusal("registry_invalid", "A closed generation does not come back; a later one may.")
        return
    if not peer.has_ended:
        raise Refusal("registry_invalid", "A new generation of a peer begins by closing the old one.")
    if number_of(data.generation) <= number_of(peer.generation):
        raise Refusal("registry_invalid", f"Generation {peer.generation} was the last one; only a later one follows.")


def begin_generation(book: Book, peer: PeerState, generation: str) -> None:
    """The peer goes on under another generation; its stream begins anew, and ours to it goes on."""
    me = book.me
    start = chain_start(network=me.network, sender=peer.peer, generation=generation, receiver=me.node)
    peer.generation = generation
    peer.incoming = StreamHead(0, start)
    peer.frozen = False


def check_given_up(book: Book, entry: e.TransferReturned, peer: PeerState) -> None:
    """Raise `Refusal` unless a transfer to this peer is returned because the registry closed the peer for ever."""
    if peer.state != "closed" or not peer.has_ended:
        raise Refusal("segment_pending", "The other town may still decide: only its decision returns the transfer.")
    if entry.by.kind != "rule":
        raise Refusal("purpose_invalid", "What was sent to a closed town is returned by rule.")
    if entry.data.registry != book.registry_version or entry.data.reason != "peer_closed":
        raise Refusal("registry_invalid", "The entry cites the registry in force, which closed the town.")


def is_born_there(peer: PeerState, name: str, *, receiver: str, position: int) -> bool:
    """Whether a peer may say, at this position of its stream, what has this id: its own, or one not yet said."""
    if name == federated_transfer(peer.peer, peer.generation, receiver, position):
        return True
    again = said_again(peer, name)
    return again is not None and again.peer == receiver and again.position > peer.ended[again.generation]


def said_again(peer: PeerState, name: str) -> TransferName | None:
    """The parts of an id that an earlier generation of the peer gave; None for any other."""
    if not peer.ended:
        return None
    try:
        found = parse_transfer(name)
    except Malformed:
        return None
    return found if found.node == peer.peer and found.generation in peer.ended else None


def note_said_again(peer: PeerState, name: str) -> None:
    """What an earlier generation had said was applied now: neither it nor anything before it is taken again."""
    again = said_again(peer, name)
    if again is not None:
        peer.ended = {**peer.ended, again.generation: again.position}


def we_said(book: Book, peer: PeerState, name: TransferName) -> bool:
    """Whether a transfer or claim of this id went from here to the peer, in this generation or an earlier one."""
    me = book.me
    until = peer.outgoing.n if name.generation == me.generation else peer.own_ended.get(name.generation, 0)
    return (name.node, name.peer) == (me.node, peer.peer) and 1 <= name.position <= until


def was_said(
    peer: PeerState, generation: str, position: int, *, last: int, ended: Mapping[str, int] | None = None
) -> bool:
    """Whether this journal applied that position of the peer's stream.

    Args:
        peer: whose stream.
        generation: the peer's.
        position: in the stream of that generation.
        last: of the present generation.
        ended: of the closed ones, where messages that are not applied yet count too.
    """
    until = (peer.ended if ended is None else ended).get(generation, last if generation == peer.generation else 0)
    return 1 <= position <= until
