"""Vectors of amounts, canonical bytes, keys, signatures and envelopes."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Any

from contracts.vectors import edwards, paper_between
from contracts.vectors.paper_town import make_key, talk, two_towns
from timebank_contracts import dsse
from timebank_contracts.keys import b64_encode, key_id

Case = dict[str, Any]


def b64(raw: bytes) -> str:
    """Base64, as all bytes of these files."""
    return b64encode(raw).decode()


def amount_cases() -> list[Case]:
    good = {"1:30": 90, "1h30": 90, "1h 30m": 90, "90m": 90, "90 min": 90, "1.5h": 90, "1,5h": 90, "2h": 120}
    good |= {" 0:01 ": 1, "1000h": 60_000, "1H5": 65}
    ambiguous = ["90", "1.5", "1,5", "0"]
    out_of_range = ["0m", "0:00", "1000:01", "60001m"]
    bad = ["", "-1h", "+1h", "1:60", "1.33h", "1e3m", "1_0m", "90M M", "\uff11h", "\u0661h", "1h30:00", "1.234h", "m"]
    cases: list[Case] = [{"text": text, "minutes": minutes} for text, minutes in good.items()]
    cases += [{"text": text, "refused": "amount_ambiguous"} for text in ambiguous]
    cases += [{"text": text, "refused": "amount_out_of_range"} for text in out_of_range]
    return cases + [{"text": text, "malformed": True} for text in bad]


def _said_between() -> list[bytes]:
    """A claim, its dispute and its withdrawal; a payment of a claim; a refund; thanks."""
    aberdare, barry, alys, bryn = two_towns()
    paid, withdrawn = (
        paper_between.claim_there(barry, "aberdare", "bryn", (bryn, alys), minutes, given_minutes=45)
        for minutes in (40, 30)
    )
    talk(barry, aberdare)
    paper_between.dispute(aberdare, withdrawn, "not_given")
    paper_between.pay(aberdare, paid)
    paper_between.withdraw(barry, withdrawn)
    talk(aberdare, barry)
    dispute, payment = aberdare.sent["barry"]
    paper_between.refund(barry, "aberdare.g1.barry.2", 10)
    paper_between.thank(barry, paper_between.received_as(barry, "aberdare.g1.barry.2")[0])
    made, _, gone, _, refund, thanks = barry.sent["aberdare"]
    return [made, dispute, gone, payment, refund, thanks]


def message_cases() -> list[Case]:
    """One good message of each type, and every way to write it that is refused."""
    aberdare, barry, _, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 90)
    said = {"purpose": "service", "activity": "garden", "served_on": "2026-03-01", "given_minutes": 120}
    aberdare.send("alys", "barry", bryn, 90, **said)
    aberdare.send("alys", "barry", "0" * 32, 30)
    barry.take(aberdare.segment("barry"))
    good = [*aberdare.sent["barry"][:2], *barry.sent["aberdare"][1:], *_said_between()]
    cases: list[Case] = [{"name": f"valid-{n}", "bytes": b64(raw), "outcome": "valid"} for n, raw in enumerate(good)]
    first = good[0]

    def put(name: str, old: bytes, new: bytes, outcome: str = "malformed") -> None:
        assert first.count(old) == 1, name
        cases.append({"name": name, "bytes": b64(first.replace(old, new)), "outcome": outcome})

    put("a-blank", b'"minutes":90', b'"minutes": 90')
    put("a-key-twice", b'"minutes":90', b'"minutes":90,"minutes":90')
    put(
        "another-order",
        b'"minutes":90,"payee":"' + bryn.encode() + b'"',
        b'"payee":"' + bryn.encode() + b'","minutes":90',
    )
    for name, number in NUMBERS.items():
        put(f"minutes-{name}", b'"minutes":90', b'"minutes":' + number.encode())
    put("an-escape", b'"purpose":"gift"', b'"purpose":"\\u0067ift"')
    put("a-line-feed-after-a-name", b'"source":"aberdare"', b'"source":"aberdare\\n"')
    put("an-upper-case-alias", bryn.encode(), bryn.upper().encode())
    put("an-unknown-field", b'"purpose":"gift"', b'"memo":"thanks","purpose":"gift"')
    put("null-for-absent", b'{"at"', b'{"activity":null,"at"')
    put("a-purpose-of-one-town-only", b'"purpose":"gift"', b'"purpose":"grant"')
    put("another-specversion", b'"specversion":"1.0"', b'"specversion":"0.3"')
    put("no-subject", b'"subject":"barry",', b"")
    put("an-impossible-month", b'"time":"2026-03-', b'"time":"2026-13-')
    put("an-unknown-type", b'"type":"transfer.sent"', b'"type":"pledge.made"', "unknown")
    put("bytes-that-are-no-utf-8", b'"purpose":"gift"', b'"purpose":"\xff\xfe"')
    whole = {
        "a-final-line-feed": first + b"\n",
        "a-second-value": first + b"{}",
        "a-byte-order-mark": b"\xef\xbb\xbf" + first,
        "cut-short": first[:-1],
        "nothing": b"",
        "an-array": b"[" + first + b"]",
        "nested-deep": b'{"data":' + b"[" * 2000 + b"]" * 2000 + b',"type":"transfer.sent"}',
        "too-large": first.replace(b'"id":"', b'"id":"' + b"x" * 4000),
    }
    return cases + [{"name": name, "bytes": b64(raw), "outcome": "malformed"} for name, raw in whole.items()]


NUMBERS = {
    "a-float": "90.0",
    "an-exponent": "9e1",
    "a-leading-zero": "090",
    "a-plus-sign": "+90",
    "an-underscore": "9_0",
    "text": '"90"',
    "true": "true",
    "null": "null",
    "nan": "NaN",
    "zero": "0",
    "minus-zero": "-0",
    "negative": "-90",
    "too-many": "60001",
    "two-to-the-63": "9223372036854775808",
    "full-width-digits": "\uff19\uff10",
}


def key_cases() -> list[Case]:
    good = make_key("a good key").public
    torsion = edwards.decode(bytes.fromhex(edwards.SMALL_ORDER[4]))
    mixed = edwards.encode(edwards.add(edwards.decode(good), torsion))
    weak: dict[str, bytes] = {f"small-order-{n}": bytes.fromhex(text) for n, text in enumerate(edwards.SMALL_ORDER)}
    weak |= {
        "mixed-order": mixed,
        "not-canonical": (edwards.P + 1).to_bytes(32, "little"),
        "not-on-the-curve": b"\x02" + bytes(31),
        "too-short": good[:31],
        "too-long": good + b"\x00",
    }
    cases: list[Case] = [{"name": "good", "public": b64(good), "valid": True, "key_id": key_id(good)}]
    return cases + [{"name": name, "public": b64(raw), "valid": False} for name, raw in weak.items()]


def signature_cases() -> list[Case]:
    seed = sha256(b"a good key").digest()
    key, message = make_key("a good key"), b"ninety minutes"
    good = key.sign(message)
    s = int.from_bytes(good[32:], "little")
    eight = edwards.decode(bytes.fromhex(edwards.SMALL_ORDER[4]))

    def forged(nonce: int, shift: edwards.Point) -> bytes:
        return edwards.sign_with(seed=seed, public=key.public, message=message, nonce=nonce, shift=shift)

    signatures = {
        "good": good,
        "good-with-another-nonce": forged(1234567, edwards.IDENTITY),
        "another-message": key.sign(b"ninety-one minutes"),
        "another-key": make_key("another key").sign(message),
        "one-bit-flipped": bytes([good[0] ^ 1]) + good[1:],
        "s-plus-the-order": good[:32] + (s + edwards.ORDER).to_bytes(32, "little"),
        "r-of-mixed-order": forged(1234567, eight),
        "r-of-small-order": forged(0, eight),
        "r-is-the-identity": forged(0, edwards.IDENTITY),
        "r-not-canonical": (edwards.P + 1).to_bytes(32, "little") + forged(0, edwards.IDENTITY)[32:],
        "all-zero": bytes(64),
        "too-short": good[:63],
        "too-long": good + b"\x00",
    }
    public, text = b64(key.public), b64(message)
    return [
        {"name": name, "public": public, "message": text, "signature": b64(raw), "valid": name.startswith("good")}
        for name, raw in signatures.items()
    ]


def envelope_cases() -> list[Case]:
    """Envelopes, the keys that the reader names, and which of them signed: `signed_by`, or malformed."""
    kind, payload = "application/vnd.timebank.example+json", b'{"minutes":9}'
    one, two, three = (make_key(f"operator {n}") for n in (1, 2, 3))
    single = dsse.sign(payload, payload_type=kind, keys=[one])
    other = dsse.sign(payload, payload_type="text/plain", keys=[one])
    double = dsse.sign(payload, payload_type=kind, keys=[one, two])
    id_one, id_two = key_id(one.public).encode(), key_id(two.public).encode()
    sig = b64_encode(one.sign(dsse.pae(kind, payload))).encode()
    plain = b64_encode(one.sign(payload)).encode()
    twice = single.replace(b"]", b',{"keyid":"' + id_two + b'","sig":"' + sig + b'"}]')
    known = [b64(key.public) for key in (one, two)]
    first = known[0]
    envelopes: dict[str, tuple[bytes, list[str] | None]] = {
        "one-signature": (single, [first]),
        "two-signatures": (double, sorted(known)),
        "a-key-that-is-not-named": (dsse.sign(payload, payload_type=kind, keys=[three]), []),
        "one-key-under-two-ids": (twice, [first]),
        "under-another-id": (single.replace(id_one, id_two), []),
        "another-payload": (single.replace(b64(payload).encode(), b64(b'{"minutes":8}').encode()), []),
        "signed-without-pae": (single.replace(sig, plain), []),
        "another-type-than-signed": (other.replace(b'"text/plain"', b'"' + kind.encode() + b'"'), []),
        "another-type-than-expected": (other, None),
        "no-signature": (b'{"payload":"' + b64(payload).encode() + b'","payloadType":"x","signatures":[]}', None),
        "base64-with-trailing-bits": (single.replace(b'fQ=="', b'fR=="'), None),
        "base64-without-padding": (single.replace(b'fQ=="', b'fQ"'), None),
        "an-unknown-field": (single.replace(b'{"payload"', b'{"note":"x","payload"'), None),
        "a-final-line-feed": (single + b"\n", None),
    }
    return [
        {"name": name, "envelope": b64(raw), "keys": known, "type": kind, "signed_by": signed_by}
        for name, (raw, signed_by) in envelopes.items()
    ]
