"""The reader of many entries gives exactly what `decode_entry` gives for each, and refuses what it refuses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts import entries as e
from timebank_contracts.entry_reader import EntryReader
from timebank_contracts.errors import Malformed

BY = e.Actor(kind="member", id="m-1")
GOOD = [
    e.encode_entry(
        e.TransferPosted(
            n=n,
            time="2026-01-31T10:00:00.123Z",
            by=BY,
            key=f"{n:032x}",
            postings=[("m-1", -60 - n), ("m-2", 60 + n)],
            data=e.Posted(purpose="gift", confirmed_by="none"),
        )
    )
    for n in range(4)
]
OTHER = e.encode_entry(e.AccountFrozen(n=4, time="2026-01-31T10:00:00.123Z", by=BY, data=e.AccountNamed(account="m-1")))


def one_by_one(raws: Sequence[bytes]) -> tuple[list[e.AnyEntry], str]:
    found: list[e.AnyEntry] = []
    try:
        for raw in raws:
            found.append(e.decode_entry(raw))
    except Malformed as error:
        return found, f"{type(error).__name__} {error}"
    return found, ""


def together(raws: Sequence[bytes]) -> tuple[list[e.AnyEntry], str]:
    found: list[e.AnyEntry] = []
    try:
        for entry in EntryReader().read(raws):
            found.append(entry)
    except Malformed as error:
        return found, f"{type(error).__name__} {error}"
    return found, ""


def test_good_entries_of_mixed_types_are_read_in_order() -> None:
    raws = [GOOD[0], OTHER, GOOD[1], GOOD[2]]
    assert together(raws) == one_by_one(raws)
    assert len(together(raws)[0]) == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"m-1"', b'"M-1"'),
        (b'"m-1"', b'"m-1\\n"'),
        (b'"m-1",', b'"m-1", '),
        (b'"n":1', b'"n":01'),
        (b'"n":1', b'"n":1.0'),
        (b"-61", b"-60001"),
        (b'"gift"', b'"gifts"'),
        (b'"member"', b'"Member"'),
        (b"00000000000000000000000000000001", b"0000000000000000000000000000000A"),
        (b"00000000000000000000000000000001", b"000000000000000000000000000000 1"),
        (b"00000000000000000000000000000001", b"0000000000000000000000000000001"),
        (b"10:00:00.123Z", b"25:00:00.123Z"),
        (b"00.123Z", b"00.123Z\\n"),
        (b"00.123Z", b"00.123Z2026-01-31T10:00:00.123Z"),
        (b"2026-01-31", b"2026-13-31"),
        (b"00.123Z", b"00.12\xd9\xa3Z"),
        (b'{"by"', b'{"a":1,"by"'),
        (b'"time"', b'"postings":[["m-1",-61],["m-2",61]],"time"'),
        (b',"type"', b'}\n{,"type"'),
        (b"transfer.posted", b"transfer.future"),
    ],
)
def test_a_bad_entry_among_good_ones_is_refused_in_the_same_words(old: bytes, new: bytes) -> None:
    bad = GOOD[1].replace(old, new)
    assert bad != GOOD[1]
    raws = [GOOD[0], bad, GOOD[2]]
    entries, error = together(raws)
    assert error
    assert (entries, error) == one_by_one(raws)


def test_entries_that_only_together_would_be_lines_are_refused() -> None:
    half = len(GOOD[1]) // 2
    raws = [GOOD[0] + b"\n" + GOOD[1][:half], GOOD[1][half:]]
    assert together(raws) == one_by_one(raws)
    assert together(raws)[1]


@given(st.data())
def test_the_two_readers_agree_on_damaged_bytes(data: st.DataObject) -> None:
    raws = list(GOOD)
    which = data.draw(st.integers(0, len(raws) - 1))
    raw = bytearray(raws[which])
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.sampled_from(b'"{}[],:\n az09-.\\\xc3'))
    raws[which] = bytes(raw)
    assert together(raws) == one_by_one(raws)
