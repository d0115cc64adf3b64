"""Segments that have no effect at all: each carries a good message, so that an effect would be seen. Pure.

Source: PROTOCOL.md S3 to S7, C2 to C4, G2, G3.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, NamedTuple

from timebank_conformance.towns import Json, KitTown
from timebank_contracts import canonical, dsse
from timebank_contracts.keys import SigningKey, b64_encode, key_id
from timebank_contracts.segments import PAYLOAD_TYPE, SEGMENT_MESSAGES_MAX

SMALL_ORDER: Final = bytes([1]) + bytes(31)
"""The neutral point, as the R of a signature."""


class HostileCase(NamedTuple):
    """What is wrong, the rules that say so, and how to make it from a town and a key that is not its own."""

    what: str
    rules: str
    make: Callable[[KitTown, SigningKey], bytes]


def _forged(**changes: object) -> Callable[[KitTown, SigningKey], bytes]:
    return lambda town, _: town.forged([town.sent(1)], **changes)  # type: ignore[arg-type] # fields of a statement


def _payload(change: Callable[[bytes], bytes]) -> Callable[[KitTown, SigningKey], bytes]:
    """The statement's bytes are changed, then signed rightly."""

    def make(town: KitTown, _: SigningKey) -> bytes:
        messages = [town.sent(1)]
        payload = canonical.encode(town.statement(len(town.said) + 1, messages))
        changed = change(payload)
        assert changed != payload, "what is replaced is there"
        return town.signed(changed, messages)

    return make


def _raw(change: Callable[[bytes], bytes]) -> Callable[[KitTown, SigningKey], bytes]:
    """The segment's bytes are changed after it was signed."""
    return lambda town, _: change(town.forged([town.sent(1)]))


def _envelope(change: Callable[[Json, KitTown], Json]) -> Callable[[KitTown, SigningKey], bytes]:
    def make(town: KitTown, _: SigningKey) -> bytes:
        envelope, _between, rest = town.forged([town.sent(1)]).partition(b"\n")
        return canonical.encode(change(json.loads(envelope), town)) + b"\n" + rest

    return make


def _signature(change: Callable[[str], str]) -> Callable[[KitTown, SigningKey], bytes]:
    def of(envelope: Json, _: KitTown) -> Json:
        signature = envelope["signatures"][0]
        return {**envelope, "signatures": [{**signature, "sig": change(signature["sig"])}]}

    return _envelope(of)


def _another_id(envelope: Json, _: KitTown) -> Json:
    return {**envelope, "signatures": [{**envelope["signatures"][0], "keyid": "0" * 64}]}


def _unprefixed(envelope: Json, town: KitTown) -> Json:
    """Signed are the payload's bytes, without DSSE's encoding around them."""
    payload = canonical.encode(town.statement(len(town.said) + 1, [town.sent(1)]))
    sig = b64_encode(town.key.sign(payload))
    return {
        "payload": b64_encode(payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key_id(town.key.public), "sig": sig}],
    }


def _another_type(town: KitTown, _: SigningKey) -> bytes:
    payload = canonical.encode(town.statement(len(town.said) + 1, [town.sent(1)]))
    envelope = dsse.sign(payload, payload_type="application/vnd.timebank.registry+json", keys=[town.key])
    return envelope + b"\n" + town.sent(1) + b"\n"


def _escaped(raw: bytes) -> bytes:
    """The same statement to a lenient reader: the last letter of the network's name is escaped."""
    start = raw.index(b'"network":"') + len(b'"network":"')
    end = raw.index(b'"', start)
    return raw[: end - 1] + b"\\u%04x" % raw[end - 1] + raw[end:]


def _too_many(town: KitTown, _: SigningKey) -> bytes:
    first = len(town.said) + 1
    return town.forged([town.sent(1, position=first + number) for number in range(SEGMENT_MESSAGES_MAX + 1)])


def _other_generation_heard(town: KitTown, _: SigningKey) -> bytes:
    heard = {"generation": "g999999", "n": 0, "chain": "0" * 64}
    return town.forged([town.sent(1)], heard=heard)


HOSTILE: Final = (
    HostileCase("signed by a key that no registry names", "S5", lambda town, key: town.forged([town.sent(1)], key=key)),
    HostileCase("a signature of zeros", "S5 G2", _signature(lambda _: b64_encode(bytes(64)))),
    HostileCase("a signature whose R has small order", "G2 S5", _signature(lambda _: b64_encode(SMALL_ORDER * 2))),
    HostileCase("a signature without its padding", "G2", _signature(lambda sig: sig.rstrip("="))),
    HostileCase("a signature under another key id", "G3", _envelope(_another_id)),
    HostileCase("the payload signed without DSSE's encoding", "G3", _envelope(_unprefixed)),
    HostileCase("an envelope of another type", "S3 G3", _another_type),
    HostileCase("another network", "S5", _forged(network="elsewhere.example")),
    HostileCase("another receiver", "S5", _forged(to="kit-main")),
    HostileCase("another generation of the sender", "S5", _forged(generation="g999")),
    HostileCase("another protocol", "S5", _forged(protocol=2)),
    HostileCase("another sender than who signed", "S5", _forged(**{"from": "kit-poor"})),
    HostileCase("heard of a generation that the node does not have", "S6", _other_generation_heard),
    HostileCase("a head that the fold does not reach", "S4", _forged(head="1" * 64)),
    HostileCase("another prior", "S4 S7", _forged(prior="1" * 64)),
    HostileCase("a count above what it holds", "S3", _forged(count=2)),
    HostileCase("more than 256 messages", "S3", _too_many),
    HostileCase("a message of 4,097 bytes", "S3 C4", lambda town, _: town.forged([town.sent(1, memo="x" * 4_097)])),
    HostileCase("no line feed at its end", "S3", _raw(lambda raw: raw[:-1])),
    HostileCase("bytes behind its end", "S3", _raw(lambda raw: raw + b"{}\n")),
    HostileCase("a message changed on its way", "S4 S5", _raw(lambda raw: raw.replace(b'"minutes":1', b'"minutes":2'))),
    HostileCase("a blank in the statement", "C3", _payload(lambda raw: raw.replace(b":1,", b": 1,", 1))),
    HostileCase("a key twice in the statement", "C3", _payload(lambda raw: b'{"count":1,' + raw[1:])),
    HostileCase(
        "a decimal number in the statement", "C1 C3", _payload(lambda raw: raw.replace(b'"count":1', b'"count":1.0'))
    ),
    HostileCase("an escape in the statement", "C2", _payload(_escaped)),
    HostileCase("an unknown field in the statement", "C3", _forged(zeal=1)),
    HostileCase("null for a field", "C3", _forged(zeal=None)),
    HostileCase("true for a number", "C3", _forged(count=True)),
    HostileCase("a statement of 9,000 bytes", "C4", _forged(zeal="x" * 9_000)),
    HostileCase("no JSON at all", "S3", lambda town, _: b"not a segment\n" + town.sent(1) + b"\n"),
)
