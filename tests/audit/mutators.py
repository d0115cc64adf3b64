"""One fault for each check, planted in a good network: before the export where it is the operator's own lie (the log is
signed over it), in the exported files where it is not.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Raw

from tests.audit.builder import MEMBER, OPERATOR, Network, Writer, alias, key, season
from timebank_contracts import canonical, dsse
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.keys import b64_encode
from timebank_contracts.registry import PAYLOAD_TYPE as REGISTRY_TYPE
from timebank_contracts.segments import Heard
from timebank_contracts.tiles import decode_bundle, encode_bundle
from timebank_ledger import commands as c

Mutator = Callable[[Path], None]
"""Writes a mutated export of three towns into a directory."""

MUTATORS: dict[str, Mutator] = {}
"""By code; more than one mutator of a code has a letter behind it."""


def lie(code: str) -> Callable[[Callable[[Network], None]], Callable[[Network], None]]:
    """Register a fault in a journal, under which the operator signs."""

    def register(change: Callable[[Network], None]) -> Callable[[Network], None]:
        def mutate(directory: Path) -> None:
            network = season()
            change(network)
            network.export(directory)

        MUTATORS[code] = mutate
        return change

    return register


def damage(code: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Register a fault in the files of barry's export."""

    def register(change: Callable[[Path], None]) -> Callable[[Path], None]:
        def mutate(directory: Path) -> None:
            season().export(directory)
            change(directory / "barry")

        MUTATORS[code] = mutate
        return change

    return register


def last_file(town: Path, level: str) -> Path:
    """The one partial tile of a small log."""
    return next((town / "tile" / level).glob("000.p/*"))


