"""Vectors of streams and segments: what one town makes of what another sends, honest or not."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from contracts.vectors.paper_town import PaperTown, make_key, two_towns
from contracts.vectors.vectors_bytes import Case, b64
from timebank_contracts import canonical, dsse, segments
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.names import Identity
from timebank_contracts.segments import SEGMENT_BYTES_MAX, Heard
from timebank_contracts.streams import StreamHead, chain_start, fold

HIGH = 2
"""The receiver applied two messages of the stream."""


def chain_vectors() -> dict[str, Any]:
    names = {"network": "timebank.wales", "sender": "aberdare", "generation": "g1", "receiver": "barry"}
    start = chain_start(**names)
    messages = [b'{"example":1}', b'{"example":2}', b'{"example":3}']
    chain = [value.hex() for value in (start, *fold(start, messages))]
    return {**names, "messages": [b64(raw) for raw in messages], "chain": chain}


def meet_and_talk() -> tuple[PaperTown, PaperTown]:
    """Barry applied two messages of Aberdare's; Aberdare has sent four: two transfers, a decision, a transfer."""
    aberdare, barry, alys, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 90)
    aberdare.send("alys", "barry", bryn, 60)
    barry.take(aberdare.segment("barry"))
    barry.send("bryn", "aberdare", alys, 45)
    aberdare.take(barry.segment("aberdare"))
    aberdare.send("alys", "barry", bryn, 15)
    return aberdare, barry


def segment_vectors() -> dict[str, Any]:
    """The receiver's journal, and for each segment the outcome that PROTOCOL.md S3 to S10 demand."""
    aberdare, barry = meet_and_talk()
    frozen = _frozen_barry()
    cases = [*_honest(aberdare), *_misdirected(aberdare), *_forged(aberdare), *_dishonest(aberdare)]
    assert len({case["name"] for case in cases}) == len(cases)
    later = {
        "name": "to-a-frozen-stream",
        "journal": "frozen",
        **_case(aberdare.segment("barry"), refused="stream_frozen"),
    }
    journals = {"open": barry.journal, "frozen": frozen.journal}
    return {
        "receiver": "barry",
        "journals": {name: [b64(raw) for raw in journal] for name, journal in journals.items()},
        "cases": [{"journal": "open", **case} for case in cases] + [later],
    }


def _case(raw: bytes, **outcome: Any) -> Case:
    return {"segment": b64(raw), "outcome": outcome}


def _honest(town: PaperTown) -> list[Case]:
    fresh = {"fresh": {"first": 3, "count": 2}}
    early = town.segment("barry", 3, heard=Heard(generation="g1", n=0, chain=_start(town, "barry", "aberdare").hex()))
    return [
        {"name": "the-whole-stream", **_case(town.segment("barry"), **fresh)},
        {"name": "only-what-is-new", **_case(town.segment("barry", 3), **fresh)},
        {"name": "cut-in-the-middle-of-what-is-known", **_case(town.segment("barry", 2), **fresh)},
        {"name": "one-message", **_case(town.segment("barry", 3, 3), fresh={"first": 3, "count": 1})},
        {"name": "an-older-heard", **_case(early, **fresh)},
        {"name": "replayed", **_case(town.segment("barry", 1, 2), duplicate={"high": HIGH})},
        {"name": "replayed-in-part", **_case(town.segment("barry", 1, 1), duplicate={"high": HIGH})},
        {"name": "no-message-at-the-mark", **_case(town.segment("barry", 3, 2), duplicate={"high": HIGH})},
        {"name": "no-message-further-on", **_case(town.segment("barry", 5), gap={"after": HIGH})},
        {"name": "a-gap", **_case(town.segment("barry", 4), gap={"after": HIGH})},
    ]


def _start(town: PaperTown, sender: str, receiver: str) -> bytes:
    return chain_start(network=town.book.me.network, sender=sender, generation="g1", receiver=receiver)


