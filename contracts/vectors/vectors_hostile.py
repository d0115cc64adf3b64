"""Hostile segments: what a forger, a thief or a broken node sends, and what an honest receiver makes of it.

Reading order: this file, `hostile_documents.py` (registries, agreements, checkpoints), `hostile_tokens.py`.
Each case cites its rule and names the state of the receiver in which it is judged. Source: design page 6, "Hostile".
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

from contracts.vectors import edwards
from contracts.vectors.hostile_documents import agreement_cases, checkpoint_cases, registry_cases
from contracts.vectors.hostile_tokens import token_vectors
from contracts.vectors.paper_town import PaperTown, make_key
from contracts.vectors.vectors_bytes import Case, b64
from contracts.vectors.vectors_registry import make_first, sign
from contracts.vectors.vectors_segments import meet_and_talk
from timebank_contracts import dsse, segments
from timebank_contracts import entries as e
from timebank_contracts.keys import b64_encode, key_id
from timebank_contracts.names import Identity
from timebank_contracts.segments import Heard
from timebank_contracts.streams import StreamHead

MALFORMED = {"malformed": True}
UNSIGNED = {"unsigned": True}
ROLLED_BACK = {"rolled_back": True}
INVALID = {"refused": "segment_invalid"}
NUMBERS = {
    "zero": "0",
    "negative": "-45",
    "two-to-the-63": "9223372036854775808",
    "an-exponent": "1e3",
    "a-float": "45.0",
    "true": "true",
    "nan": "NaN",
    "infinity": "Infinity",
    "text": '"45"',
}


def hostile_vectors() -> dict[str, Any]:
    """All parts of `hostile.json`: for each the state that it is judged in, and its cases."""
    return {
        "segments": {
            "receiver": "barry",
            "journals": {name: [b64(raw) for raw in town.journal] for name, town in _receivers().items()},
            "cases": _segment_cases(),
        },
        "registries": {"in_force": b64(sign(make_first(), 1, 2)), "cases": registry_cases()},
        "agreements": {"registry": b64(sign(make_first(), 1, 2)), "cases": agreement_cases()},
        "checkpoints": {"cases": checkpoint_cases()},
        "tokens": token_vectors(),
    }


def _receivers() -> dict[str, PaperTown]:
    """Barry, that applied two messages of Aberdare's; and what became of it later."""
    found = {name: meet_and_talk()[1] for name in ("open", "key-retired", "generation-closed", "a-year-later")}
    rule = e.Actor(kind="rule")
    incoming = found["generation-closed"].book.peers["aberdare"].incoming
    ended = e.GenerationClosed(peer="aberdare", generation="g1", last_in=incoming.n, chain=incoming.chain.hex())
    found["generation-closed"].write(e.PeerGenerationClosed, ended, by=rule)
    changed = {"peer": "aberdare", "state": "open", "owe_limit": 3000, "owed_limit": 3000}
    old, new = (b64_encode(make_key(name).public) for name in ("aberdare event key", "aberdare new event key"))
    found["generation-closed"].write(e.PeerChanged, e.Peer(**changed, generation="g2", event_keys=[old]), by=rule)
    found["key-retired"].write(e.PeerChanged, e.Peer(**changed, generation="g1", event_keys=[new]), by=rule)
    found["a-year-later"].wait(366)
    found["a-year-later"].account("carys")
    return found


def _segment_cases() -> list[Case]:
    town = meet_and_talk()[0]
    good = town.segment("barry", 3)
    parts = [_late(town, good), _signatures(good, town), _envelopes(good), _statements(town, good), _messages(town)]
    return [{"journal": "open", **case} for part in parts for case in part]


def _case(name: str, rule: str, raw: bytes, outcome: dict[str, Any], **state: str) -> Case:
    return {"name": name, "rules": rule.split(), **state, "segment": b64(raw), "outcome": outcome}


