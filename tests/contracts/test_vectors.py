"""The committed vectors, judged by our code as another implementer would judge them by theirs."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from contracts.vectors.make_vectors import make_vectors
from timebank_contracts import checkpoint, dsse, keys, merkle, note, tiles
from timebank_contracts import messages as m
from timebank_contracts.accept import Duplicate, Gap, RolledBack, StopsAt, Unsigned, judge_segment
from timebank_contracts.amounts import parse_amount
from timebank_contracts.book import Book, apply
from timebank_contracts.entries import decode_entry, encode_entry
from timebank_contracts.errors import Breach, Malformed, Refusal
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.registry import Registry, open_registry
from timebank_contracts.segments import parse_segment
from timebank_contracts.streams import chain_start, fold

FOLDER = Path(__file__).parents[2] / "contracts" / "vectors"


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text("utf-8"))


def cases(name: str, part: str = "cases") -> list[Any]:
    found = read(name)[part]
    assert found
    return [pytest.param(case, id=str(case.get("name", case.get("text", number)))) for number, case in enumerate(found)]


def test_the_script_makes_the_committed_files_byte_for_byte() -> None:
    made = make_vectors()
    committed = {path.name for path in FOLDER.iterdir() if path.suffix in {".json", ".ndjson"}}
    assert committed == set(made)
    for name, text in made.items():
        assert (FOLDER / name).read_text("utf-8") == text, f"{name}: run python -m contracts.generate"


@pytest.mark.parametrize("case", cases("amounts.json"))
def test_an_amount_is_read_or_refused_as_said(case: Any) -> None:
    """PROTOCOL.md A2."""
    found: dict[str, Any]
    try:
        found = {"minutes": parse_amount(case["text"])}
    except Refusal as refusal:
        found = {"refused": refusal.code}
    except Malformed:
        found = {"malformed": True}
    assert {"text": case["text"], **found} == case


@pytest.mark.parametrize("case", cases("messages.json"))
def test_a_message_is_valid_malformed_or_unknown_as_said(case: Any) -> None:
    """PROTOCOL.md C1 to C4, E5, E7, E8."""
    raw = b64decode(case["bytes"])
    try:
        assert m.encode_message(m.decode_message(raw)) == raw
        outcome = "valid"
    except m.UnknownType:
        outcome = "unknown"
    except Malformed:
        outcome = "malformed"
    assert outcome == case["outcome"]


@pytest.mark.parametrize("case", cases("keys.json"))
def test_a_public_key_is_taken_or_weak_as_said(case: Any) -> None:
    """PROTOCOL.md G1."""
    public = b64decode(case["public"])
    if case["valid"]:
        keys.check_public_key(public)
        assert keys.key_id(public) == case["key_id"]
    else:
        with pytest.raises(keys.WeakKey):
            keys.check_public_key(public)


@pytest.mark.parametrize("case", cases("signatures.json"))
def test_a_signature_verifies_or_not_as_said(case: Any) -> None:
    """PROTOCOL.md G2."""
    parts = [b64decode(case[part]) for part in ("public", "message", "signature")]
    assert keys.verify(*parts) is case["valid"]


@pytest.mark.parametrize("case", cases("envelopes.json"))
def test_an_envelope_counts_the_signers_that_are_said(case: Any) -> None:
    """PROTOCOL.md G3."""
    envelope, named = b64decode(case["envelope"]), [b64decode(key) for key in case["keys"]]
    try:
        dsse.open_payload(envelope, payload_type=case["type"])
        signed_by = sorted(b64encode(key).decode() for key in dsse.signers(envelope, named))
    except Malformed:
        signed_by = None
    assert signed_by == case["signed_by"]


def test_a_chain_has_the_values_that_are_said() -> None:
    """PROTOCOL.md S1, S2."""
    said = read("chain.json")
    start = chain_start(**{name: said[name] for name in ("network", "sender", "generation", "receiver")})
    messages = [b64decode(raw) for raw in said["messages"]]
    assert [value.hex() for value in (start, *fold(start, messages))] == said["chain"]


def replay(journal: list[str]) -> Book:
    book = Book()
    for raw in journal:
        apply(book, decode_entry(b64decode(raw)))
    return book


@pytest.mark.parametrize("case", cases("segments.json"))
def test_a_segment_has_the_outcome_that_is_said_and_changes_nothing(case: Any) -> None:
    """PROTOCOL.md S3 to S10."""
    book = replay(read("segments.json")["journals"][case["journal"]])
    before = deepcopy(book)
    raw = b64decode(case["segment"]).ljust(case.get("padded_to_bytes", 0), b"\n")
    assert outcome_of(book, raw) == case["outcome"]
    assert book == before


def outcome_of(book: Book, raw: bytes) -> dict[str, Any]:
    try:
        judged = judge_segment(book, parse_segment(raw))
    except Malformed:
        return {"malformed": True}
    except Unsigned:
        return {"unsigned": True}
    except Refusal as refusal:
        return {"refused": refusal.code}
    except Breach as breach:
        return {"breach": {"code": breach.code, "position": breach.position}}
    except StopsAt as stop:
        return {"stops": {"position": stop.position}}
    except RolledBack:
        return {"rolled_back": True}
    if isinstance(judged, Duplicate):
        return {"duplicate": {"high": judged.high}}
    if isinstance(judged, Gap):
        return {"gap": {"after": judged.after}}
    return {"fresh": {"first": judged.first, "count": len(judged.messages)}}


def unhex(hashes: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in hashes]


def test_a_tree_has_the_roots_and_proofs_that_are_said() -> None:
    """PROTOCOL.md G4."""
    said = read("tree.json")
    leaves, roots = unhex(said["leaves"]), unhex(said["roots"])
    assert [merkle.leaf_hash(bytes.fromhex(entry)) for entry in said["entries"]] == leaves
    assert [merkle.root_of(leaves[:size]) for size in range(len(leaves) + 1)] == roots
    assert roots[8].hex().startswith("5dc9da79")
    for case in said["inclusion"]:
        leaf = leaves[case["index"]] if case["index"] < len(leaves) else b""
        try:
            root = merkle.root_from_inclusion(leaf, case["index"], case["size"], unhex(case["proof"]))
        except Malformed:
            root = b""
        assert (root == roots[case["size"]]) is case["valid"], case
    for case in said["consistency"]:
        old = roots[case["old"]] if case["old"] < len(roots) else b""
        proof = unhex(case["proof"])
        assert merkle.is_consistent(case["old"], old, case["size"], roots[case["size"]], proof) is case["valid"], case


@pytest.mark.parametrize("case", cases("checkpoints.json"))
def test_a_checkpoint_is_read_or_malformed_as_said(case: Any) -> None:
    """PROTOCOL.md G5, G6."""
    found: dict[str, Any]
    try:
        opened = checkpoint.open_checkpoint(b64decode(case["note"]), note.parse_vkey(case["vkey"]))
        found = {"size": opened.size, "root": opened.root.hex()}
    except Malformed:
        found = {"malformed": True}
    assert {name: case[name] for name in case if name not in ("name", "note", "vkey")} == found


def test_tiles_and_bundles_are_read_or_malformed_as_said() -> None:
    """PROTOCOL.md G7, G8, G9."""
    said = read("tiles.json")
    for case in said["paths"]:
        name = tiles.TileName(case["level"], case["number"], case["width"])
        assert (tiles.tile_path(name), tiles.parse_tile_path(case["path"])) == (case["path"], name)
    for path in said["bad_paths"]:
        with pytest.raises(Malformed):
            tiles.parse_tile_path(path)
    for case in said["bundles"]:
        entries = [b64decode(entry) for entry in case["entries"]]
        assert tiles.decode_bundle(b64decode(case["bundle"])) == entries
        assert tiles.encode_bundle(entries) == b64decode(case["bundle"])
    for raw in said["bad_bundles"]:
        with pytest.raises(Malformed):
            tiles.decode_bundle(b64decode(raw))
    for size, paths in said["tiles_of"].items():
        assert [tiles.tile_path(name) for name in tiles.tiles_of(int(size))] == paths


@pytest.mark.parametrize("part", ["first", "second"])
def test_a_registry_is_accepted_or_not_as_said(part: str) -> None:
    """PROTOCOL.md R1, R2, R3."""
    said = read("registry.json")
    first = open_registry(b64decode(said["first"]["envelope"]), previous=None)
    assert first.sha256 == said["first"]["sha256"]
    assert first.pair_limit("aberdare", "barry") == said["pair_limit"]["aberdare"]["barry"]
    previous: Registry | None = None if part == "first" else first
    assert open_registry(b64decode(said[part]["envelope"]), previous=previous).sha256 == said[part]["sha256"]
    for case in said[f"{part}_cases"]:
        if case["valid"]:
            open_registry(b64decode(case["envelope"]), previous=previous)
            continue
        with pytest.raises(Malformed):
            open_registry(b64decode(case["envelope"]), previous=previous)


def lines(name: str) -> list[bytes]:
    raw = (FOLDER / name).read_bytes()
    assert raw.endswith(b"\n")
    return raw[:-1].split(b"\n")


def replay_lines(name: str) -> Book:
    book = Book()
    entries = [decode_entry(raw) for raw in lines(name)]
    for entry in entries:
        apply(book, entry, read=entries.__getitem__)
        assert not broken_invariants(book)
    return book


@pytest.mark.parametrize("town", ["aberdare", "barry"])
def test_a_journal_comes_to_what_is_said(town: str) -> None:
    """PROTOCOL.md B4, I1, I2, E1."""
    said = read("journal.json")["towns"][town]
    journal = lines(said["file"])
    leaves = [merkle.leaf_hash(raw) for raw in journal]
    assert all(encode_entry(decode_entry(raw)) == raw for raw in journal)
    assert len(journal) == said["size"]
    assert merkle.root_of(leaves).hex() == said["root"]
    assert {size: merkle.root_of(leaves[: int(size)]).hex() for size in said["roots"]} == said["roots"]
    book = replay_lines(said["file"])
    assert dict(book.balances()) == said["balances"]
    assert sum(said["balances"].values()) == 0
    assert {name: found.minutes for name, found in book.open_transfers.items()} == said["open_transfers"]
    assert book.debt == said["debt"]
    assert sorted(name for name, found in book.accounts.items() if found.state == "closed") == said["closed"]
    open_claims = {name: {"minutes": one.minutes, "disputed": one.disputed} for name, one in book.claims.items()}
    assert open_claims == said["claims"]
    assert (sorted(book.sent_claims), book.refunded) == (said["sent_claims"], said["refunded"])
    assert {str(position): list(taken) for position, taken in book.reversed.items()} == said["taken_back"]
    for peer, streams in said["streams"].items():
        state = book.peers[peer]
        assert (state.heard, state.debt) == (streams["heard"], streams["debt"])
        for way in ("incoming", "outgoing"):
            head = getattr(state, way)
            assert {"n": head.n, "chain": head.chain.hex()} == streams[way]


@pytest.mark.parametrize("case", cases("refusals.json"))
def test_an_entry_is_refused_with_the_code_that_is_said_and_changes_nothing(case: Any) -> None:
    """PROTOCOL.md B2."""
    book = replay_lines("journal-aberdare.ndjson")
    entries = [decode_entry(raw) for raw in lines("journal-aberdare.ndjson")]
    for raw in case["after"]:
        entries.append(decode_entry(b64decode(raw)))
        apply(book, entries[-1], read=entries.__getitem__)
    before = deepcopy(book)
    with pytest.raises(Refusal) as caught:
        apply(book, decode_entry(b64decode(case["entry"])), read=entries.__getitem__)
    assert caught.value.code == case["refused"]
    assert book == before
