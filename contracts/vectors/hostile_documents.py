"""Hostile registries, limit agreements and checkpoints. PROTOCOL.md R1 to R3, R10, G5, G6."""

from __future__ import annotations

from base64 import b64decode
from hashlib import sha256
from typing import Any

import msgspec

from contracts.vectors import edwards
from contracts.vectors.paper_town import NETWORK, make_key
from contracts.vectors.vectors_bytes import Case, b64
from contracts.vectors.vectors_registry import OPERATORS, make_first, make_node, make_second, sign
from timebank_contracts import agreements, canonical, dsse, note, registry
from timebank_contracts import checkpoint as c
from timebank_contracts.agreements import LimitAgreement
from timebank_contracts.checkpoint import Checkpoint
from timebank_contracts.keys import SigningKey, b64_encode, key_id


def registry_cases() -> list[Case]:
    """Documents that come after version 1; none is taken, whoever signed it."""
    first = make_first()
    second = make_second(first)
    plain = msgspec.json.decode(canonical.encode(second))
    signers = [OPERATORS[number] for number in (0, 1, 2, 3)]

    def raw(payload: bytes) -> bytes:
        return dsse.sign(payload, payload_type=registry.PAYLOAD_TYPE, keys=signers)

    def said(**change: Any) -> bytes:
        return raw(canonical.encode(plain | change))

    def operators(k: Any, keys: list[str] | None = None) -> bytes:
        return said(operators={"k": k, "keys": plain["operators"]["keys"] if keys is None else keys})

    def node(**change: Any) -> bytes:
        return said(nodes=[plain["nodes"][0] | change, *plain["nodes"][1:]])

    keys, good = plain["operators"]["keys"], canonical.encode(second)
    witness = {"key": b64_encode(make_key("a witness").public), "name": "witness.example", "url": "https://w.example"}
    event = plain["nodes"][0]["event_keys"][0]
    weak = b64_encode(bytes.fromhex(edwards.SMALL_ORDER[0]))
    cases = [
        ("k-signatures-by-one-key-under-two-ids", "R2 R3 G3", _under_two_ids(sign(second, 1, 3))),
        ("signed-by-the-new-operators-only", "R3", sign(second, 3, 4, 5)),
        ("signed-by-the-old-operators-only", "R3", sign(second, 1, 2)),
        (
            "signed-by-a-node",
            "R3",
            dsse.sign(good, payload_type=registry.PAYLOAD_TYPE, keys=[make_key("aberdare event key")]),
        ),
        ("a-fork", "R3", said(previous=sha256(b"another first version").hexdigest())),
        ("no-predecessor", "R3", said(previous="0" * 64)),
        ("predecessor-in-capitals", "R1", said(previous=first.sha256.upper())),
        ("a-version-skipped", "R3", said(version=3)),
        ("the-same-version-again", "R3", said(version=1)),
        ("version-0", "R1", said(version=0)),
        ("version-negative", "R1", said(version=-2)),
        ("version-true", "R1 C3", said(version=True)),
        ("version-an-exponent", "C3", raw(good.replace(b'"version":2', b'"version":2e0'))),
        ("version-2-to-the-63", "C1", raw(good.replace(b'"version":2', b'"version":9223372036854775808'))),
        ("another-protocol", "R1", said(protocol=2)),
        ("another-network", "R3", said(network="timebank.example")),
        ("k-of-0", "R1", operators(0)),
        ("k-negative", "R1", operators(-1)),
        ("k-above-the-keys", "R2", operators(4)),
        ("an-operators-key-twice", "R2", operators(2, [keys[0], *keys])),
        ("no-operators", "R1", operators(1, [])),
        ("a-weak-operators-key", "R2 G1", operators(2, [weak, *keys[1:]])),
        (
            "a-key-that-is-not-canonical-base64",
            "G2",
            operators(2, [keys[0][:-2] + _next(keys[0][-2]) + "=", *keys[1:]]),
        ),
        ("a-key-for-two-nodes", "R2", node(event_keys=plain["nodes"][1]["event_keys"])),
        ("a-key-for-two-uses", "R2", node(log_keys=[event])),
        ("a-witness-with-a-nodes-key", "R2", said(witnesses=[witness | {"key": event}])),
        ("a-witness-twice", "R2", said(witnesses=[witness, witness])),
        ("a-node-twice", "R2", said(nodes=[*plain["nodes"], msgspec.to_builtins(make_node("barry", key="other key"))])),
        ("a-look-alike-node", "N2 C1", raw(good.replace(b'"node":"aberdare"', '"node":"\u0430berdare"'.encode()))),
        ("a-node-of-generation-0", "N3", node(generation="g0")),
        ("a-node-with-a-limit-below-0", "A1", node(limit=-1)),
        ("a-node-in-an-unknown-state", "R1", node(state="trusted")),
        ("a-node-at-a-file", "R1", node(url="file:///etc/passwd")),
        ("a-node-without-keys", "R1", node(event_keys=[])),
        ("an-unknown-field", "C3", said(note="signed in haste")),
        ("a-field-twice", "C3", raw(good.replace(b'"version":2', b'"version":2,"version":2'))),
        ("a-final-line-feed", "C3", raw(good + b"\n")),
        ("nested-deep", "C4", raw(b"[" * 5000 + b"]" * 5000)),
        ("of-another-payload-type", "G3", dsse.sign(good, payload_type=agreements.PAYLOAD_TYPE, keys=signers)),
    ]
    return [
        {"name": name, "rules": rule.split(), "envelope": b64(found), "valid": False} for name, rule, found in cases
    ]


