"""Messages: CloudEvents in canonical JSON, with the `cloudevents` package as the oracle; nothing else leaves a town."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import msgspec
import pytest
import rfc8785
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from contracts.vectors.vectors_journal import tell_two_towns
from timebank_contracts import messages as m
from timebank_contracts import moments, names
from timebank_contracts.errors import REJECTIONS, Malformed
from timebank_contracts.fields import ClaimRefusal, CrossPurpose, DisputeReason
from timebank_contracts.moments import parse_time

MESSAGES = [raw for town in tell_two_towns() for sent in town.sent.values() for raw in sent]
SENT = next(raw for raw in MESSAGES if b'"transfer.sent"' in raw)


def test_a_message_is_a_cloudevent_to_others_too() -> None:
    """PROTOCOL.md E5."""
    for raw in MESSAGES:
        event, message = JSONFormat().read(CloudEvent, raw), m.decode_message(raw)
        assert event.get_specversion() == "1.0"
        assert (event.get_id(), event.get_source(), event.get_subject()) == (
            message.id,
            message.source,
            message.subject,
        )
        assert event.get_time() == parse_time(message.time)
        assert event.get_type() in m.MESSAGE_TYPES
        assert event.get_data() == json.loads(raw)["data"]


def test_a_message_is_in_the_form_of_rfc_8785() -> None:
    """PROTOCOL.md C1, E5."""
    for raw in MESSAGES:
        assert m.encode_message(m.decode_message(raw)) == raw == rfc8785.dumps(json.loads(raw))


def test_an_id_says_receiver_generation_and_position() -> None:
    """PROTOCOL.md E6."""
    assert m.message_id("barry", "g1", 17) == "barry/g1/17"
    for town in tell_two_towns():
        for peer, sent in town.sent.items():
            ids = [m.decode_message(raw).id for raw in sent]
            assert ids == [f"{peer}/g1/{position}" for position in range(1, len(sent) + 1)]


def test_no_account_actor_key_or_text_leaves_a_town() -> None:
    """PROTOCOL.md E7."""
    towns = tell_two_towns()
    accounts = {account for town in towns for account in town.book.accounts}
    closed = {"garden", "repair", "1.0", "aberdare", "barry"} | REJECTIONS | set(m.MESSAGE_TYPES)
    closed |= {*get_args(CrossPurpose), *get_args(DisputeReason), *get_args(ClaimRefusal)}
    for raw in MESSAGES:
        for text in texts(json.loads(raw)):
            assert text not in accounts
            assert text in closed or any(re.fullmatch(form, text) for form in FORMS), text


FORMS = (
    moments.TIME_PATTERN,
    moments.DATE_PATTERN,
    names.ALIAS_PATTERN,
    names.TAG_PATTERN,
    names.TRANSFER_PATTERN,
    r"[a-z]+/g1/[0-9]+",
)
"""What a message may hold beside words of the closed sets."""


def texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("field", ["account", "payer", "by", "memo", "key"])
def test_a_message_with_another_field_is_malformed(field: str) -> None:
    """PROTOCOL.md E7."""
    for value in (json.loads(SENT) | {field: "alys"}, json.loads(SENT)):
        value["data"].setdefault(field, "alys")
        with pytest.raises(Malformed):
            m.decode_message(rfc8785.dumps(value))


@pytest.mark.parametrize("kind", ["pledge.made", "offer.made", "transfer.posted", ""])
def test_a_type_of_a_later_version_is_unknown_and_not_malformed(kind: str) -> None:
    """PROTOCOL.md E8."""
    with pytest.raises(m.UnknownType):
        m.decode_message(rfc8785.dumps(json.loads(SENT) | {"type": kind}))


@pytest.mark.parametrize("raw", [b"", b"{}", b"null", b'{"type":null}', b'{"type":"transfer.sent"}', SENT[:-1]])
def test_what_has_not_the_form_is_malformed(raw: bytes) -> None:
    """PROTOCOL.md E8."""
    with pytest.raises(Malformed) as caught:
        m.decode_message(raw)
    assert not isinstance(caught.value, m.UnknownType)


def test_a_message_above_its_size_is_malformed_even_of_an_unknown_type() -> None:
    """PROTOCOL.md C4."""
    value = json.loads(SENT) | {"type": "pledge.made", "id": "x" * m.MESSAGE_BYTES_MAX}
    with pytest.raises(Malformed) as caught:
        m.decode_message(rfc8785.dumps(value))
    assert not isinstance(caught.value, m.UnknownType)


def test_the_greatest_message_fits() -> None:
    """PROTOCOL.md C4."""
    town, generation, place = "a" * 31, "g999999", 10**15
    data = m.Sent(
        transfer=f"{town}.{generation}.{town}.{place}",
        at=2**53 - 1,
        claim=f"{town}.{generation}.{town}.{place}",
        minutes=60_000,
        payee="f" * 32,
        payer_tag="f" * 30,
        purpose="service",
        expires_at="2099-12-31T23:59:59.999Z",
        activity="companionship",
        served_on="2099-12-31",
        given_minutes=60_000,
    )
    message = m.TransferSentMessage(
        id=m.message_id(town, generation, place),
        source=town,
        specversion="1.0",
        subject=town,
        time="2099-12-31T23:59:59.999Z",
        data=data,
    )
    raw = m.encode_message(message)
    assert m.decode_message(raw) == message
    assert len(raw) < m.MESSAGE_BYTES_MAX / 4


def test_every_reason_of_a_rejection_can_be_written() -> None:
    """PROTOCOL.md T7."""
    for reason in sorted(REJECTIONS):
        data = msgspec.convert({"transfer": "aberdare.g1.barry.1", "minutes": 1, "reason": reason}, m.Rejected)
        assert data.reason == reason
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"transfer": "aberdare.g1.barry.1", "minutes": 1, "reason": "busy"}, m.Rejected)


def test_a_decision_that_is_remembered_says_what_its_bytes_say() -> None:
    head: dict[str, Any] = {
        "id": m.message_id("aberdare", "g1", 17),
        "source": "barry",
        "specversion": "1.0",
        "subject": "aberdare",
        "time": "2026-01-31T10:00:00.123Z",
    }
    transfer = "aberdare.g1.barry.17"
    yes = m.TransferReceivedMessage(**head, data=m.Received(transfer=transfer, minutes=90))
    no = m.TransferRejectedMessage(**head, data=m.Rejected(transfer=transfer, minutes=90, reason="expired"))
    for decision in (yes, no):
        raw = m.encode_decision(decision)
        assert m.decode_message(raw) is decision
        assert msgspec.json.decode(raw, type=type(decision)) == decision
        assert raw == m.encode_message(decision)