def rewrite(file: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the entries of a bundle."""
    file.write_bytes(encode_bundle(change(decode_bundle(file.read_bytes()))))


def posting(town: Writer, *postings: tuple[str, int], purpose: str = "gift") -> e.TransferPosted:
    """A local transfer that the rules have not seen."""
    data = e.Posted(purpose=purpose, confirmed_by="receiver")  # type: ignore[arg-type]
    return e.TransferPosted(n=len(town.raws), time=town.network.tick(), by=MEMBER, postings=list(postings), data=data)


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


@damage("A01")
def tile_byte(town: Path) -> None:
    file = last_file(town, "0")
    raw = bytearray(file.read_bytes())
    raw[40] ^= 1
    file.write_bytes(bytes(raw))


@damage("A01b")
def tile_missing(town: Path) -> None:
    last_file(town, "0").unlink()


@damage("A02")
def tail_cut(town: Path) -> None:
    rewrite(last_file(town, "entries"), lambda entries: entries[:-2])


@damage("A02b")
def bundle_missing(town: Path) -> None:
    last_file(town, "entries").unlink()


@lie("A03")
def blank_in_entry(network: Network) -> None:
    town = network.towns["barry"]
    town.force(e.encode_entry(posting(town, ("alys", -5), ("bryn", 5))).replace(b',"type"', b', "type"'))


@damage("A04")
def entry_changed(town: Path) -> None:
    rewrite(
        last_file(town, "entries"),
        lambda entries: [raw.replace(b'["alys",-32],["bryn",32]', b'["alys",-39],["bryn",39]') for raw in entries],
    )


@lie("A05")
def position_skipped(network: Network) -> None:
    town = network.towns["barry"]
    town.force(msgspec.structs.replace(posting(town, ("alys", -5), ("bryn", 5)), n=len(town.raws) + 1))


@lie("A06")
def future_type(network: Network) -> None:
    town = network.towns["barry"]
    raw = e.encode_entry(posting(town, ("alys", -5), ("bryn", 5)))
    town.force(raw.replace(b'"transfer.posted"', b'"transfer.zipped"'))


@damage("A10")
def signature_changed(town: Path) -> None:
    file = town / "checkpoint"
    text, _, encoded = file.read_text().rstrip("\n").rpartition(" ")
    raw = bytearray(base64.b64decode(encoded))
    raw[-40] ^= 1
    file.write_text(f"{text} {b64_encode(bytes(raw))}\n")


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


@lie("A21b")
def peer_key_swapped(network: Network) -> None:
    town = network.towns["caernarfon"]
    peer = town.book.peers["aberdare"]
    data = e.Peer(
        peer="aberdare",
        generation="g1",
        state="open",
        owe_limit=peer.owe_limit,
        owed_limit=peer.owed_limit,
        event_keys=[b64_encode(key("nobody").public)],
    )
    town.write([e.PeerChanged(n=len(town.raws), time=network.tick(), by=OPERATOR, data=data)])


@lie("A21c")
def log_key_swapped(network: Network) -> None:
    network.towns["barry"].log_key = key("nobody")


@lie("A21d")
def registry_swapped(network: Network) -> None:
    other = network.make_registry(limit=1, previous=network.registry)
    network.towns["barry"].registries[2] = network.sign(msgspec.structs.replace(other, version=2))


@lie("A22")
def operator_missing(network: Network) -> None:
    envelope = dsse.sign(canonical.encode(network.registry), payload_type=REGISTRY_TYPE, keys=network.operators[:1])
    network.towns["barry"].registries[2] = envelope


@lie("A26")
def signature_missing(network: Network) -> None:
    town, _, segment = next_segment(network)
    accepted(town, "aberdare", edit_envelope(segment, signatures=[]))


@lie("A27")
def two_registries(network: Network) -> None:
    for town, limit in zip(network.towns.values(), (1_000, 900, 1_000), strict=True):
        registry = network.make_registry(limit=limit, previous=network.registry)
        town.accept(registry, network.sign(registry))


def credit(town: Writer, message: bytes, sender: str) -> e.TransferReceived:
    """The entry that credits a peer's `transfer.sent`, made without asking the rules."""
    heard = m.decode_message(message)
    data = heard.data
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


@lie("A30")
def unbalanced(network: Network) -> None:
    town = network.towns["barry"]
    town.force(posting(town, ("alys", -5), ("bryn", 6)))


@lie("A31")
def account_unknown(network: Network) -> None:
    town = network.towns["barry"]
    town.force(posting(town, ("alys", -5), ("nobody", 5)))


@lie("A32")
def floor_passed(network: Network) -> None:
    town = network.towns["barry"]
    town.force(posting(town, ("alys", -2_000), ("bryn", 2_000)))


@lie("A32b")
def limit_raised(network: Network) -> None:
    town = network.towns["caernarfon"]
    data = e.Peer(
        peer="aberdare",
        generation="g1",
        state="open",
        owe_limit=9_000,
        owed_limit=9_000,
        event_keys=[b64_encode(network.towns["aberdare"].event_key.public)],
    )
    town.write([e.PeerChanged(n=len(town.raws), time=network.tick(), by=OPERATOR, data=data)])


@lie("A33")
def key_again(network: Network) -> None:
    town = network.towns["barry"]
    town.give(10, client_key="twice")
    town.give(10, client_key="twice")


@lie("A33b")
def entry_again(network: Network) -> None:
    town = network.towns["barry"]
    town.force(town.raws[-1])


@lie("A34")
def reversed_twice(network: Network) -> None:
    town = network.towns["barry"]
    mistake = town.give(10)
    written = town.do(c.ReverseTransfer(by=OPERATOR, transfer=f"barry.g1.{mistake.n}", reason="mistake"))
    town.force(msgspec.structs.replace(written, n=len(town.raws), time=network.tick()))


@lie("A38")
def time_backwards(network: Network) -> None:
    town = network.towns["barry"]
    early = msgspec.structs.replace(posting(town, ("alys", -5), ("bryn", 5)), time="2026-01-01T00:00:00.000Z")
    town.force(early)


@lie("A39")
def service_without_activity(network: Network) -> None:
    town = network.towns["barry"]
    town.force(posting(town, ("alys", -5), ("bryn", 5), purpose="service"))


@lie("A40")
def left_open(network: Network) -> None:
    network.tick(60 * 24 * 40)
    network.towns["barry"].give(5)


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
