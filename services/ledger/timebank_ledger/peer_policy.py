"""What stands in `peer.changed`: the network's registry and this node's own limit and suspension together. Pure.

    limit = the lower of the network's and the node's own        state = closed > suspended (by either) > open
The node's own part outlives every registry: it stands in the entry beside what follows from it.
Source: design page 2, "Signs, limits, identities" and "States of peers"; PROTOCOL.md R9.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.book import apply
from timebank_contracts.errors import Refusal
from timebank_contracts.registry import RegisteredNode, Registry
from timebank_contracts.state import Book, PeerState
from timebank_ledger import commands as c

FIRST_PROTOCOLS = [1]


def peer_in(
    registry: Registry, node: RegisteredNode, *, me: str, own_limit: int | None, suspended_here: bool
) -> e.Peer:
    """A peer as the registry and this node's own policy make it; `own_limit` in minutes, None for none."""
    limit = registry.pair_limit(me, node.node)
    limit = limit if own_limit is None else min(limit, own_limit)
    return e.Peer(
        peer=node.node,
        generation=node.generation,
        state="suspended" if suspended_here and node.state == "open" else node.state,
        owe_limit=limit,
        owed_limit=limit,
        event_keys=list(node.event_keys),
        own_limit=UNSET if own_limit is None else own_limit,
        suspended_here=suspended_here,
        protocols=UNSET if node.protocols == FIRST_PROTOCOLS else list(node.protocols),
    )


def as_entered(peer: PeerState) -> e.Peer:
    """What the last `peer.changed` of a peer said."""
    state: Any = peer.state  # what was entered came from the closed set
    return e.Peer(
        peer=peer.peer,
        generation=peer.generation,
        state=state,
        owe_limit=peer.owe_limit,
        owed_limit=peer.owed_limit,
        event_keys=[b64encode(key).decode("ascii") for key in peer.event_keys],
        own_limit=UNSET if peer.own_limit is None else peer.own_limit,
        suspended_here=peer.suspended_here,
        protocols=UNSET if list(peer.protocols) == FIRST_PROTOCOLS else list(peer.protocols),
    )


def change_peer(book: Book, command: c.ChangePeer, registry: Registry | None, *, time: str) -> list[e.Entry]:
    """Enter what this node's operator wants of a peer.

    Args:
        book: changed when an entry is returned.
        command: the whole of the node's own policy about the peer.
        registry: the one in force here.
        time: the clock's time in wire form.

    Raises:
        Refusal: `peer_unknown`: the registry in force does not name the peer; `registry_invalid`: it is behind.
    """
    node = None if registry is None else registry.find(command.peer)
    known = book.peers.get(command.peer)
    if registry is None or node is None or known is None or known.state == "closed":
        raise Refusal("peer_unknown")
    said = peer_in(registry, node, me=book.me.node, own_limit=command.own_limit, suspended_here=command.suspended)
    entry = e.PeerChanged(
        n=book.n,
        time=max(time, book.time),
        by=command.by,
        data=said,
        key=UNSET if command.key is None else command.key,
        command=UNSET if command.digest is None else command.digest,
    )
    apply(book, entry)
    return [entry]
