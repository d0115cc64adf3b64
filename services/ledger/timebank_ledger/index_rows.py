"""What an entry adds to the index. Pure: from entries to rows.

Source: `index.py` says what the rows mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.names import Identity, clearing, local_transfer, transit
from timebank_contracts.streams import StreamHead, chain_next, chain_start


@dataclass(slots=True)
class Rows:
    """Rows of the tables, by column name."""

    accounts: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    outs: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)


def rows_of(
    entries: Iterable[e.Entry], heads: dict[str, StreamHead], opened: Callable[[], e.Opened]
) -> tuple[Rows, dict[str, StreamHead]]:
    """The rows of some entries of a journal.

    Args:
        entries: in the order of the journal.
        heads: by peer, our stream before the first of them; taken over and returned grown.
        opened: reads what `node.opened` says.

    Returns:
        The rows, and the heads after the last entry.
    """
    rows = Rows()
    said = opened()
    identity = Identity(said.network, said.node, said.generation)
    for entry in entries:
        message = None if entry.out is UNSET else m.decode_message(bytes(entry.out))
        transfer = transfer_of(identity, entry, message)
        rows.accounts += [{"account": account, "kind": kind, "position": entry.n} for account, kind in _opened(entry)]
        if entry.postings is not UNSET:
            kind = e.entry_type(entry)
            for account, minutes in entry.postings:
                line = {"account": account, "position": entry.n, "time": entry.time, "type": kind}
                rows.lines.append({**line, "minutes": minutes, "transfer": transfer})
        if message is not None:
            assert entry.out is not UNSET
            rows.outs.append(_out(identity, heads, message.subject, bytes(entry.out), entry.n))
        if transfer is not None and not isinstance(entry, e.TransferPosted | e.TransferSent):
            rows.outcomes.append({"transfer": transfer, "position": entry.n})
    return rows, heads


def _opened(entry: e.Entry) -> list[tuple[str, str]]:
    """The accounts, with their kinds, that exist from this entry on; a peer's are named each time that it changes."""
    if isinstance(entry, e.AccountOpenedEntry):
        return [(entry.data.account, entry.data.kind)]
    if isinstance(entry, e.PeerChanged):
        return [(clearing(entry.data.peer), "clearing"), (transit(entry.data.peer), "transit")]
    return []


def _out(identity: Identity, heads: dict[str, StreamHead], peer: str, raw: bytes, position: int) -> dict[str, Any]:
    head = heads.get(peer)
    if head is None:
        head = StreamHead(0, stream_start(identity, peer))
    head = heads[peer] = StreamHead(head.n + 1, chain_next(head.chain, raw))
    return {"peer": peer, "n": head.n, "position": position, "chain": head.chain}


def stream_start(identity: Identity, peer: str) -> bytes:
    """The chain value of our stream to `peer` before its first message."""
    return chain_start(network=identity.network, sender=identity.node, generation=identity.generation, receiver=peer)


def transfer_of(identity: Identity, entry: e.Entry, message: m.AnyMessage | None) -> str | None:
    """Id of the transfer that an entry is about, or None; `message` is what the entry sends."""
    if isinstance(entry, e.TransferPosted):
        return local_transfer(identity, entry.n)
    if message is not None:
        return message.data.transfer
    if isinstance(entry, e.TransferSettled | e.TransferReturned | e.TransferReversed):
        return entry.data.transfer
    return None