def _under_two_ids(envelope: bytes) -> bytes:
    """Each signature once more, under an id of another operator."""
    opened = msgspec.json.decode(envelope)
    others = [key_id(OPERATORS[number].public) for number in (1, 3)]
    again = [{"keyid": other, "sig": found["sig"]} for other, found in zip(others, opened["signatures"], strict=True)]
    return canonical.encode({**opened, "signatures": [*opened["signatures"], *again]})


def _next(sign_: str) -> str:
    """The base64 sign after this one: the same bytes, other bits after their end."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return alphabet[alphabet.index(sign_) + 1]


def agreement_cases() -> list[Case]:
    """Limit agreements, and the towns whose signature counts under the registry; `null`: malformed."""
    agreement = LimitAgreement(
        network=NETWORK,
        towns=["aberdare", "barry"],
        limit=2400,
        proposed_at="2026-03-01T10:00:00.000Z",
        proposed_by="aberdare",
    )
    one, other, thief = (make_key(name) for name in ("aberdare event key", "barry event key", "a thief"))
    plain, good = msgspec.to_builtins(agreement), canonical.encode(agreement)

    def signed(payload: bytes, *keys: SigningKey, kind: str = agreements.PAYLOAD_TYPE) -> bytes:
        return dsse.sign(payload, payload_type=kind, keys=keys)

    def said(**change: Any) -> bytes:
        return signed(canonical.encode(plain | change), one, other)

    cases: list[tuple[str, str, bytes, list[str] | None]] = [
        ("valid-of-both", "R10", signed(good, one, other), ["aberdare", "barry"]),
        ("of-one-only", "R10", signed(good, one), ["aberdare"]),
        ("of-one-twice", "R10 G3", signed(good, one, one), ["aberdare"]),
        ("of-one-and-a-thief", "R10", signed(good, one, thief), ["aberdare"]),
        ("under-the-log-key", "R10", signed(good, one, make_key("barry log key")), ["aberdare"]),
        ("of-another-network", "R10", said(network="timebank.example"), None),
        ("of-a-town-that-is-not-registered", "R10", said(towns=["aberdare", "dinas"]), None),
        ("of-a-town-with-itself", "R10", said(towns=["aberdare", "aberdare"]), None),
        ("not-in-order", "R10", said(towns=["barry", "aberdare"]), None),
        ("of-three-towns", "R10", said(towns=["aberdare", "barry", "caernarfon"]), None),
        ("proposed-by-a-stranger", "R10", said(proposed_by="caernarfon"), None),
        ("a-limit-below-0", "A1", said(limit=-1), None),
        ("a-limit-above-the-most", "A1", said(limit=10_000_001), None),
        ("a-limit-true", "C3", said(limit=True), None),
        ("a-limit-as-exponent", "C3", signed(good.replace(b"2400", b"24e2"), one, other), None),
        ("a-limit-twice", "C3", signed(good.replace(b'"limit":2400', b'"limit":2400,"limit":9'), one, other), None),
        ("a-time-with-an-offset", "M1", said(proposed_at="2026-03-01T10:00:00.000+01:00"), None),
        ("of-another-payload-type", "G3", signed(good, one, other, kind=registry.PAYLOAD_TYPE), None),
        ("too-large", "C4", said(proposed_by="a" * 5000), None),
    ]
    return [
        {"name": name, "rules": rule.split(), "envelope": b64(raw), "assenting": assenting}
        for name, rule, raw, assenting in cases
    ]


def checkpoint_cases() -> list[Case]:
    """Notes under Aberdare's log key; none is taken."""
    origin = "timebank.wales/aberdare/g1"
    key = make_key("aberdare log key")
    root = sha256(b"a root").digest()
    text = c.checkpoint_text(Checkpoint(origin, 8, root))
    good = c.sign_checkpoint(Checkpoint(origin, 8, root), key)
    line = good.split(b"\n\n")[1]
    sig = b64decode(line.split(b" ")[2])

    def size(said: str) -> bytes:
        return note.sign_note(text.replace("\n8\n", f"\n{said}\n"), origin, key)

    def signed(raw: bytes) -> bytes:
        return good.replace(line.split(b" ")[2], b64(raw).encode() + b"\n")

    eight = edwards.decode(bytes.fromhex(edwards.SMALL_ORDER[4]))
    seed = sha256(b"aberdare log key").digest()
    weak = edwards.sign_with(seed=seed, public=key.public, message=text.encode(), nonce=0, shift=eight)
    s = int.from_bytes(sig[36:], "little") + edwards.ORDER
    cases = [
        ("size-with-a-sign", "G6", size("+8")),
        ("size-negative", "G6", size("-8")),
        ("size-with-leading-zeros", "G6", size("008")),
        ("size-an-exponent", "G6", size("8e0")),
        ("size-with-a-blank", "G6", size("8 ")),
        ("size-in-arabic-digits", "G6", size("\u0668")),
        ("an-extension-line", "G6", note.sign_note(text + "signed in haste\n", origin, key)),
        ("two-lines-only", "G6", note.sign_note(text.rsplit("\n", 2)[0] + "\n", origin, key)),
        ("a-root-in-hex", "G6", note.sign_note(f"{origin}\n8\n{root.hex()}\n", origin, key)),
        ("another-origin-in-the-text", "G6", note.sign_note(text.replace("/g1", "/g2"), origin, key)),
        ("another-name-of-the-signer", "G5 G6", note.sign_note(text, origin.replace("/g1", "/g2"), key)),
        ("under-the-event-key", "G5", note.sign_note(text, origin, make_key("aberdare event key"))),
        ("two-blank-lines", "G5", good.replace(b"\n\n", b"\n\n\n")),
        ("a-blank-line-in-the-text", "G5 G6", note.sign_note(text + "\nmore\n", origin, key)),
        ("signature-of-small-order", "G2 G5", signed(sig[:4] + weak)),
        ("s-plus-the-order", "G2 G5", signed(sig[:36] + s.to_bytes(32, "little"))),
        ("signature-cut", "G2 G5", signed(sig[:-1])),
        ("another-key-id", "G5", signed(bytes([sig[0] ^ 1]) + sig[1:])),
        ("bad-utf-8", "G5", good.replace(b"timebank", b"timeb\xffnk", 1)),
        ("a-control-sign", "G5", good.replace(b"timebank", b"timeb\x00nk", 1)),
        ("too-large", "G5", good + b"x" * 65_536),
        ("empty", "G5", b""),
    ]
    vkey = note.VerifierKey(origin, key.public).text
    return [
        {"name": name, "rules": rule.split(), "vkey": vkey, "note": b64(raw), "malformed": True}
        for name, rule, raw in cases
    ]