def _misdirected(town: PaperTown) -> list[Case]:
    """Well signed, and not for this journal; and proofs that this journal was rolled back."""

    def said(refused: str, **change: Any) -> Case:
        return _case(town.segment("barry", 3, **change), refused=refused)

    me = town.book.me
    beyond = Heard(generation="g1", n=9, chain="ab" * 32)
    other = Heard(generation="g1", n=3, chain="ab" * 32)
    later = Heard(generation="g2", n=0, chain="ab" * 32)
    return [
        {"name": "of-another-network", **said("segment_invalid", identity=Identity("timebank.example", *me[1:]))},
        {"name": "of-another-generation", **said("segment_invalid", identity=Identity(*me[:2], "g2"))},
        {"name": "of-another-protocol", **said("segment_invalid", protocol=2)},
        {"name": "for-another-town", **said("segment_invalid", to="caernarfon")},
        {"name": "of-an-unknown-town", **said("peer_unknown", identity=Identity(me[0], "dolgellau", "g1"))},
        {"name": "heard-more-than-was-sent", **_case(town.segment("barry", 3, heard=beyond), rolled_back=True)},
        {"name": "heard-another-history", **_case(town.segment("barry", 3, heard=other), rolled_back=True)},
        {"name": "heard-a-later-generation", **said("segment_invalid", heard=later)},
    ]


def _forged(town: PaperTown) -> list[Case]:
    """Not signed by the peer, or not what the statement says."""
    good = town.segment("barry", 3)
    envelope, *lines = good[:-1].split(b"\n")
    third = lines[0]
    another = town.segment("barry", 2).split(b"\n")[0]
    altered = good.replace(_signature(envelope), _signature(another))
    malformed: dict[str, bytes] = {
        "a-message-altered": good.replace(b'"minutes":15', b'"minutes":51'),
        "a-message-missing": envelope + b"\n" + third + b"\n",
        "a-message-too-many": good + third + b"\n",
        "messages-exchanged": b"\n".join([envelope, *reversed(lines)]) + b"\n",
        "no-final-line-feed": good[:-1],
        "an-empty-line": good + b"\n",
        "carriage-returns": good.replace(b"\n", b"\r\n"),
        "no-envelope": b"\n".join(lines) + b"\n",
        "nothing": b"",
        "head-is-not-the-fold": _resigned(town, head="00" * 32),
        "prior-is-not-where-it-begins": _resigned(town, prior="00" * 32),
    }
    cases = [{"name": name, **_case(raw, malformed=True)} for name, raw in malformed.items()]
    too_large = {"segment": b64(good), "padded_to_bytes": SEGMENT_BYTES_MAX + 1, "outcome": {"malformed": True}}
    return [
        *cases,
        {"name": "too-large", **too_large},
        {"name": "signed-by-another-key", **_case(town.segment("barry", 3, key=make_key("a stranger")), unsigned=True)},
        {"name": "signed-by-the-log-key", **_case(town.segment("barry", 3, key=town.log_key), unsigned=True)},
        {"name": "signed-for-another-statement", **_case(altered, unsigned=True)},
    ]


def _signature(envelope: bytes) -> bytes:
    return envelope.split(b'"sig":"')[1].split(b'"')[0]


def _resigned(town: PaperTown, **change: str) -> bytes:
    """A good segment whose statement says something else, validly signed."""
    raw = town.segment("barry", 3)
    parts = segments.parse_segment(raw)
    statement = msgspec.structs.replace(parts.statement, **change)
    envelope = dsse.sign(canonical.encode(statement), payload_type=segments.PAYLOAD_TYPE, keys=[town.event_key])
    return b"\n".join([envelope, *parts.messages]) + b"\n"


