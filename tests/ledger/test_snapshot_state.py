"""The snapshot carries the whole state: whatever fields it has, and whatever journal it came from."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.vectors.vectors_journal import tell_two_towns
from tests.ledger.random_town import random_town
from tests.ledger.snapshot_kit import journal_of, state_of
from timebank_contracts.book import Book, apply
from timebank_contracts.merkle import Tree
from timebank_contracts.state import Account, PeerState
from timebank_kit.journal import Journal
from timebank_ledger.head import HeadFile
from timebank_ledger.replay import replay
from timebank_ledger.snapshot import SnapshotFile, decode_book, read_back, take

WHOLE = st.integers(-(2**53), 2**53)
PLAIN: dict[object, st.SearchStrategy[Any]] = {
    int: WHOLE,
    str: st.text(max_size=8),
    bool: st.booleans(),
    bytes: st.binary(max_size=8),
    NoneType: st.none(),
}


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of an annotated type of the state; a kind that is missing here is one to think about."""
    inner = [any_of(one) for one in get_args(kind) if one is not Ellipsis]
    origin = get_origin(kind)
    if kind in PLAIN:
        return PLAIN[kind]
    if origin in (Union, UnionType):
        return st.one_of(inner)
    if origin is dict:
        return st.dictionaries(*inner, max_size=3)
    if origin is set:
        return st.sets(*inner, max_size=3)
    if origin is list:
        return st.lists(*inner, max_size=3)
    if origin is tuple:
        return st.lists(*inner, max_size=3).map(tuple) if Ellipsis in get_args(kind) else st.tuples(*inner)
    assert is_dataclass(kind) or issubclass(kind, tuple), f"{kind}: does a snapshot carry it?"
    return st.builds(kind, **{name: any_of(hint) for name, hint in get_type_hints(kind).items()})


@settings(max_examples=50, deadline=None)
@given(any_of(Book))
def test_every_field_of_the_state_is_carried(book: Book) -> None:
    """L-3: also one that is added tomorrow."""
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(book), type=Book) == book


def parts_of(kind: Any, found: set[Any]) -> set[Any]:
    """The classes that the state is made of."""
    for inner in get_args(kind):
        parts_of(inner, found)
    if is_dataclass(kind) and kind not in found:
        found.add(kind)
        for hint in get_type_hints(kind).values():
            parts_of(hint, found)
    return found


@pytest.mark.parametrize("kind", sorted(parts_of(Book, set()), key=str))
def test_a_class_of_the_state_has_nothing_that_a_comparison_or_a_snapshot_leaves_out(kind: Any) -> None:
    assert all(field.compare and field.init for field in fields(kind))
    assert set(kind.__slots__) == {field.name for field in fields(kind)}


def test_the_changeable_classes_of_the_state_are_these() -> None:
    """The next test follows them; a new one is to be named there."""
    assert {kind for kind in parts_of(Book, set()) if kind.__hash__ is None} == {Account, PeerState, Book}


def shared(value: Any, seen: dict[int, str], path: str, found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Which places of the state are one changeable object."""
    if isinstance(value, Account | PeerState | Book):
        if id(value) in seen:
            found.append((seen[id(value)], path))
            return found
        seen[id(value)] = path
    if is_dataclass(value):
        for field in fields(value):
            shared(getattr(value, field.name), seen, f"{path}.{field.name}", found)
    elif isinstance(value, dict):
        for key, one in value.items():
            shared(one, seen, f"{path}[{key}]", found)
    return found


@pytest.mark.parametrize("number", [0, 1])
def test_snapshot_and_tail_are_the_replay_at_every_position_of_two_towns(number: int) -> None:
    """L-3: the towns of the vectors hold an entry of every kind; what two places share stays one object."""
    town = tell_two_towns()[number]
    for size in range(len(town.entries) + 1):
        book = Book()
        for entry in town.entries[:size]:
            apply(book, entry, read=town.entries.__getitem__)
        copy = decode_book(msgspec.msgpack.encode(book))
        assert copy == book
        assert list(copy.rule_confirmed) == list(book.rule_confirmed)
        assert shared(copy, {}, "", []) == shared(book, {}, "", [])
        for entry in town.entries[size:]:
            apply(copy, entry, read=town.entries.__getitem__)
        assert copy == town.book


WITHIN_A_TOWN = {
    "node.opened, policy.changed, account.opened, account.changed, account.frozen, account.unfrozen, account.closing",
    "account.closed, account.alias_issued, account.alias_revoked, transfer.posted, transfer.reversed, claim.made",
    "claim.withdrawn, claim.disputed, claim.upheld, claim.expired, money.recorded",
}


def start_at(journal: Journal, size: int, folder: Path) -> tuple[Book, Tree]:
    """A start from the snapshot that was written when the journal had so many entries."""
    early = journal_of("aberdare")
    early.append(journal.read(0, size))
    file = SnapshotFile(folder / "snapshot")
    assert file.store(take(*replay(early), HeadFile(None)), early)
    return read_back(journal, head=HeadFile(None), snapshot=file)


def test_snapshot_and_tail_are_the_replay_of_a_town_where_everything_happens(tmp_path: Path) -> None:
    journal = random_town(seed=1, acts=900)
    written = {record.topic for record in journal.read(0, journal.length())}
    assert written == {kind for line in WITHIN_A_TOWN for kind in line.split(", ")}
    whole = state_of(*replay(journal))
    for size in range(1, journal.length() + 1, 37):
        assert state_of(*start_at(journal, size, tmp_path)) == whole


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 120), st.floats(0, 1))
def test_snapshot_and_tail_are_the_replay(tmp_path: Path, seed: int, acts: int, share: float) -> None:
    """L-3: whatever the town did, and wherever its snapshot was taken."""
    journal = random_town(seed=seed, acts=acts)
    taken = start_at(journal, max(1, int(share * journal.length())), tmp_path)
    assert state_of(*taken) == state_of(*replay(journal))
