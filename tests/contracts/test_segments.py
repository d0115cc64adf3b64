"""Segments: how they are cut, signed and taken apart. What a receiver makes of them: test_accept."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.vectors.paper_town import make_key, two_towns
from contracts.vectors.vectors_segments import meet_and_talk
from timebank_contracts import dsse, segments
from timebank_contracts.errors import Malformed
from timebank_contracts.messages import MESSAGE_BYTES_MAX
from timebank_contracts.names import Identity
from timebank_contracts.streams import StreamHead, fold

KEY = make_key("aberdare event key")
ME = Identity("timebank.wales", "aberdare", "g1")
HEARD = segments.Heard(generation="g1", n=4, chain="ab" * 32)
ZERO = StreamHead(0, bytes(32))
LINES = st.lists(st.binary(min_size=1, max_size=40).filter(lambda raw: b"\n" not in raw), max_size=20)


def make(messages: list[bytes], *, after: StreamHead = ZERO) -> bytes:
    return segments.make_segment(
        identity=ME,
        to="barry",
        after=after,
        messages=messages,
        heard=HEARD,
        registry=3,
        size=9,
        root=b"r" * 32,
        key=KEY,
    )


@given(LINES, st.integers(0, 1000), st.binary(min_size=32, max_size=32))
def test_a_segment_is_read_as_it_was_made(messages: list[bytes], n: int, chain: bytes) -> None:
    """PROTOCOL.md S3, S4."""
    raw = make(messages, after=StreamHead(n, chain))
    segment = segments.parse_segment(raw)
    assert segment.messages == messages
    assert segments.is_signed_by(segment.envelope, (KEY.public,))
    assert not segments.is_signed_by(segment.envelope, (make_key("another").public,))
    assert raw == b"".join(line + b"\n" for line in [segment.envelope, *messages])
    statement = segment.statement
    assert (statement.first, statement.count, statement.last) == (n + 1, len(messages), n + len(messages))
    assert (statement.prior, statement.head) == (chain.hex(), [chain, *fold(chain, messages)][-1].hex())


def test_a_statement_says_these_things_and_no_others() -> None:
    """PROTOCOL.md S4."""
    envelope = segments.parse_segment(make([b"one"])).envelope
    said = json.loads(dsse.open_payload(envelope, payload_type=segments.PAYLOAD_TYPE))
    assert said == {
        "protocol": 1,
        "network": "timebank.wales",
        "from": "aberdare",
        "generation": "g1",
        "to": "barry",
        "first": 1,
        "count": 1,
        "prior": "00" * 32,
        "head": fold(bytes(32), [b"one"])[0].hex(),
        "heard": {"generation": "g1", "n": 4, "chain": "ab" * 32},
        "registry": 3,
        "size": 9,
        "root": (b"r" * 32).hex(),
    }


def test_a_segment_has_at_most_256_messages() -> None:
    """PROTOCOL.md S3."""
    assert len(segments.parse_segment(make([b"x"] * 256)).messages) == 256
    with pytest.raises(AssertionError):
        make([b"x"] * 257)
    with pytest.raises(Malformed, match="256 messages, the segment has"):
        segments.parse_segment(make([b"x"] * 256) + b"x\n" * 300)


def test_the_messages_of_a_segment_have_at_most_256_kib_together() -> None:
    """PROTOCOL.md S3: also when the envelope is small."""
    full = [b"x" * MESSAGE_BYTES_MAX] * 64
    assert segments.parse_segment(make(full)).messages == full
    with pytest.raises(AssertionError):
        make([*full, b"y"])
    statement = {"count": 65, "head": fold(bytes(32), [*full, b"y"])[-1].hex()}
    payload = json.loads(dsse.open_payload(make(full).split(b"\n")[0], payload_type=segments.PAYLOAD_TYPE)) | statement
    text = json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
    envelope = dsse.sign(text, payload_type=segments.PAYLOAD_TYPE, keys=[KEY])
    with pytest.raises(Malformed, match="262144 bytes together"):
        segments.parse_segment(b"\n".join([envelope, *full, b"y", b""]))


@pytest.mark.parametrize("size", [0, MESSAGE_BYTES_MAX + 1])
def test_a_message_is_neither_empty_nor_too_large(size: int) -> None:
    """PROTOCOL.md S3, C4."""
    with pytest.raises(Malformed, match="1 to 4096 bytes"):
        segments.parse_segment(make([b"x" * size]))


def test_an_envelope_above_its_size_is_not_read() -> None:
    """PROTOCOL.md C4."""
    envelope, message, _ = make([b"one"]).split(b"\n")
    signed = dsse.add_signatures(envelope, [make_key(f"key {n}") for n in range(60)])
    assert len(signed) > segments.ENVELOPE_BYTES_MAX
    with pytest.raises(Malformed, match="envelope has at most"):
        segments.parse_segment(signed + b"\n" + message + b"\n")


@given(st.lists(st.integers(1, MESSAGE_BYTES_MAX), max_size=400))
def test_a_cut_takes_as_many_as_fit_and_never_none_of_some(sizes: list[int]) -> None:
    """PROTOCOL.md S3."""
    messages = [b"x" * size for size in sizes]
    count = segments.cut(messages)
    assert (count == 0) is (not messages)
    taken = sum(sizes[:count])
    assert count <= segments.SEGMENT_MESSAGES_MAX
    assert taken <= segments.SEGMENT_MESSAGE_BYTES_MAX
    full = count == segments.SEGMENT_MESSAGES_MAX or count == len(sizes)
    assert full or taken + sizes[count] > segments.SEGMENT_MESSAGE_BYTES_MAX


@given(st.data())
def test_a_changed_byte_makes_a_segment_malformed_or_unsigned(data: st.DataObject) -> None:
    """PROTOCOL.md S4, S5: one signature covers every message."""
    aberdare, _ = meet_and_talk()
    raw = data.draw(st.sampled_from([aberdare.segment("barry"), aberdare.segment("barry", 3)]))
    at = data.draw(st.integers(0, len(raw) - 1))
    forged = raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :]
    try:
        segment = segments.parse_segment(forged)
        assert not segments.is_signed_by(segment.envelope, (aberdare.event_key.public,))
    except Malformed:
        return


def test_a_segment_above_its_size_is_not_taken_apart() -> None:
    """PROTOCOL.md C4."""
    with pytest.raises(Malformed, match="A segment has at most"):
        segments.parse_segment(b"x" * (segments.SEGMENT_BYTES_MAX + 1))


def test_two_cuts_of_one_stream_end_in_one_chain_value() -> None:
    """PROTOCOL.md S7."""
    aberdare, _, _, bryn = two_towns()
    for _ in range(3):
        aberdare.send("alys", "barry", bryn, 10)
    heads = {segments.parse_segment(aberdare.segment("barry", first)).statement.head for first in (1, 2, 3, 4)}
    assert len(heads) == 1
