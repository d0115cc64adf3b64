"""What the edge does while this node puts back what it lost: it finds payers by tags, and has the rest said again.

Source: PROTOCOL.md X9, X11; decision 0010.
"""

from __future__ import annotations

from typing import Final

from timebank_contracts import messages as m
from timebank_contracts.errors import Refusal
from timebank_contracts.segments import parse_segment
from timebank_ledger import commands as c
from timebank_ledger.edge import Edge
from timebank_ledger.payer_tags import payer_of
from timebank_ledger.peers import RULE

REPEATED_AT_ONCE_MAX: Final = 256


def payers_in(edge: Edge, raw: bytes) -> tuple[tuple[str, str], ...]:
    """The payers of the transfers in a segment of our own that a peer hands back, where their tags name an account.

    Args:
        edge: its book has the accounts; each is tried for each transfer.
        raw: a parsed segment's bytes.

    Raises:
        Malformed: a message in it is none.
    """
    with edge.writer.reading() as book:
        accounts = [account.account for account in book.accounts.values() if ":" not in account.account]
    found = []
    for message in map(m.decode_message, parse_segment(raw).messages):
        if isinstance(message, m.TransferSentMessage):
            payer = payer_of(edge.tag_key, message.data.payer_tag, accounts)
            if payer is not None:
                found.append((message.data.transfer, payer))
    return tuple(found)


def repeat_all(edge: Edge, name: str) -> None:
    """Have said again, in order, what this journal has and a peer never applied; returns when all is.

    Raises:
        Stopped, QueueFull, Doubt: the rest is said again when the peer's last word is handed in again.
    """
    before = -1
    while True:
        with edge.writer.reading() as book:
            peer = book.peers.get(name)
            returning = None if peer is None else peer.returning
        if returning is None or returning.until < 0 or returning.takes or returning.repeated == before:
            return
        before = returning.repeated
        index, first = edge.indexed(), returning.repeated + 1
        last = min(returning.restored, returning.repeated + REPEATED_AT_ONCE_MAX)
        found = [index.sent_at(name, returning.generation, n) for n in range(first, last + 1)]
        commands = [c.RepeatMessage(by=RULE, peer=name, position=at) for at in found if at is not None]
        assert len(commands) == len(found), "what was restored was sent"
        for answer in edge.writer.submit_many(commands).result():
            # Another request may have been quicker: the book says what is left.
            if isinstance(answer, Exception) and not isinstance(answer, Refusal):
                raise answer
