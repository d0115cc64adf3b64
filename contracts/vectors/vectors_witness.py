"""Vectors of witnessing: requests, cosignatures, and evidence that a node said two things."""

from __future__ import annotations

from typing import Any

import msgspec

from contracts.vectors.paper_town import make_key
from contracts.vectors.vectors_bytes import Case, b64
from timebank_contracts import checkpoint as c
from timebank_contracts import equivocation, merkle, note
from timebank_contracts import witness_request as w
from timebank_contracts.checkpoint import Checkpoint
from timebank_contracts.names import Identity
from timebank_contracts.segments import Heard, make_segment
from timebank_contracts.streams import StreamHead, chain_start

ORIGIN = "timebank.wales/aberdare/g1"
LOG = make_key("aberdare log key")
EVENT = make_key("aberdare event key")
WITNESS = make_key("witness key")
VKEY = note.VerifierKey(ORIGIN, LOG.public)
WITNESS_VKEY = note.VerifierKey("witness.example/w1", WITNESS.public, note.COSIGNATURE)
NOON = 1_790_000_000
LEAVES = [merkle.leaf_hash(f"entry {number}".encode()) for number in range(11)]
FORKED = [*LEAVES[:5], *(merkle.leaf_hash(f"other {number}".encode()) for number in range(5, 11))]


def _note(leaves: list[bytes], size: int) -> bytes:
    return c.sign_checkpoint(Checkpoint(ORIGIN, size, merkle.root_of(leaves[:size])), LOG)


def witness_vectors() -> dict[str, Any]:
    """What is sent to a witness, what it signs, and what proves that a log has forked."""
    return {
        "rules": ["V1", "V3", "V6"],
        "log_vkey": VKEY.text,
        "witness_vkey": WITNESS_VKEY.text,
        "requests": _requests(),
        "cosigned": _cosigned(),
        "evidence": _evidence(),
    }


def _requests() -> list[Case]:
    proof = merkle.consistency_proof(LEAVES, 7)
    good = w.make_request(w.WitnessRequest(7, proof, _note(LEAVES, 11)))
    first = w.make_request(w.WitnessRequest(0, [], _note(LEAVES, 11)))
    step = b64(proof[0]).encode()
    cases: list[Case] = [
        {"name": "valid", "body": b64(good), "old": 7, "proof": [one.hex() for one in proof]},
        {"name": "valid-first", "body": b64(first), "old": 0, "proof": []},
    ]
    forged = {
        "a-leading-zero": good.replace(b"old 7", b"old 07"),
        "a-plus-sign": good.replace(b"old 7", b"old +7"),
        "an-underscore": good.replace(b"old 7", b"old 1_0"),
        "full-width-digits": good.replace(b"old 7", "old \uff17".encode()),
        "no-old-line": good.split(b"\n", 1)[1],
        "two-blanks": good.replace(b"old 7", b"old  7"),
        "no-empty-line": good.replace(b"\n\n", b"\n", 1).replace(b"\n\n", b"\n"),
        "no-checkpoint": good.partition(b"\n\n")[0] + b"\n\n",
        "carriage-returns": good.replace(b"\n", b"\r\n"),
        "a-short-hash": good.replace(step, b64(proof[0][:31]).encode()),
        "base64-without-padding": good.replace(step, step.rstrip(b"=")),
        "a-proof-from-zero": first.replace(b"old 0\n", b"old 0\n" + step + b"\n"),
        "too-many-lines": good.replace(step + b"\n", (step + b"\n") * 64, 1),
    }
    return cases + [{"name": name, "body": b64(raw), "malformed": True} for name, raw in forged.items()]