def _late(town: PaperTown, good: bytes) -> list[Case]:
    """Good once, or for somebody else; and what is said of the receiver's own stream."""
    me = town.book.me
    old = town.segment("barry", 1, 2)

    def said(**change: Any) -> bytes:
        return town.segment("barry", 3, **change)

    def heard(generation: str, n: int) -> bytes:
        return said(heard=Heard(generation=generation, n=n, chain="cd" * 32))

    return [
        _case("a-year-old-segment", "S7", old, {"duplicate": {"high": 2}}, journal="a-year-later"),
        _case("under-a-retired-key", "R5 R8", good, UNSIGNED, journal="key-retired"),
        _case("an-old-one-under-a-retired-key", "R5 R8", old, UNSIGNED, journal="key-retired"),
        _case("of-a-closed-generation", "X2", good, INVALID, journal="generation-closed"),
        _case("an-old-one-of-a-closed-generation", "X2", old, INVALID, journal="generation-closed"),
        _case("from-anothers-topic", "S5 K2", said(to="caernarfon"), INVALID),
        _case("for-the-sender-itself", "S5", said(to="aberdare"), INVALID),
        _case("of-another-network", "S5", said(identity=Identity("timebank.wales.example", *me[1:])), INVALID),
        _case("of-a-later-protocol", "S5", said(protocol=1000), INVALID),
        _case("of-a-generation-not-yet-known", "S5 X2", said(identity=Identity(*me[:2], "g999999")), INVALID),
        _case(
            "of-a-look-alike-town", "S5", said(identity=Identity(me[0], "aberdarre", "g1")), {"refused": "peer_unknown"}
        ),
        _case("heard-of-another-generation", "S6", heard("g9", 1), INVALID),
        _case("heard-above-the-head", "S6", heard("g1", 1_000_000), ROLLED_BACK),
        _case("heard-another-chain-at-the-head", "S6", heard("g1", 3), ROLLED_BACK),
    ]


def _signatures(good: bytes, town: PaperTown) -> list[Case]:
    """The envelope is right but for its signature."""
    statement = _payload(good)
    signed = dsse.pae(segments.PAYLOAD_TYPE, statement)
    sig = town.event_key.sign(signed)
    s = int.from_bytes(sig[32:], "little")
    eight = edwards.decode(bytes.fromhex(edwards.SMALL_ORDER[4]))
    seed = sha256(b"aberdare event key").digest()

    def forged(nonce: int, shift: edwards.Point) -> bytes:
        return edwards.sign_with(seed=seed, public=town.event_key.public, message=signed, nonce=nonce, shift=shift)

    bad = {
        "s-plus-the-order": sig[:32] + (s + edwards.ORDER).to_bytes(32, "little"),
        "r-of-small-order": forged(0, eight),
        "r-of-mixed-order": forged(1234567, eight),
        "r-is-the-identity": forged(0, edwards.IDENTITY),
        "r-not-canonical": (edwards.P + 1).to_bytes(32, "little") + sig[32:],
        "signature-of-zeros": bytes(64),
        "signature-too-short": sig[:63],
        "signed-without-the-type": town.event_key.sign(statement),
    }
    cases = [_case(name, "G2 G3 S5", good.replace(_b(sig), _b(raw)), UNSIGNED) for name, raw in bad.items()]
    return [
        *cases,
        _case("unsigned", "G3", _with(good, b'"signatures":[', b"]}", b""), MALFORMED),
        _case("under-the-receivers-key", "S5", town.segment("barry", 3, key=make_key("barry event key")), UNSIGNED),
        _case("under-an-operators-key", "S5", town.segment("barry", 3, key=make_key("operator 1")), UNSIGNED),
        _case("under-the-id-of-another-key", "G3", good.replace(_id("aberdare event"), _id("barry event")), UNSIGNED),
    ]


def _b(raw: bytes) -> bytes:
    return b64_encode(raw).encode()


def _id(name: str) -> bytes:
    return key_id(make_key(f"{name} key").public).encode()


def _payload(good: bytes) -> bytes:
    return dsse.open_payload(good.split(b"\n")[0], payload_type=segments.PAYLOAD_TYPE)


def _with(good: bytes, begin: bytes, end: bytes, new: bytes) -> bytes:
    """The bytes between `begin` and the next `end` replaced."""
    before, rest = good.split(begin, 1)
    return before + begin + new + rest[rest.index(end) :]


def _envelopes(good: bytes) -> list[Case]:
    """Bytes that are no envelope of the one form."""
    payload = _payload(good)
    url_safe = urlsafe_b64encode(payload.replace(b'"to"', b'"~o"'))
    head = b'{"payload":"'
    bad = {
        "a-byte-order-mark": b"\xef\xbb\xbf" + good,
        "a-key-twice": good.replace(head, b'{"payload":"","payload":"', 1),
        "a-blank": good.replace(head, b'{"payload": "', 1),
        "bad-utf-8": good.replace(b'"payloadType":"app', b'"payloadType":"\xc3\x28', 1),
        "base64-of-urls": _with(good, head, b'"', url_safe.replace(b"A", b"-")),
        "base64-with-a-line-break": _with(good, head, b'"', _b(payload)[:40] + b"\\n" + _b(payload)[40:]),
        "base64-without-padding": _with(
            good, head, b'"', _b(payload + b" " * (2 - len(payload) % 3 or 3)).rstrip(b"=")
        ),
        "nested-deep": b"[" * 4000 + b"]" * 4000 + b"\n",
        "envelope-too-large": good.replace(head, b'{"note":"' + b"x" * 8192 + b'","payload":"', 1),
        "trailing-bytes": good + b"\x00",
        "a-nul-byte": good.replace(b'"sig":"', b'"sig":"\x00', 1),
        "only-line-feeds": b"\n" * 300,
    }
    return [_case(f"envelope-{name}", "C1 C2 C3 C4 S3", raw, MALFORMED) for name, raw in bad.items()]


