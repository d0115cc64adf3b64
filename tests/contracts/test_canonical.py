"""Canonical bytes: RFC 8785 under our profile, with the `rfc8785` package as the oracle."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.vectors.vectors_journal import tell_two_towns
from timebank_contracts import canonical
from timebank_contracts.entries import decode_entry, encode_entry
from timebank_contracts.errors import Malformed

NUMBERS = st.integers(-canonical.INTEGER_MAX, canonical.INTEGER_MAX)
PLAIN = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"\\'), max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | PLAIN,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(PLAIN, inner, max_size=5),
    max_leaves=30,
)


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    a: int
    b: str = ""


DECODER = msgspec.json.Decoder(Example)
ANYTHING = msgspec.json.Decoder(Any)
GOOD = b'{"a":1,"b":"x"}'


@given(VALUES)
def test_bytes_are_those_of_rfc_8785(value: Any) -> None:
    """PROTOCOL.md C1."""
    raw = canonical.encode(value)
    assert raw == rfc8785.dumps(value)
    assert canonical.decode(raw, ANYTHING) == value == json.loads(raw)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=5))
def test_text_of_any_script_is_written_as_rfc_8785_writes_it(value: dict[str, str]) -> None:
    """PROTOCOL.md C1, C2: keys beyond ASCII sort by another rule, and are outside the profile."""
    try:
        expected = rfc8785.dumps(value)
    except UnicodeError:
        return
    if all(key.isascii() for key in value):
        assert canonical.encode(value) == expected
        if b"\\" in expected:
            with pytest.raises(Malformed, match="escape"):
                canonical.decode(expected, ANYTHING)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1, "b":"x"}',
        b'{"b":"x","a":1}',
        b'{"a":1,"a":1,"b":"x"}',
        b'{"a":1.0,"b":"x"}',
        b'{"a":1e0,"b":"x"}',
        b'{"a":01,"b":"x"}',
        b'{"a":-0,"b":"x"}',
        b'{"a":+1,"b":"x"}',
        b'{"a":true,"b":"x"}',
        b'{"a":"1","b":"x"}',
        b'{"a":NaN,"b":"x"}',
        b'{"a":1,"b":null}',
        b'{"a":1,"b":"x","c":0}',
        b'{"a":1,"b":"\\u0078"}',
        b'{"a":1,"b":"x\\n"}',
        b'{"a":1,"b":"x\n"}',
        b'{"a":1,"b":"\xff"}',
        b'\xef\xbb\xbf{"a":1,"b":"x"}',
        b'{"a":1,"b":"x"}\n',
        b'{"a":1,"b":"x"}x',
        b'{"a":1,"b":"x"',
        b"",
        b"[" * 100_000,
    ],
)
def test_any_other_form_is_malformed(raw: bytes) -> None:
    """PROTOCOL.md C2, C3, C4."""
    canonical.decode(GOOD, DECODER)
    with pytest.raises(Malformed):
        canonical.decode(raw, DECODER, bytes_max=200_000)


def test_nothing_is_parsed_above_its_size() -> None:
    """PROTOCOL.md C4."""
    raw = canonical.encode({"a": 1, "b": "x" * canonical.ENTRY_BYTES_MAX})
    with pytest.raises(Malformed, match="bytes are more than"):
        canonical.decode(raw, DECODER)


@given(st.data())
def test_a_changed_byte_of_an_entry_is_malformed_or_another_entry(data: st.DataObject) -> None:
    """PROTOCOL.md C3: two byte strings never mean one entry."""
    journal = JOURNAL
    raw = data.draw(st.sampled_from(journal))
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :]
    try:
        entry = decode_entry(changed)
    except Malformed:
        return
    assert entry != decode_entry(raw)
    assert encode_entry(entry) == changed


JOURNAL = [raw for town in tell_two_towns() for raw in town.journal]


def test_a_message_stands_in_its_entry_as_it_came() -> None:
    """PROTOCOL.md C5."""
    for raw in JOURNAL:
        entry = decode_entry(raw)
        for inner in (entry.in_, entry.out):
            assert inner is msgspec.UNSET or bytes(inner) in raw
        assert raw == rfc8785.dumps(json.loads(raw))


@given(st.binary(max_size=50), st.binary(max_size=50))
@example(b"", b"")
@example(b"ab", b"abc")
def test_the_first_difference_is_where_the_bytes_part(left: bytes, right: bytes) -> None:
    at = canonical.first_difference(left, right)
    assert left[:at] == right[:at]
    assert left == right or left[at : at + 1] != right[at : at + 1]
