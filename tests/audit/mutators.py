"""One fault for each check, planted in a good network: before the export where it is the operator's own lie (the log is
signed over it), in the exported files where it is not.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.audit.builder import MEMBER, OPERATOR, Network, Writer, key
from tests.audit.returned import put_back, returned
from tests.audit.season import season
from timebank_contracts import canonical, dsse
from timebank_contracts import entries as e
from timebank_contracts.keys import b64_encode
from timebank_contracts.registry import PAYLOAD_TYPE as REGISTRY_TYPE
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
    data = e.Posted(purpose=purpose, confirmed_by="receiver")  # type: ignore[arg-type]  # from the closed set
    return e.TransferPosted(n=len(town.raws), time=town.network.tick(), by=MEMBER, postings=list(postings), data=data)


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


@lie("A27")
def two_registries(network: Network) -> None:
    for town, limit in zip(network.towns.values(), (1_000, 900, 1_000), strict=True):
        registry = network.make_registry(limit=limit, previous=network.registry)
        town.accept(registry, network.sign(registry))


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


def _lost(directory: Path) -> None:
    """A28: a town came back, and does not put back what its peer applied; both say so together."""
    network = returned()
    aberdare, barry = network.towns.values()
    known = aberdare.book.peers["barry"].returning
    assert known is not None
    put_back(aberdare, barry, until=0, n=known.said.n, chain=known.said.chain.hex())
    network.export(directory)


MUTATORS["A28"] = _lost