def _cosigned() -> list[Case]:
    checkpoint = c.parse_checkpoint(note.open_note(_note(LEAVES, 11), []).text)
    signed = _note(LEAVES, 11)
    line = c.cosign(checkpoint, name=WITNESS_VKEY.name, key=WITNESS, at_seconds=NOON)
    older = c.cosign(checkpoint, name=WITNESS_VKEY.name, key=WITNESS, at_seconds=NOON - 60)
    raw = note.open_note(b"text\n\n" + line, []).unknown[0].signature
    other_time = note.signature_line(WITNESS_VKEY, (NOON + 1).to_bytes(8, "big") + raw[8:])
    plain = note.signature_line(
        WITNESS_VKEY, NOON.to_bytes(8, "big") + WITNESS.sign(c.checkpoint_text(checkpoint).encode())
    )
    stranger = c.cosign(checkpoint, name="witness.example/w2", key=make_key("another witness"), at_seconds=NOON)
    cases: list[Case] = [
        {"name": "valid", "note": b64(signed + line), "time": NOON},
        {"name": "valid-the-latest-counts", "note": b64(signed + line + older), "time": NOON},
        {"name": "valid-no-cosignature", "note": b64(signed), "time": None},
        {"name": "valid-a-stranger-is-ignored", "note": b64(signed + stranger), "time": None},
    ]
    forged = {
        "another-time": signed + other_time,
        "the-text-without-the-time": signed + plain,
        "another-checkpoint": _note(LEAVES, 10) + line,
        "not-signed-by-the-log": c.checkpoint_text(checkpoint).encode() + b"\n" + line,
    }
    return cases + [{"name": name, "note": b64(raw_note), "malformed": True} for name, raw_note in forged.items()]


def _evidence() -> list[Case]:
    size = equivocation.two_checkpoints(VKEY, _note(LEAVES, 7), _note(FORKED, 7))
    pair = equivocation.two_checkpoints(
        VKEY, _note(LEAVES, 7), _note(FORKED, 11), proof=merkle.consistency_proof(FORKED, 7)
    )
    roots = equivocation.two_statements(EVENT.public, _envelope(LEAVES, 7), _envelope(FORKED, 7))
    assert size is not None
    assert pair is not None
    assert roots is not None
    honest_path = [step.hex() for step in merkle.consistency_proof(LEAVES, 7)]
    replace = msgspec.structs.replace
    honest = replace(pair, second=_note(LEAVES, 11).decode(), path=honest_path)
    good: dict[str, equivocation.Evidence] = {"two-roots": size, "no-beginning": pair, "two-stated-roots": roots}
    bad: dict[str, equivocation.Evidence] = {
        "one-note-twice": replace(size, second=size.first),
        "an-honest-pair": honest,
        "a-path-to-another-root": replace(pair, path=honest_path),
        "no-path": replace(pair, path=[]),
        "a-path-for-one-size": replace(size, path=pair.path),
        "the-greater-first": replace(pair, first=pair.second, second=pair.first),
        "another-log-key": replace(size, vkey=note.VerifierKey(ORIGIN, make_key("barry log key").public).text),
        "a-changed-note": replace(size, second=size.second.replace("\n7\n", "\n8\n", 1)),
        "another-event-key": replace(roots, key=b64(make_key("barry event key").public)),
        "one-statement-twice": replace(roots, second=roots.first),
        "two-sizes": replace(roots, second=_envelope(LEAVES, 8).decode()),
    }
    cases: list[Case] = [{"name": name, "file": _file(found), "proves": True} for name, found in good.items()]
    cases += [{"name": name, "file": _file(found), "proves": False} for name, found in bad.items()]
    return [*cases, {"name": "an-unknown-format", "file": _file(size).replace("v1", "v2", 1), "proves": False}]


def _file(evidence: equivocation.Evidence) -> str:
    return equivocation.encode_evidence(evidence).decode()


def _envelope(leaves: list[bytes], size: int) -> bytes:
    names = {"network": "timebank.wales", "generation": "g1"}
    segment = make_segment(
        identity=Identity("timebank.wales", "aberdare", "g1"),
        to="barry",
        after=StreamHead(0, chain_start(**names, sender="aberdare", receiver="barry")),
        messages=[],
        heard=Heard(generation="g1", n=0, chain=chain_start(**names, sender="barry", receiver="aberdare").hex()),
        registry=1,
        size=size,
        root=merkle.root_of(leaves[:size]),
        key=EVENT,
    )
    return segment.split(b"\n", 1)[0]