def _statements(town: PaperTown, good: bytes) -> list[Case]:
    """Validly signed, and no statement."""
    payload = _payload(good)
    lines = good.split(b"\n", 1)[1]

    def resigned(name: str, old: bytes, new: bytes, rule: str = "C1 C3 S4") -> Case:
        assert payload.count(old) == 1, name
        changed = payload.replace(old, new)
        envelope = dsse.sign(changed, payload_type=segments.PAYLOAD_TYPE, keys=[town.event_key])
        return _case(f"statement-{name}", rule, envelope + b"\n" + lines, MALFORMED)

    first = b'"first":3,'
    numbers = [resigned(f"first-{name}", first, b'"first":' + text.encode() + b",") for name, text in NUMBERS.items()]
    return [
        *numbers,
        resigned("count-of-one-too-few", b'"count":2', b'"count":1', "S3"),
        resigned("count-above-256", b'"count":2', b'"count":257', "S3"),
        resigned("count-negative", b'"count":2', b'"count":-2', "S3"),
        resigned("a-key-twice", first, first * 2),
        resigned("an-unknown-field", first, first + b'"fix":1,'),
        resigned("a-cyrillic-letter", b'"from":"aberdare"', '"from":"\u0430berdare"'.encode(), "N2 C1"),
        resigned("a-capital-letter", b'"from":"aberdare"', b'"from":"Aberdare"', "N2"),
        resigned("a-trailing-dot", b'"network":"timebank.wales"', b'"network":"timebank.wales."', "N1"),
        resigned("generation-0", b'"from":"aberdare","generation":"g1"', b'"from":"aberdare","generation":"g0"', "N3"),
        resigned(
            "generation-01", b'"from":"aberdare","generation":"g1"', b'"from":"aberdare","generation":"g01"', "N3"
        ),
    ]


def _messages(town: PaperTown) -> list[Case]:
    """Validly signed messages that no honest node sends: evidence, with the position."""
    three, four = town.sent["barry"][2:4]

    def sent(name: str, rule: str, message: bytes, code: str) -> Case:
        raw = town.segment("barry", messages=[message], after=_mark(town))
        return _case(f"message-{name}", f"{rule} S9", raw, {"breach": {"code": code, "position": 3}})

    placed = four.replace(b"barry/g1/4", b"barry/g1/3").replace(b"barry.4", b"barry.3")
    minutes = b'"minutes":15'
    numbers = [
        sent(f"minutes-{name}", "A1 C3", placed.replace(minutes, b'"minutes":' + text.encode()), "message_malformed")
        for name, text in NUMBERS.items()
    ]
    assert all(raw.count(minutes) == 1 for raw in (placed, four))
    return [
        *numbers,
        sent("minutes-above-the-most", "A1", placed.replace(minutes, b'"minutes":60001'), "message_malformed"),
        sent("minutes-twice", "C3", placed.replace(minutes, minutes + b"," + minutes), "message_malformed"),
        sent("bad-utf-8", "C1", placed.replace(b'"gift"', b'"\xff\xfe"'), "message_malformed"),
        sent(
            "of-another-source", "E5", placed.replace(b'"source":"aberdare"', b'"source":"dinas"'), "message_misplaced"
        ),
        sent(
            "to-another-subject", "E5", placed.replace(b'"subject":"barry"', b'"subject":"dinas"'), "message_misplaced"
        ),
        sent("at-position-0", "E6", placed.replace(b"barry/g1/3", b"barry/g1/0"), "message_misplaced"),
        sent("of-another-generation", "E6", placed.replace(b"barry/g1/3", b"barry/g2/3"), "message_misplaced"),
        sent(
            "a-decision-on-a-strangers-transfer",
            "T8",
            three.replace(b"barry.g1.a", b"dinas.g1.a"),
            "decision_unfounded",
        ),
        sent("a-decision-with-no-minutes", "T6", three.replace(b'"minutes":45', b'"minutes":0'), "message_malformed"),
    ]


def _mark(town: PaperTown) -> StreamHead:
    """What the receiver applied: the end of the first two messages."""
    parts = segments.parse_segment(town.segment("barry", 1, 2))
    return StreamHead(2, bytes.fromhex(parts.statement.head))
