"""Entries: one class a type, decoded strictly, encoded canonically."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from contracts.vectors.paper_town import MEMBER, NETWORK
from contracts.vectors.vectors_journal import tell_two_towns
from timebank_contracts import canonical
from timebank_contracts import entries as e
from timebank_contracts.errors import Malformed

TIME = "2026-03-02T09:00:00.000Z"
GIFT = e.TransferPosted(
    n=7,
    time=TIME,
    by=MEMBER,
    data=e.Posted(purpose="gift", confirmed_by="none"),
    postings=[("alys", -90), ("aled", 90)],
)


def changed(**fields: Any) -> bytes:
    """The gift with other values, as JSON; None leaves a field out."""
    value = {**json.loads(e.encode_entry(GIFT)), **fields}
    return canonical.encode({name: said for name, said in value.items() if said is not None})


def test_an_entry_is_written_as_one_line_of_known_bytes() -> None:
    """PROTOCOL.md E1."""
    assert e.encode_entry(GIFT) == (
        b'{"by":{"id":"mb-1","kind":"member"},"data":{"confirmed_by":"none","purpose":"gift"},"n":7,'
        b'"postings":[["alys",-90],["aled",90]],"time":"2026-03-02T09:00:00.000Z","type":"transfer.posted"}'
    )
    assert e.entry_type(GIFT) == "transfer.posted"


def test_every_entry_of_two_towns_is_read_as_it_was_written() -> None:
    """PROTOCOL.md E1."""
    for town in tell_two_towns():
        for n, (entry, raw) in enumerate(zip(town.entries, town.journal, strict=True)):
            assert e.decode_entry(raw) == entry
            assert entry.n == n
            assert json.loads(raw)["type"] == e.entry_type(entry)


def test_a_type_is_a_noun_and_a_past_tense_and_names_one_class() -> None:
    """PROTOCOL.md E1."""
    assert len(e.ENTRY_TYPES) == len(e.AnyEntry.__args__)
    assert {
        kind
        for kind in e.ENTRY_TYPES
        if kind.split(".")[1] not in {"sent", "made", "withdrawn", "upheld", "given"} and not kind.endswith("ed")
    } == {
        "account.closing",
        "account.frozen",
        "account.unfrozen",
        "peer.frozen",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"n": -1},
        {"n": 2**53},
        {"n": None},
        {"time": "2026-03-02T09:00:00Z"},
        {"by": {"kind": "stranger"}},
        {"by": {"kind": "member", "id": "Alys Jones"}},
        {"by": {"kind": "member", "name": "alys"}},
        {"data": {"purpose": "gift"}},
        {"data": {"purpose": "gift", "confirmed_by": "none", "memo": "thanks"}},
        {"data": {"purpose": "gift", "confirmed_by": "none", "activity": "surgery"}},
        {"postings": []},
        {"postings": [["alys", -90]]},
        {"postings": [["alys", -90, 1], ["aled", 90]]},
        {"postings": [["alys", -60_001], ["aled", 60_001]]},
        {"postings": [["alys", "-90"], ["aled", 90]]},
        {"postings": [["Alys", -90], ["aled", 90]]},
        {"postings": [[f"m-{n}", 1] for n in range(257)]},
        {"postings": "all"},
        {"key": "my order for mrs jones"},
        {"key": "A" * 32},
        {"command": "ab" * 32},
        {"memo": "thanks"},
    ],
)
def test_an_entry_with_another_field_form_or_range_is_malformed(fields: dict[str, Any]) -> None:
    """PROTOCOL.md E1, E2, E3, A1."""
    assert e.decode_entry(changed()) == GIFT
    with pytest.raises(Malformed) as caught:
        e.decode_entry(changed(**fields))
    assert not isinstance(caught.value, e.UnknownEntryType)


@pytest.mark.parametrize("kind", ["member", "broker", "delegate", "partner", "operator", "peer", "rule"])
def test_an_actor_is_a_kind_an_opaque_id_and_a_mandate(kind: Any) -> None:
    """PROTOCOL.md E2."""
    actor = e.Actor(kind=kind, id="mb-1", mandate="md-1")
    entry = msgspec.structs.replace(GIFT, by=actor)
    assert e.decode_entry(e.encode_entry(entry)).by == actor


def test_a_key_and_a_command_are_hashes() -> None:
    """PROTOCOL.md E3."""
    entry = msgspec.structs.replace(GIFT, key="0a" * 16, command="0b" * 16)
    assert e.decode_entry(e.encode_entry(entry)) == entry


@pytest.mark.parametrize("kind", ["thanks.taken", "transfer.forgotten", "x" * 1000])
def test_an_unknown_type_is_told_from_a_malformed_entry(kind: str) -> None:
    """PROTOCOL.md E4."""
    with pytest.raises(e.UnknownEntryType):
        e.decode_entry(changed(type=kind))


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b'{"type":7}', b'{"type":"transfer.posted"}', b"\xff", b"[" * 60_000]
)
def test_what_has_no_type_is_malformed(raw: bytes) -> None:
    """PROTOCOL.md E4."""
    with pytest.raises(Malformed) as caught:
        e.decode_entry(raw)
    assert not isinstance(caught.value, e.UnknownEntryType)


def test_the_greatest_entry_with_two_messages_and_all_postings_fits() -> None:
    """PROTOCOL.md C4, E3."""
    postings = [(f"{'a' * 60}-{n % 100:02d}"[:63], -60_000 if n % 2 else 60_000) for n in range(e.POSTINGS_MAX)]
    message = msgspec.Raw(b'{"x":"' + b"y" * 4_088 + b'"}')
    entry = msgspec.structs.replace(GIFT, postings=postings, in_=message, out=message)
    assert len(e.encode_entry(entry)) <= canonical.ENTRY_BYTES_MAX


def test_an_entry_above_its_size_is_not_written() -> None:
    """PROTOCOL.md C4."""
    room = canonical.ENTRY_BYTES_MAX - len(e.encode_entry(GIFT)) - len(b'"out":"",')
    for more, fits in ((0, True), (1, False)):
        entry = msgspec.structs.replace(GIFT, out=msgspec.Raw(b'"' + b"x" * (room + more) + b'"'))
        if fits:
            assert len(e.encode_entry(entry)) == canonical.ENTRY_BYTES_MAX
            assert e.decode_entry(e.encode_entry(entry)).n == GIFT.n
        else:
            with pytest.raises(Malformed, match="at most 65535 bytes"):
                e.encode_entry(entry)


def test_a_string_that_needs_an_escape_is_not_written() -> None:
    """PROTOCOL.md C2."""
    entry = msgspec.structs.replace(GIFT, postings=[("alys\n", -90), ("aled", 90)])
    with pytest.raises(Malformed):
        e.encode_entry(entry)


def test_the_first_entry_says_whose_journal_it_is() -> None:
    """PROTOCOL.md L1."""
    first = tell_two_towns()[0].entries[0]
    assert isinstance(first, e.NodeOpened)
    assert (first.data.network, first.data.node, first.data.generation, first.data.rules) == (
        NETWORK,
        "aberdare",
        "g1",
        1,
    )
