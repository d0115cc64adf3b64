"""Compares what one town says it sent with what the other says it applied, message for message.

Equal chain values mean equal streams. Where the values are not both at hand, or differ, the messages themselves are
walked side by side from the first one, and the first difference says which fault it is.
Source: design page 2, "Stream, segment, acknowledgement" and "Transfer between towns"; page 5, A41 to A49.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, Raw, UnsetType

from timebank_audit.findings import Findings
from timebank_audit.towns import Town
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.names import parse_transfer

_COMPARED: Final = ("A41", "A43", "A45")


def compare_stream(sender: Town, receiver: Town, findings: Findings) -> bool:
    """Judge the stream from one town to the other; returns whether both hold the same, as far as both go."""
    head = sender.head(receiver.node, sender.size)
    mark = receiver.mark(sender.node, receiver.size)
    both = min(head, mark)
    findings.examine("A49")
    for code in _COMPARED:
        findings.examine(code, both)
    if not _same_chain(sender, receiver, both):
        position = _first_difference(sender, receiver, both)
        if position is not None:
            return not _report_difference(sender, receiver, position, findings)
    if mark > head:
        return not _report_excess(sender, receiver, head + 1, findings)
    return True


def _same_chain(sender: Town, receiver: Town, position: int) -> bool:
    """Whether both books hold the same chain value at this position; False when one does not keep it any more."""
    out = sender.replay.book.peers.get(receiver.node)
    into = receiver.replay.book.peers.get(sender.node)
    if out is None or into is None:
        return position == 0
    said = out.outgoing.chain if out.outgoing.n == position else out.unheard.get(position)
    return into.incoming.n == position and into.incoming.chain == said


def _first_difference(sender: Town, receiver: Town, until: int) -> int | None:
    for position in range(1, until + 1):
        if sender.sends(receiver.node, position).out != receiver.applies(sender.node, position).in_:
            return position
    return None


def _report_difference(sender: Town, receiver: Town, position: int, findings: Findings) -> bool:
    sent = _message(sender.sends(receiver.node, position).out)
    applied = receiver.applies(sender.node, position)
    heard = _message(applied.in_)
    return findings.add(
        _difference_code(sender, receiver, sent, applied, heard),
        town=receiver.node,
        place=f"entry {applied.n}, message {position} of {sender.node} to {receiver.node}",
        expected=f"what {sender.node} sent: {_show(sent)}",
        found=_show(heard),
    )


def _difference_code(sender: Town, receiver: Town, sent: m.AnyMessage, applied: e.Entry, heard: m.AnyMessage) -> str:
    same_transfer = _subject(sent) == _subject(heard)
    match applied:
        case e.TransferReceived():
            return "A41" if isinstance(sent, m.TransferSentMessage) else "A43"
        case e.TransferReturned():
            if _credited(sender, receiver, applied.data.transfer):
                return "A45"
            return "A41" if same_transfer else "A49"
    return "A41" if same_transfer else "A49"


def _credited(payee: Town, payer: Town, transfer: str) -> bool:
    """Whether the payee's journal credited the payer's transfer."""
    position = parse_transfer(transfer).position
    if not 1 <= position <= payee.mark(payer.node, payee.size):
        return False
    return isinstance(payee.applies(payer.node, position), e.TransferReceived)


def _report_excess(sender: Town, receiver: Town, position: int, findings: Findings) -> bool:
    """A message that the sender's export does not hold. It may have been sent after the export was made, unless the
    message's own time, which its sender signed, is before the last entry that the export does hold.
    """
    applied = receiver.applies(sender.node, position)
    heard = _message(applied.in_)
    until = sender.replay.book.time
    if heard.time >= until:
        return False
    return findings.add(
        "A43" if isinstance(applied, e.TransferReceived) else "A49",
        town=receiver.node,
        place=f"entry {applied.n}, message {position} of {sender.node} to {receiver.node}",
        expected=f"a message that {sender.node} sent; its journal goes on to {until} without it",
        found=f"{_show(heard)} of {heard.time}",
    )


def _message(raw: Raw | UnsetType) -> m.AnyMessage:
    assert raw is not UNSET, "apply demands a message of every such entry"
    return m.decode_message(bytes(raw))


def _show(message: m.AnyMessage) -> str:
    kind = str(type(message).__struct_config__.tag)
    minutes = getattr(message.data, "minutes", None)
    return f"{kind} {_subject(message)}" + ("" if minutes is None else f", {minutes} minutes")


def _subject(message: m.AnyMessage) -> str:
    """The transfer or claim that a message is about."""
    data = message.data
    return data.claim if isinstance(data, m.Claimed | m.Withdrawn | m.Disputed) else data.transfer
