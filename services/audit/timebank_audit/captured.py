"""A51: segments that somebody captured on their way, beside the sender's own journal.

A captured segment counts when an event key of its sender, from any accepted registry version, signed it: then every
message in it must be the one that the sender's journal sends at that position of the stream.
Source: design page 5, A51; PROTOCOL.md S3 to S7.
"""

from __future__ import annotations

from timebank_audit.findings import Findings
from timebank_audit.key_uses import EVENT
from timebank_audit.towns import Town
from timebank_contracts import dsse
from timebank_contracts import messages as m
from timebank_contracts.cut import StreamName
from timebank_contracts.segments import SEGMENT_BYTES_MAX, Segment, parse_segment
from timebank_contracts.streams import chain_start, fold

FOLDER = "segments"


def judge_captured(towns: list[Town], sound: dict[str, Town], findings: Findings) -> list[str]:
    """Judge every captured segment of every town; returns what could not be used, as sentences.

    Raises:
        Malformed: a file among them is no segment.
    """
    unproven = []
    for town in towns:
        for name in town.files.names(FOLDER):
            path = f"{FOLDER}/{name}"
            segment = parse_segment(town.files.read(path, bytes_max=SEGMENT_BYTES_MAX) or b"")
            place = f"{path} of {town.node}"
            sender = sound.get(segment.statement.from_)
            if sender is None or segment.statement.generation not in sender.replay.book.began:
                unproven.append(f"{place}: the journal of its sender, {segment.statement.from_}, was not given.")
            elif not _is_signed(segment, towns):
                unproven.append(f"{place}: no key of {sender.node} in these registries signed it; it was not used.")
            else:
                _judge(segment, sender, place, findings)
    return unproven


def _is_signed(segment: Segment, towns: list[Town]) -> bool:
    holder = segment.statement.from_
    keys = {key for town in towns for key in town.registries.uses.held(holder, EVENT)}
    return bool(dsse.signers(segment.envelope, tuple(keys)))


def _judge(segment: Segment, sender: Town, place: str, findings: Findings) -> None:
    """Compare message for message; one that was sent after the export is judged by its own time, as in `streams.py`."""
    said = segment.statement
    findings.examine("A51", max(1, said.count))
    to = StreamName(said.generation, said.to)
    head = sender.head(to, sender.size)
    for position, raw in enumerate(segment.messages, said.first):
        where = f"{place}, message {position} of {sender.node} to {said.to}"
        if position <= head:
            sent = bytes(sender.says(to, position))
            if sent != raw:
                expected = f"what the journal of {sender.node} sent: {_show(sent)}"
                findings.add("A51", town=sender.node, place=where, expected=expected, found=_show(raw))
                return
        elif m.decode_message(raw).time < sender.replay.book.time:
            expected = f"a message that {sender.node} sent; its journal goes on to {sender.replay.book.time} without it"
            findings.add("A51", town=sender.node, place=where, expected=expected, found=_show(raw))
            return
    if said.first - 1 <= head and (chain := _chain(sender, to, said.first - 1)) != said.prior:
        found = f"the chain value {said.prior}"
        place = f"{place}, before message {said.first}"
        findings.add("A51", town=sender.node, place=place, expected=f"the chain value {chain}", found=found)


def _chain(sender: Town, to: StreamName, position: int) -> str:
    me = sender.identity
    chain = chain_start(network=me.network, sender=me.node, generation=to.generation, receiver=to.peer)
    for at in range(1, position + 1):
        [chain] = fold(chain, [bytes(sender.says(to, at))])
    return chain.hex()


def _show(raw: bytes) -> str:
    return raw[:300].decode("utf-8", errors="backslashreplace")
