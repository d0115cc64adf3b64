"""Faults between towns, one for each check: what only segments, streams or the other town's journal can show."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from msgspec import Raw

from tests.audit.builder import OPERATOR, Network, Writer, alias, key
from tests.audit.mutators import MUTATORS, lie
from tests.audit.season import season
from timebank_contracts import canonical
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.segments import Heard
from timebank_ledger import commands as c


def accepted(town: Writer, sender: str, segment: bytes) -> None:
    """Force `segment.accepted` with a segment's envelope, whatever the rules say."""
    by = e.Actor(kind="peer", id=sender)
    data = e.SegmentAccepted(envelope=Raw(segment.split(b"\n")[0]))
    town.force(e.SegmentAcceptedEntry(n=len(town.raws), time=town.network.tick(), by=by, data=data))


def next_segment(network: Network) -> tuple[Writer, Writer, bytes]:
    """Barry, aberdare, and aberdare's next segment to barry."""
    a, b = network.towns["aberdare"], network.towns["barry"]
    return b, a, a.segment("barry", after=b.book.peers["aberdare"].incoming.n)


def edit_envelope(segment: bytes, **changes: object) -> bytes:
    """The segment with changed fields of its envelope, not signed again."""
    envelope, _, rest = segment.partition(b"\n")
    return canonical.encode(json.loads(envelope) | changes) + b"\n" + rest


@lie("A20")
def signature_forged(network: Network) -> None:
    town, sender, segment = next_segment(network)
    [signature] = json.loads(segment.split(b"\n")[0])["signatures"]
    other = sender.segment("barry", after=0, messages=[])
    [wrong] = json.loads(other.split(b"\n")[0])["signatures"]
    accepted(town, "aberdare", edit_envelope(segment, signatures=[signature | {"sig": wrong["sig"]}]))


@lie("A21")
def key_unknown(network: Network) -> None:
    town, sender, _ = next_segment(network)
    after = town.book.peers["aberdare"].incoming.n
    accepted(town, "aberdare", sender.segment("barry", after=after, signed_by=key("nobody")))


@lie("A26")
def signature_missing(network: Network) -> None:
    town, _, segment = next_segment(network)
    accepted(town, "aberdare", edit_envelope(segment, signatures=[]))


def credit(town: Writer, message: bytes, sender: str) -> e.TransferReceived:
    """The entry that credits a peer's `transfer.sent`, made without asking the rules."""
    heard = m.decode_message(message)
    data = heard.data
    assert isinstance(data, m.Sent)
    peer = town.book.peers[sender]
    now = town.network.tick()
    answer = m.TransferReceivedMessage(
        id=m.message_id(sender, "g1", peer.outgoing.n + 1),
        source=town.node,
        specversion="1.0",
        subject=sender,
        time=now,
        data=m.Received(transfer=data.transfer, minutes=data.minutes),
    )
    return e.TransferReceived(
        n=len(town.raws),
        time=now,
        by=e.Actor(kind="peer", id=sender),
        data=e.Settled(transfer=data.transfer),
        postings=[(f"clearing:{sender}", -data.minutes), ("bryn", data.minutes)],
        in_=Raw(message),
        out=Raw(m.encode_message(answer)),
    )


@lie("A29")
def no_segment(network: Network) -> None:
    town, sender, _ = next_segment(network)
    town.force(credit(town, sender.messages("barry")[town.book.peers["aberdare"].incoming.n], "aberdare"))


@lie("A29b")
def message_changed(network: Network) -> None:
    town, sender, segment = next_segment(network)
    accepted(town, "aberdare", segment)
    message = sender.messages("barry")[town.book.peers["aberdare"].incoming.n]
    town.force(credit(town, message.replace(b'"minutes":11', b'"minutes":12'), "aberdare"))


