"""One suite over every journal store: memory, SQLite, PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from eventsourcing.persistence import AggregateRecorder, IntegrityError, StoredEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from timebank_kit.journal import (
    SCAN_RECORDS,
    Journal,
    KeyTaken,
    PositionTaken,
    Record,
    TailMissing,
    open_journal,
    originator_of,
)


@dataclass
class Store:
    """A place for journals; `open` gives a journal of a new name unless one is named."""

    url: str
    opened: list[Journal] = field(default_factory=list)

    def open(self, name: str | None = None) -> Journal:
        journal = open_journal(self.url, name or uuid4().hex)
        self.opened.append(journal)
        return journal


SQLITE = "sqlite"
POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.servers)


def opened_store(request: pytest.FixtureRequest, folder: Path) -> Iterator[Store]:
    if request.param == "memory":
        store = Store("memory:")
    elif request.param == "sqlite":
        store = Store(f"sqlite:{folder / 'journal.db'}")
    else:
        store = Store(str(request.getfixturevalue("postgres_dsn")))
    yield store
    for journal in store.opened:
        journal.close()


@pytest.fixture(params=["memory", SQLITE, POSTGRESQL])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened_store(request, tmp_path)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def shared_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store that several processes may open; a journal in memory belongs to one."""
    yield from opened_store(request, tmp_path)


def some(start: int, count: int, *, keyed: bool = True) -> list[Record]:
    return [
        Record(p, "thing.happened", b"\x00\xff" + str(p).encode(), f"key-{p}" if keyed else None)
        for p in range(start, start + count)
    ]


def test_what_was_appended_is_read_back_byte_for_byte(store: Store) -> None:
    journal = store.open()
    written = [Record(0, "a", bytes(range(256)), None), Record(1, "b", b"", "key"), Record(2, "å", b"{}", None)]
    journal.append(written)
    assert journal.read(0, 10) == written
    assert journal.length() == 3
    assert all(type(record.state) is bytes for record in journal.read(0, 10))


def test_an_empty_journal_has_length_zero_and_no_records(store: Store) -> None:
    journal = store.open()
    assert journal.length() == 0
    assert journal.read(0, 5) == []
    assert list(journal.scan(0, 5)) == []
    assert journal.find_key("nothing") is None


def test_an_append_of_nothing_changes_nothing(store: Store) -> None:
    journal = store.open()
    journal.append([])
    assert journal.length() == 0


def test_a_page_holds_at_most_its_limit(store: Store) -> None:
    journal = store.open()
    journal.append(some(0, 10))
    assert journal.read(3, 4) == some(3, 4)
    assert journal.read(8, 100) == some(8, 2)
    assert journal.read(10, 5) == []


def test_a_scan_passes_every_record_once_in_order(store: Store) -> None:
    journal = store.open()
    count = SCAN_RECORDS * 2 + 7
    for start in range(0, count, 1000):
        journal.append(some(start, min(1000, count - start)))
    assert [record.position for record in journal.scan(0, count)] == list(range(count))
    assert list(journal.scan(5, 9)) == some(5, 4)
    assert len(list(journal.scan(0, count * 2))) == count


def test_a_record_is_found_by_its_key(store: Store) -> None:
    journal = store.open()
    journal.append(some(0, 1200))
    assert journal.find_key("key-7") == some(7, 1)[0]
    assert journal.find_key("key-1200") is None
    asked = [f"key-{p}" for p in range(1100, 2300)]
    assert journal.find_keys(asked) == {f"key-{p}": some(p, 1)[0] for p in range(1100, 1200)}


def test_a_key_of_another_record_is_refused_and_nothing_is_written(store: Store) -> None:
    journal = store.open()
    journal.append(some(0, 3))
    with pytest.raises(KeyTaken):
        journal.append([*some(3, 5), Record(8, "again", b"", "key-1")])
    assert journal.length() == 3
    journal.append(some(3, 5))
    assert journal.length() == 8


def test_a_key_twice_in_one_append_is_refused_and_nothing_is_written(store: Store) -> None:
    journal = store.open()
    with pytest.raises(KeyTaken):
        journal.append([Record(0, "a", b"", "same"), Record(1, "b", b"", "same")])
    assert journal.length() == 0
    assert journal.find_key("same") is None


def test_a_position_that_is_taken_is_refused_and_nothing_is_written(store: Store) -> None:
    journal = store.open()
    journal.append(some(0, 5))
    with pytest.raises(PositionTaken):
        journal.append([Record(p, "other", b"other", f"other-{p}") for p in range(4, 9)])
    assert journal.read(0, 100) == some(0, 5)
    journal.append(some(5, 1))
    assert journal.length() == 6


def test_a_gap_before_an_append_is_refused_and_nothing_is_written(store: Store) -> None:
    journal = store.open()
    journal.append(some(0, 5))
    with pytest.raises(TailMissing):
        journal.append(some(6, 2))
    assert journal.length() == 5
    with pytest.raises(AssertionError):
        journal.append([*some(5, 1), *some(7, 1)])
    assert journal.length() == 5


def test_the_second_writer_gets_position_taken_and_nothing_of_it_is_written(shared_store: Store) -> None:
    name = uuid4().hex
    first, second = shared_store.open(name), shared_store.open(name)
    first.append(some(0, 10))
    assert second.length() == 10
    first.append(some(10, 10))
    with pytest.raises(PositionTaken):
        second.append([Record(p, "other", b"other", f"other-{p}") for p in range(10, 40)])
    assert second.read(0, 100) == some(0, 20)
    assert second.find_key("other-30") is None


