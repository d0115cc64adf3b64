"""The past that a start from a snapshot did not read is proved afterwards; where it was changed, the writer stops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Event

import pytest

from tests.ledger.random_town import random_town
from tests.ledger.snapshot_kit import TownJournal, journal_of, opened, post
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_kit.commit_loop import Stopped
from timebank_kit.journal import JournalTrouble, Record
from timebank_ledger.head import HeadFile
from timebank_ledger.past import PastChanged, prove_past
from timebank_ledger.replay import JournalDamaged, replay
from timebank_ledger.snapshot_job import SnapshotJob


class Damaged(TownJournal):
    """A journal that reads as it is told to."""

    def __init__(self, records: Sequence[Record]) -> None:
        super().__init__("aberdare")
        self.append(records)
        self.read_as: dict[int, Record] = {}

    def read(self, start: int, limit: int) -> list[Record]:
        records = super().read(start, limit)
        return [self.read_as.get(record.position, record) for record in records]


def never(_: float) -> bool:
    return False


def at_once(_: float) -> bool:
    return True


def root_of(journal: TownJournal) -> str:
    tree = Tree()
    for record in journal.read(0, journal.length()):
        tree.append(leaf_hash(record.state))
    return tree.root().hex()


@pytest.fixture(scope="module")
def journal() -> TownJournal:
    return random_town(seed=3, acts=40)


def test_a_past_that_was_not_changed_is_proved(journal: TownJournal) -> None:
    size, root = journal.length(), root_of(journal)
    assert prove_past(journal, size=size, root=root, rest=never)
    post_more = journal_of("aberdare")
    post_more.append(journal.read(0, size))
    post_more.append([Record(size, "transfer.posted", b"{}", None)])
    assert prove_past(post_more, size=size, root=root, rest=never), "what came later is not its concern"


def test_a_proof_that_has_no_more_time_proves_nothing(journal: TownJournal) -> None:
    assert not prove_past(journal, size=journal.length(), root=root_of(journal), rest=at_once)


def minutes_changed(record: Record) -> Record:
    return record._replace(state=record.state.replace(b'"purpose":"gift"', b'"purpose":"pot"'))


def a_bit_flipped(record: Record) -> Record:
    return record._replace(state=bytes([record.state[0] ^ 1]) + record.state[1:])


def key_lost(record: Record) -> Record:
    return record._replace(key=None)


def another_key(record: Record) -> Record:
    return record._replace(key="f" * 32)


def moved(record: Record) -> Record:
    return record._replace(position=record.position + 1)


def emptied(record: Record) -> Record:
    return record._replace(state=b"", key=None)


@pytest.mark.parametrize("damage", [minutes_changed, a_bit_flipped, key_lost, another_key, moved, emptied])
def test_a_changed_entry_is_noticed(journal: TownJournal, damage: object) -> None:
    changed = Damaged(journal.read(0, journal.length()))
    record = next(one for one in journal.read(9, 99) if one.key and b'"purpose":"gift"' in one.state)
    assert callable(damage)
    changed.read_as[record.position] = damage(record)
    with pytest.raises(PastChanged, match="not those that were written"):
        prove_past(changed, size=journal.length(), root=root_of(journal), rest=never)


def test_a_missing_entry_is_noticed(journal: TownJournal) -> None:
    shorter = journal_of("aberdare")
    shorter.append(journal.read(0, journal.length() - 1))
    with pytest.raises(PastChanged):
        prove_past(shorter, size=journal.length(), root=root_of(journal), rest=never)


def town_with_snapshot(folder: Path) -> Damaged:
    journal = journal_of("aberdare")
    with opened(journal, folder) as writer:
        for number in range(20):
            post(writer, number)
    return Damaged(journal.read(0, journal.length()))


def test_a_start_from_a_snapshot_proves_the_past_and_goes_on(tmp_path: Path) -> None:
    journal, turned = town_with_snapshot(tmp_path), Event()
    with opened(journal, tmp_path) as writer:
        unread = writer.snapshot.unread
        assert unread == (27, root_of(journal))
        job = SnapshotJob(writer, every_entries=1_000, on_turn=turned.set)
        assert turned.wait(timeout=10)
        assert writer.snapshot.unread is None
        post(writer, 99)
        job.close()


def test_a_past_that_was_changed_stops_the_writer_and_the_next_start_names_the_entry(tmp_path: Path) -> None:
    """L-3, P10: reading goes on; the snapshot is gone."""
    journal, turned = town_with_snapshot(tmp_path), Event()
    entry = journal.read(12, 1)[0]
    journal.read_as[12] = entry._replace(state=entry.state.replace(b"bryn", b"nobody"))
    with opened(journal, tmp_path) as writer:
        job = SnapshotJob(writer, every_entries=1_000, on_turn=turned.set)
        assert turned.wait(timeout=10)
        with pytest.raises(Stopped, match="not those that were written"):
            post(writer, 99)
        with writer.reading() as book:
            assert book.n == journal.length()
        job.close()
    assert not (tmp_path / "snapshot").exists()
    with pytest.raises(JournalDamaged, match="entry 12 is not what was written there"):
        replay(journal)


def test_a_journal_that_is_away_is_asked_again_and_stops_nobody(tmp_path: Path) -> None:
    class Away(Damaged):
        away = False

        def read(self, start: int, limit: int) -> list[Record]:
            if self.away:
                asked.set()
                raise JournalTrouble("the store is away")
            return super().read(start, limit)

    asked = Event()
    whole = town_with_snapshot(tmp_path)
    journal = Away(whole.read(0, whole.length()))
    with opened(journal, tmp_path, head=HeadFile(None)) as writer:
        journal.away = True
        job = SnapshotJob(writer, every_entries=1_000)
        assert asked.wait(timeout=10)
        post(writer, 99)
        job.close()
        journal.away = False
