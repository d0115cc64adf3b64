"""Vectors of the log: tree, proofs, notes and checkpoints, tiles and bundles."""

from __future__ import annotations

from typing import Any

from contracts.vectors.paper_town import make_key
from contracts.vectors.vectors_bytes import Case, b64
from timebank_contracts import checkpoint as c
from timebank_contracts import merkle, note, tiles
from timebank_contracts.checkpoint import Checkpoint

RFC6962_ENTRIES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
"""The test data of RFC 6962's reference implementation, hex."""
SIZES = range(len(RFC6962_ENTRIES) + 1)


def tree_vectors() -> dict[str, Any]:
    """Roots of the first n entries, all proofs among them, and proofs that must not verify."""
    leaves = [merkle.leaf_hash(bytes.fromhex(entry)) for entry in RFC6962_ENTRIES]
    roots = [merkle.root_of(leaves[:size]).hex() for size in SIZES]
    inclusion: list[Case] = [
        {"index": index, "size": size, "proof": _hex(merkle.inclusion_proof(leaves[:size], index)), "valid": True}
        for size in SIZES
        for index in range(size)
    ]
    consistency: list[Case] = [
        {"old": old, "size": size, "proof": _hex(merkle.consistency_proof(leaves[:size], old)), "valid": True}
        for size in SIZES
        for old in range(1, size + 1)
    ]
    proof, steps = inclusion[-4]["proof"], consistency[-4]["proof"]
    one, two = {"index": 4, "size": 8}, {"old": 5, "size": 8}
    assert {**one, "proof": proof, "valid": True} in inclusion
    assert {**two, "proof": steps, "valid": True} in consistency
    inclusion += [{**one, "proof": bad, "valid": False} for bad in _forge(proof)]
    inclusion += [
        {**one, "index": 5, "proof": proof, "valid": False},
        {**one, "index": 8, "proof": proof, "valid": False},
    ]
    consistency += [{**two, "proof": bad, "valid": False} for bad in _forge(steps)]
    consistency += [{"old": old, "size": 8, "proof": steps, "valid": False} for old in (0, 4, 9)]
    return {
        "entries": RFC6962_ENTRIES,
        "leaves": _hex(leaves),
        "roots": roots,
        "inclusion": inclusion,
        "consistency": consistency,
    }


def _hex(hashes: list[bytes]) -> list[str]:
    return [value.hex() for value in hashes]


def _forge(proof: list[str]) -> list[list[str]]:
    flipped = f"{int(proof[0][:2], 16) ^ 1:02x}" + proof[0][2:]
    return [[flipped, *proof[1:]], proof[:-1], proof[1:], [*proof, proof[0]], list(reversed(proof)), []]


def checkpoint_cases() -> list[Case]:
    """Notes, judged with one verifier key: the checkpoint in it, or malformed."""
    origin = "timebank.wales/aberdare/g1"
    key = make_key("aberdare log key")
    vkey = note.VerifierKey(origin, key.public)
    root = merkle.root_of([merkle.leaf_hash(bytes.fromhex(entry)) for entry in RFC6962_ENTRIES])
    good = c.sign_checkpoint(Checkpoint(origin, 8, root), key)
    empty = c.sign_checkpoint(Checkpoint(origin, 0, merkle.EMPTY_ROOT), key)
    witness = note.sign_note(c.checkpoint_text(Checkpoint(origin, 8, root)), "witness.example", make_key("witness"))
    line = witness.split(b"\n\n")[1]
    cases: list[Case] = [
        {"name": "valid", "note": b64(good), "size": 8, "root": root.hex()},
        {"name": "valid-empty-log", "note": b64(empty), "size": 0, "root": merkle.EMPTY_ROOT.hex()},
        {"name": "valid-with-an-unknown-signature", "note": b64(good + line), "size": 8, "root": root.hex()},
    ]
    text = c.checkpoint_text(Checkpoint(origin, 8, root))
    texts = {
        "a-leading-zero": text.replace("\n8\n", "\n08\n"),
        "a-plus-sign": text.replace("\n8\n", "\n+8\n"),
        "full-width-digits": text.replace("\n8\n", "\n\uff18\n"),
        "an-underscore": text.replace("\n8\n", "\n1_0\n"),
        "an-extension-line": text + "extension\n",
        "a-short-root": text.replace(text.split("\n")[2], b64(root[:31])),
        "base64-with-trailing-bits": f"{text[:-3]}{_next_bits(text[-3])}=\n",
        "another-origin": text.replace("aberdare", "barry"),
    }
    signed = {name: note.sign_note(bad, origin, key) for name, bad in texts.items()}
    forged = {
        "another-name": note.sign_note(text, "timebank.wales/barry/g1", key),
        "another-key": note.sign_note(text, origin, make_key("barry log key")),
        "another-text": good.replace(b"\n8\n", b"\n9\n"),
        "no-signature": text.encode() + b"\n",
        "no-blank-line": good.replace(b"\n\n", b"\n"),
        "no-final-line-feed": good[:-1],
        "text-after-the-signatures": good + b"\nmore\n",
        "carriage-returns": good.replace(b"\n", b"\r\n"),
        "a-hyphen-for-the-dash": good.replace("\N{EM DASH}".encode(), b"-"),
        "only-a-witness-signed": witness,
        "too-many-signatures": good + line * 100,
    }
    cases += [{"name": name, "note": b64(raw), "malformed": True} for name, raw in (signed | forged).items()]
    return [{**case, "vkey": vkey.text} for case in cases]


def _next_bits(sign: str) -> str:
    """The base64 sign after this one: the same bytes, other bits after their end."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return alphabet[alphabet.index(sign) + 1]


def tile_vectors() -> dict[str, Any]:
    names = [
        tiles.TileName(0, 0, 256),
        tiles.TileName(0, 1234067, 256),
        tiles.TileName(1, 5, 17),
        tiles.TileName(None, 999, 256),
        tiles.TileName(None, 1000, 3),
    ]
    bad = [
        "tile/0/0",
        "tile/0/x000/001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/012",
        "tile/64/000",
        "tile/00/000",
        "tile/-1/000",
        "/tile/0/000",
        "tile/0/../000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/\uff10\uff10\uff10",
    ]
    entries = [b'{"n":0}', b"", b"x" * 300]
    bundle = tiles.encode_bundle(entries)
    return {
        "paths": [{"path": tiles.tile_path(n), "level": n.level, "number": n.number, "width": n.width} for n in names],
        "bad_paths": bad,
        "bundles": [{"bundle": b64(bundle), "entries": [b64(entry) for entry in entries]}],
        "bad_bundles": [b64(bundle[:-1]), b64(bundle + b"\x00"), b64(b"\x00\x05abcd"), b64(b"\x00\x00" * 257)],
        "tiles_of": {str(size): [tiles.tile_path(n) for n in tiles.tiles_of(size)] for size in (0, 1, 256, 257, 600)},
    }