def test_of_two_writers_that_race_one_wins_every_position(shared_store: Store) -> None:
    name = uuid4().hex
    writers = [shared_store.open(name) for _ in range(2)]
    start = threading.Barrier(2, timeout=30)

    def race(number: int) -> int:
        start.wait()
        for round_ in range(50):
            records = [Record(p, f"writer-{number}", b"", None) for p in range(round_ * 4, round_ * 4 + 4)]
            try:
                writers[number].append(records)
            except (PositionTaken, TailMissing):
                return round_
        return 50

    with ThreadPoolExecutor(2) as threads:
        rounds = list(threads.map(race, range(2)))
    winner = rounds.index(max(rounds))
    assert rounds[winner] == 50
    whole = list(writers[0].scan(0, writers[0].length()))
    assert [record.position for record in whole] == list(range(200))
    for start_of_batch in range(0, 200, 4):
        assert len({record.topic for record in whole[start_of_batch : start_of_batch + 4]}) == 1


def test_readers_see_whole_batches_while_the_writer_writes(store: Store) -> None:
    journal = store.open()
    done = threading.Event()

    def watch() -> list[int]:
        lengths: list[int] = []
        while not done.is_set() or not lengths:
            length = journal.length()
            assert [r.position for r in journal.scan(0, length)] == list(range(length))
            lengths.append(length)
        return lengths

    with ThreadPoolExecutor(3) as threads:
        watched = [threads.submit(watch) for _ in range(3)]
        for start in range(0, 500, 25):
            journal.append(some(start, 25))
        done.set()
    for seen in watched:
        assert all(length % 25 == 0 for length in seen.result())
        assert seen.result() == sorted(seen.result())


def test_journals_of_one_store_do_not_see_each_other(shared_store: Store) -> None:
    one, other = shared_store.open(), shared_store.open()
    one.append(some(0, 3))
    assert other.length() == 0
    other.append(some(0, 5))
    assert one.read(0, 10) == some(0, 3)
    assert other.find_key("key-4") is not None
    assert one.find_key("key-4") is None


def test_what_was_appended_is_there_when_opened_again(shared_store: Store) -> None:
    name = uuid4().hex
    journal = shared_store.open(name)
    journal.append(some(0, 4))
    journal.close()
    journal.close()
    assert shared_store.open(name).read(0, 10) == some(0, 4)


def test_after_reopen_a_journal_reads_and_writes_on(store: Store) -> None:
    journal = store.open()
    journal.append(some(0, 4))
    journal.reopen()
    assert journal.length() == 4
    journal.append(some(4, 4))
    assert list(journal.scan(0, 8)) == some(0, 8)


def test_the_librarys_own_reader_reads_every_row_back(store: Store) -> None:
    name = uuid4().hex
    journal = store.open(name)
    journal.append([*some(0, 5), *some(5, 5, keyed=False)])
    assert isinstance(journal, AggregateRecorder)
    originator = originator_of(name)
    expected = [StoredEvent(originator, r.position, r.topic, r.state) for r in journal.read(0, 10)]
    assert list(journal.select_events(originator)) == expected
    assert list(journal.select_events(originator, gt=2, lte=6, desc=True, limit=2)) == [expected[6], expected[5]]


def test_the_librarys_own_door_writes_by_the_same_append(store: Store) -> None:
    name = uuid4().hex
    journal = store.open(name)
    assert isinstance(journal, AggregateRecorder)
    events = [StoredEvent(originator_of(name), p, "thing.happened", b"state") for p in range(3)]
    journal.insert_events(events)
    assert journal.read(0, 5) == [Record(p, "thing.happened", b"state", None) for p in range(3)]
    with pytest.raises(IntegrityError):
        journal.insert_events(events)


def model(journal: Journal, batches: Sequence[Sequence[tuple[bytes, str | None]]]) -> list[Record]:
    """Append the batches and return what a list would hold; a batch with a key that is taken is refused whole."""
    held: list[Record] = []
    for batch in batches:
        records = [Record(len(held) + at, "t", state, key) for at, (state, key) in enumerate(batch)]
        keys = [record.key for record in [*held, *records] if record.key is not None]
        if len(keys) == len(set(keys)):
            journal.append(records)
            held += records
        else:
            with pytest.raises(KeyTaken):
                journal.append(records)
    return held


CELLS = st.tuples(st.binary(max_size=40), st.none() | st.sampled_from("abcdefghij"))


def test_any_run_of_batches_leaves_what_a_list_would_hold(store: Store) -> None:
    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.lists(CELLS, max_size=6), max_size=6))
    def holds(batches: list[list[tuple[bytes, str | None]]]) -> None:
        journal = open_journal(store.url, uuid4().hex)
        held = model(journal, batches)
        assert journal.read(0, 100) == held
        assert journal.length() == len(held)
        assert journal.find_keys(list("abcdefghij")) == {r.key: r for r in held if r.key is not None}
        journal.close()

    holds()


def test_the_first_records_of_a_store_tell_whose_it_is(store: Store) -> None:
    journal = store.open()
    assert journal.first_records(10) == []
    others = [store.open() for _ in range(3)]
    for number, other in enumerate(others):
        other.append([Record(0, "thing.began", bytes([number]), None), Record(1, "thing.happened", b"later", None)])
    if store.url == "memory:":
        assert [other.first_records(10) for other in others] == [[other.read(0, 1)[0]] for other in others]
        return
    assert sorted(journal.first_records(10)) == [other.read(0, 1)[0] for other in others]
    assert len(journal.first_records(2)) == 2