@lie("A41")
def other_minutes(network: Network) -> None:
    town = network.towns["aberdare"]
    town.rewind(next(n for n, raw in enumerate(town.raws) if b'"minutes":40' in raw))
    town.send("barry", 44)
    town.send("barry", 7, payee="nobody")
    town.send("barry", 11)


@lie("A41b")
def decided_for_other_minutes(network: Network) -> None:
    sender, town, message = decision(network, transfer="aberdare.g1.barry.6", minutes=99)
    _settle(town, sender, message, transfer="aberdare.g1.barry.6", minutes=11)


@lie("A42")
def decided_for_nothing(network: Network) -> None:
    sender, town, message = decision(network, transfer="aberdare.g1.barry.77", minutes=11)
    _settle(town, sender, message, transfer="aberdare.g1.barry.77", minutes=11)


def decision(network: Network, *, transfer: str, minutes: int) -> tuple[Writer, Writer, bytes]:
    """Barry, aberdare, and a `transfer.received` by which barry would answer aberdare next."""
    b, a = network.towns["barry"], network.towns["aberdare"]
    message = m.TransferReceivedMessage(
        id=m.message_id("aberdare", "g1", a.book.peers["barry"].incoming.n + 1),
        source="barry",
        specversion="1.0",
        subject="aberdare",
        time=network.tick(),
        data=m.Received(transfer=transfer, minutes=minutes),
    )
    return b, a, m.encode_message(message)


def _settle(town: Writer, sender: Writer, message: bytes, *, transfer: str, minutes: int) -> None:
    after = town.book.peers[sender.node].incoming.n
    accepted(town, sender.node, sender.segment(town.node, after=after, messages=[message]))
    town.force(
        e.TransferSettled(
            n=len(town.raws),
            time=town.network.tick(),
            by=e.Actor(kind="peer", id=sender.node),
            data=e.Settled(transfer=transfer),
            postings=[(f"transit:{sender.node}", -minutes), (f"clearing:{sender.node}", minutes)],
            in_=Raw(message),
        )
    )


@lie("A43")
def sending_denied(network: Network) -> None:
    town = network.towns["aberdare"]
    town.rewind(next(n for n, raw in enumerate(town.raws) if b'"minutes":40' in raw))
    town.give(5)


@lie("A44")
def credited_twice(network: Network) -> None:
    town, sender, _ = next_segment(network)
    after = town.book.peers["aberdare"].incoming.n - 1
    accepted(
        town, "aberdare", sender.segment("barry", after=after, messages=sender.messages("barry")[after : after + 1])
    )


@lie("A45")
def returned_and_received(network: Network) -> None:
    town, sender = network.towns["barry"], network.towns["aberdare"]
    at = next(n for n, raw in enumerate(town.raws) if b'"segment.accepted"' in raw)
    then = e.decode_entry(town.raws[at]).time
    town.rewind(at)
    town.do(c.IssueAlias(by=OPERATOR, account="alys", alias=alias("nobody barry")), time=town.book.time)
    nothing = Heard(generation="g1", n=0, chain=town.book.peers["aberdare"].unheard[0].hex())
    town.hear(sender, until=2, heard=nothing, time=then)


@lie("A49")
def other_history_heard(network: Network) -> None:
    town, sender = network.towns["aberdare"], network.towns["barry"]
    said = Heard(generation="g1", n=town.book.peers["barry"].outgoing.n, chain="0" * 64)
    after = town.book.peers["barry"].incoming.n
    accepted(town, "barry", sender.segment("aberdare", after=after, heard=said))


@lie("A53")
def message_left_out(network: Network) -> None:
    town, sender, _ = next_segment(network)
    sender.send("barry", 8)
    after = town.book.peers["aberdare"].incoming.n + 1
    accepted(town, "aberdare", sender.segment("barry", after=after))


def peer_left_out(directory: Path) -> None:
    """A48: one town's export is not given."""
    season().export(directory)
    shutil.rmtree(directory / "caernarfon")


MUTATORS["A48"] = peer_left_out
