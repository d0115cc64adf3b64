"""Compares what one town says it sent with what the other says it applied, message for message.

Equal chain values mean equal streams. Where the values are not both at hand, or differ, the messages themselves are
walked side by side from the first one, and the first difference says which fault it is.
Source: design page 2, "Stream, segment, acknowledgement" and "Transfer between towns"; page 5, A41 to A49.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import UNSET, Raw, UnsetType

from timebank_audit.codes import Verdict
from timebank_audit.findings import Findings
from timebank_audit.towns import Town
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.cut import StreamName

_COMPARED: Final = ("A41", "A43", "A45")


class Stream(NamedTuple):
    """The stream of one generation of a town to another, as either side knows it."""

    sender: Town
    receiver: Town
    generation: str

    @property
    def out(self) -> StreamName:
        """By what name the sender's side is kept."""
        return StreamName(self.generation, self.receiver.node)

    @property
    def in_(self) -> StreamName:
        """By what name the receiver's side is kept."""
        return StreamName(self.generation, self.sender.node)


def compare_streams(sender: Town, receiver: Town, findings: Findings) -> bool:
    """Judge the streams from one town to the other; returns whether both hold the same, as far as both go."""
    said = {name.generation for name in sender.replay.out if name.peer == receiver.node}
    taken = {name.generation for name in receiver.replay.in_ if name.peer == sender.node}
    findings.examine("A49")
    generations = sorted(said | taken | {sender.identity.generation})
    judged = [_compare(Stream(sender, receiver, generation), findings) for generation in generations]
    return all(judged)


def _compare(stream: Stream, findings: Findings) -> bool:
    sender, receiver, _ = stream
    head = sender.head(stream.out, sender.size)
    mark = receiver.mark(stream.in_, receiver.size)
    both = min(head, mark)
    for code in _COMPARED:
        findings.examine(code, both)
    if not _same_chain(stream, both):
        position = _first_difference(stream, both)
        if position is not None:
            return not _report_difference(stream, position, findings)
    if mark > head:
        return not _report_excess(stream, head + 1, findings)
    return True


def _same_chain(stream: Stream, position: int) -> bool:
    """Whether both books hold the same chain value at this position; False when one does not keep it any more."""
    sender, receiver, generation = stream
    if generation != sender.replay.book.me.generation:
        return position == 0
    out = sender.replay.book.peers.get(receiver.node)
    into = receiver.replay.book.peers.get(sender.node)
    if out is None or into is None:
        return position == 0
    if into.generation != generation:
        return position == 0
    said = out.outgoing.chain if out.outgoing.n == position else out.unheard.get(position)
    return into.incoming.n == position and into.incoming.chain == said


def _first_difference(stream: Stream, until: int) -> int | None:
    sender, receiver, _ = stream
    for position in range(1, until + 1):
        if sender.says(stream.out, position) != receiver.applies(stream.in_, position).in_:
            return position
    return None


def _report_difference(stream: Stream, position: int, findings: Findings) -> bool:
    sender, receiver, _ = stream
    sent = _message(sender.says(stream.out, position))
    applied = receiver.applies(stream.in_, position)
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
    return isinstance(payee.decision(payer.node, transfer, payee.size), e.TransferReceived)


def _report_excess(stream: Stream, position: int, findings: Findings) -> bool:
    """A message that the sender's export does not hold. It may have been sent after the export was made, unless the
    message's own time, which its sender signed, is before the last entry that the export does hold.
    """
    sender, receiver, generation = stream
    applied = receiver.applies(stream.in_, position)
    heard = _message(applied.in_)
    until = sender.replay.book.time
    if generation != sender.replay.book.me.generation:
        return _report_lost(stream, position, findings)
    if heard.time >= until:
        return False
    return findings.add(
        "A43" if isinstance(applied, e.TransferReceived) else "A49",
        town=receiver.node,
        place=f"entry {applied.n}, message {position} of {sender.node} to {receiver.node}",
        expected=f"a message that {sender.node} sent; its journal goes on to {until} without it",
        found=f"{_show(heard)} of {heard.time}",
    )


def _report_lost(stream: Stream, position: int, findings: Findings) -> bool:
    """A message of a generation that is over, which the receiver applied and the sender lost: is it put back?"""
    sender, receiver, generation = stream
    peer = sender.replay.book.peers.get(receiver.node)
    recovers = peer is None or (peer.returning is not None and peer.returning.until < 0)
    return findings.add(
        "A28",
        town=sender.node,
        place=f"message {position} of {sender.node} {generation} to {receiver.node}",
        expected="what the peer applied is put back",
        found="it is not put back yet" if recovers else "it was not put back",
        verdict=Verdict.NOT_PROVEN if recovers else None,
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