def _dishonest(town: PaperTown) -> list[Case]:
    """Validly signed by the peer, and not what an honest node sends."""
    one, two, three, four = town.sent["barry"]
    at_three = StreamHead(2, fold(_start(town, "aberdare", "barry"), [one, two])[-1])
    third = m.decode_message(three).data
    assert isinstance(third, m.Sent | m.Received | m.Rejected)
    assert third.minutes == 45

    def sent(name: str, *messages: bytes, **outcome: Any) -> Case:
        raw = town.segment("barry", messages=list(messages), after=at_three)
        return {"name": name, **_case(raw, **outcome)}

    def breach(code: str) -> dict[str, Any]:
        return {"breach": {"code": code, "position": 3}}

    again = three.replace(b"barry/g1/3", b"barry/g1/4")
    unfounded = three.replace(b"barry.g1.aberdare.3", b"barry.g1.aberdare.9")
    minutes, zero = three.replace(b":45,", b":46,"), three.replace(b":45,", b":0,")
    claim, placed = three.replace(b"transfer.received", b"pledge.made"), three.replace(b"barry/g1/3", b"barry/g1/7")
    name = four.replace(b"barry/g1/4", b"barry/g1/3")
    bad_four = four.replace(b'"minutes":15', b'"minutes":0')
    claim_four = four.replace(b"transfer.sent", b"pledge.made")
    withdrawn, thanked = m.Withdrawn(claim="aberdare.g1.barry.9"), m.Thanked(transfer="aberdare.g1.barry.9")
    disputed = m.Disputed(claim="barry.g1.aberdare.9", reason="other")
    refund = name.replace(b'"purpose":"gift"', b'"purpose":"refund"').replace(b"barry.4", b"barry.3")
    forked = town.segment("barry", messages=[one, two.replace(b":60,", b":61,"), three])
    other = town.segment("barry", messages=[one, two.replace(b":60,", b":61,")])
    elsewhere = town.segment("barry", messages=[three], after=StreamHead(2, bytes(32)))
    return [
        {"name": "another-history-below-the-mark", **_case(forked, refused="segment_invalid")},
        {"name": "another-history-up-to-the-mark", **_case(other, refused="segment_invalid")},
        {"name": "another-chain-at-the-mark", **_case(elsewhere, refused="segment_invalid")},
        sent("a-decision-on-no-open-transfer", unfounded, **breach("decision_unfounded")),
        sent("a-decision-with-other-minutes", minutes, **breach("decision_minutes")),
        sent("a-malformed-message", zero, **breach("message_malformed")),
        sent("a-message-at-another-position", placed, **breach("message_misplaced")),
        sent("a-transfer-named-for-another-position", name, **breach("message_misplaced")),
        sent("a-withdrawal-of-no-claim", _said(town, m.ClaimWithdrawnMessage, withdrawn), **breach("claim_unfounded")),
        sent("a-dispute-of-no-claim", _said(town, m.ClaimDisputedMessage, disputed), **breach("claim_unfounded")),
        sent("thanks-for-no-transfer", _said(town, m.ThanksGivenMessage, thanked), **breach("thanks_unfounded")),
        sent("a-refund-that-names-a-payee", refund, **breach("message_malformed")),
        sent("a-decision-twice", three, again, stops={"position": 4}),
        sent("a-later-message-malformed", three, bad_four, stops={"position": 4}),
        sent("an-unknown-type", claim, stops={"position": 3}),
        sent("a-later-unknown-type", three, claim_four, stops={"position": 4}),
    ]


def _said(town: PaperTown, kind: Any, data: Any) -> bytes:
    """A message that stands at position 3 of the stream to Barry."""
    raw: bytes = m.encode_message(kind(**town.envelope("barry") | {"id": m.message_id("barry", "g1", 3)}, data=data))
    return raw


def _frozen_barry() -> PaperTown:
    _, barry = meet_and_talk()
    digest = sha256(b"the segment kept as evidence").hexdigest()
    data = e.Frozen(peer="aberdare", generation="g1", position=3, code="decision_minutes", segment_sha256=digest)
    barry.write(e.PeerFrozen, data, by=e.Actor(kind="rule"))
    return barry
