"""The snapshot of the book: a start from it is a start from the journal, and a wrong one costs a replay and no more."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from tests.ledger.snapshot_kit import journal_of, opened, post, state_of
from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_kit.commit_loop import Doubt, Stopped
from timebank_kit.journal import Journal, OutcomeUnknown, Record, open_journal, originator_of
from timebank_kit.journal_memory import MemoryJournal
from timebank_ledger.head import HeadFile, JournalBehindHead
from timebank_ledger.replay import JournalDamaged, replay
from timebank_ledger.snapshot import SnapshotFile, Unsound, Useless, read_back, state_format
from timebank_ledger.snapshot_job import SnapshotJob


class Counted(MemoryJournal):
    """A journal that says how many records were read."""

    def __init__(self) -> None:
        super().__init__(originator_of("counted"))
        self.given = 0

    def read(self, start: int, limit: int) -> list[Record]:
        records = super().read(start, limit)
        self.given += len(records)
        return records


@contextmanager
def said(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The reasons of the warnings that were given meanwhile."""
    reasons: list[str] = []
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        yield reasons
    reasons += [f"{record.getMessage()}: {getattr(record, 'reason', '')}" for record in caplog.records]


def fill(journal: Journal, folder: Path, *, entries: int = 20) -> None:
    """A town of so many entries, stopped well: its snapshot and its head file are in the folder."""
    with opened(journal, folder) as writer:
        while writer.tail.length < entries:
            post(writer, writer.tail.length)


def start(journal: Journal, folder: Path) -> tuple[object, Tree]:
    return read_back(journal, head=HeadFile(folder / "head"), snapshot=SnapshotFile(folder / "snapshot"))


def test_a_start_from_the_snapshot_reads_the_tail_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Counted()
    fill(journal, tmp_path, entries=40)
    snapshot = (tmp_path / "snapshot").read_bytes()
    with opened(journal, tmp_path) as writer:
        for number in range(40, 45):
            post(writer, number)
    (tmp_path / "snapshot").write_bytes(snapshot)
    journal.given = 0
    with said(caplog) as reasons:
        book, tree = start(journal, tmp_path)
    assert journal.given == 2 + 5, "the two entries that it names, and those after it"
    assert reasons == []
    assert state_of(book, tree) == state_of(*replay(journal))


def test_the_root_at_the_head_file_is_taken_on_the_way(tmp_path: Path) -> None:
    """The published size lies within the tail, at its end, or before the snapshot: no entry is read for it."""
    journal = Counted()
    fill(journal, tmp_path, entries=10)
    head = HeadFile(tmp_path / "head")
    old = (tmp_path / "snapshot").read_bytes()
    with opened(journal, tmp_path, head=HeadFile(None)) as writer:
        post(writer, 10)
        post(writer, 11)
    trees = [tree_of(journal, size) for size in range(13)]
    for size in (10, 11, 12):
        (tmp_path / "snapshot").write_bytes(old)
        head.remember(size, trees[size].root())
        journal.given = 0
        assert start(journal, tmp_path)[1].size == 12
        assert journal.given == 2 + 2
        (tmp_path / "head").unlink()
        head = HeadFile(tmp_path / "head")


def tree_of(journal: Journal, size: int) -> Tree:
    tree = Tree()
    for record in journal.read(0, size):
        tree.append(leaf_hash(record.state))
    return tree


def truncated(raw: bytes) -> bytes:
    return raw[:-1]


def cut_in_its_heading(raw: bytes) -> bytes:
    return raw[:60]


def emptied(raw: bytes) -> bytes:
    return b""


def flipped(raw: bytes) -> bytes:
    return raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:]


def lengthened(raw: bytes) -> bytes:
    return raw + b"\0"


def of_older_code(raw: bytes) -> bytes:
    """L-3."""
    return raw.replace(state_format().encode(), b"0" * 64)


def of_another_kind(raw: bytes) -> bytes:
    return b"SQLite format 3\0" + raw


WRONG: dict[Callable[[bytes], bytes], str] = {
    truncated: "not what was written",
    cut_in_its_heading: "no snapshot",
    emptied: "no snapshot",
    flipped: "not what was written",
    lengthened: "not what was written",
    of_older_code: "another version",
    of_another_kind: "no snapshot",
}


@pytest.mark.parametrize("damage", WRONG, ids=lambda damage: damage.__name__)
def test_a_wrong_snapshot_costs_a_warning_and_a_replay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    """L-3."""
    journal = journal_of("aberdare")
    fill(journal, tmp_path)
    path = tmp_path / "snapshot"
    path.write_bytes(damage(path.read_bytes()))
    with said(caplog) as reasons:
        book, tree = start(journal, tmp_path)
    assert [WRONG[damage] in reason for reason in reasons] == [True]
    assert state_of(book, tree) == state_of(*replay(journal))
    with opened(journal, tmp_path) as writer:
        post(writer, 99)
    with said(caplog) as reasons:
        start(journal, tmp_path)
    assert reasons == [], "the next stop wrote a good one"


def test_a_missing_snapshot_costs_a_replay_and_no_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = journal_of("aberdare")
    fill(journal, tmp_path)
    (tmp_path / "snapshot").unlink()
    with said(caplog) as reasons:
        assert state_of(*start(journal, tmp_path)) == state_of(*replay(journal))
    assert reasons == []


def test_a_snapshot_that_cannot_be_opened_costs_a_warning_and_a_replay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = journal_of("aberdare")
    fill(journal, tmp_path)
    (tmp_path / "snapshot").unlink()
    (tmp_path / "snapshot").mkdir()
    with said(caplog) as reasons:
        assert state_of(*start(journal, tmp_path)) == state_of(*replay(journal))
    assert len(reasons) == 1


def test_another_town_s_snapshot_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """L-3: the journals differ in their first entry alone, and both snapshots are whole."""
    here, there = journal_of("aberdare"), journal_of("barry")
    (tmp_path / "there").mkdir()
    fill(here, tmp_path)
    fill(there, tmp_path / "there")
    assert here.read(19, 1) == there.read(19, 1)
    (tmp_path / "there" / "snapshot").replace(tmp_path / "snapshot")
    with said(caplog) as reasons:
        book, tree = start(here, tmp_path)
    assert ["entry 0 is not the one" in reason for reason in reasons] == [True]
    assert state_of(book, tree) == state_of(*replay(here))


def test_a_snapshot_of_another_past_of_the_town_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A restored journal went on otherwise; its last entry is another, or the root is not the published one."""
    old = journal_of("aberdare")
    fill(old, tmp_path)
    snapshot = (tmp_path / "snapshot").read_bytes()
    for same_end in (False, True):
        new = journal_of("aberdare")
        folder = tmp_path / f"new-{same_end}"
        folder.mkdir()
        with opened(new, folder) as writer:
            while writer.tail.length < 19:
                post(writer, writer.tail.length, minutes=7 if writer.tail.length == 12 else 5)
            post(writer, 19, minutes=5 if same_end else 6)
        (folder / "snapshot").write_bytes(snapshot)
        with said(caplog) as reasons:
            book, tree = start(new, folder)
        words = "not those that were published" if same_end else "entry 19 is not the one"
        assert [words in reason for reason in reasons] == [True]
        assert state_of(book, tree) == state_of(*replay(new))


def test_a_snapshot_of_more_than_the_journal_holds_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = journal_of("aberdare")
    fill(journal, tmp_path)
    shorter = journal_of("aberdare")
    shorter.append(journal.read(0, 15))
    (tmp_path / "head").unlink()
    with said(caplog) as reasons:
        book, tree = start(shorter, tmp_path)
    assert ["entry 19 is not the one" in reason for reason in reasons] == [True]
    assert state_of(book, tree) == state_of(*replay(shorter))


def test_a_journal_that_was_rolled_back_is_refused_whatever_the_snapshot_says(tmp_path: Path) -> None:
    journal = journal_of("aberdare")
    fill(journal, tmp_path)
    shorter = journal_of("aberdare")
    shorter.append(journal.read(0, 15))
    with pytest.raises(JournalBehindHead, match="has 15 entries, and 20 were published"):
        start(shorter, tmp_path)


def test_a_damaged_entry_of_the_tail_is_refused_by_its_number(tmp_path: Path) -> None:
    journal = journal_of("aberdare")
    fill(journal, tmp_path)
    snapshot = (tmp_path / "snapshot").read_bytes()
    with opened(journal, tmp_path) as writer:
        post(writer, 20)
        post(writer, 21)
    damaged = journal_of("aberdare")
    records = journal.read(0, 22)
    damaged.append(
        [*records[:20], records[20]._replace(state=records[20].state.replace(b"alys", b"alyq")), records[21]]
    )
    (tmp_path / "snapshot").write_bytes(snapshot)
    with pytest.raises(JournalDamaged, match="entry 20 is not"):
        start(damaged, tmp_path)


def test_after_a_doubt_only_the_tail_of_the_journal_is_read_back(tmp_path: Path) -> None:
    class Doubtful(Counted):
        doubt = False

        def append(self, records: list[Record]) -> None:  # type: ignore[override]  # the writer hands in a list
            super().append(records)
            if self.doubt:
                self.doubt = False
                raise OutcomeUnknown("the answer is lost")

    journal = Doubtful()
    fill(journal, tmp_path, entries=40)
    with opened(journal, tmp_path) as writer:
        journal.given, journal.doubt = 0, True
        with pytest.raises(Doubt):
            post(writer, 40)
        assert writer.tail.wait_beyond(40, timeout_seconds=10) == 41
        assert journal.given == 2, "the last one that was acknowledged, and the doubted one"


def test_a_disk_that_takes_no_snapshot_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = journal_of("aberdare")
    with said(caplog) as reasons, opened(journal, tmp_path / "no-such-folder", head=HeadFile(None)) as writer:
        post(writer, 0)
    assert ["No such file" in reason for reason in reasons] == [True]
    assert journal.length() == 8


def test_the_job_writes_a_snapshot_every_so_many_entries(tmp_path: Path) -> None:
    journal = journal_of("aberdare")
    with opened(journal, tmp_path) as writer:
        turned = Event()
        job = SnapshotJob(writer, every_entries=writer.tail.length + 1, on_turn=turned.set)
        assert not (tmp_path / "snapshot").exists()
        post(writer, 50)
        assert turned.wait(timeout=10)
        job.close()
        found = SnapshotFile(tmp_path / "snapshot").load()
        assert found is not None
        assert found.size == writer.tail.length


def test_a_book_that_breaks_an_invariant_is_not_kept_and_stops_the_writer(tmp_path: Path) -> None:
    """P1, P10."""
    with opened(journal_of("aberdare"), tmp_path) as writer:
        post(writer, 5)
        with writer.reading() as book:
            next(account for account in book.accounts.values() if account.kind == "member").balance += 1
        with pytest.raises(Unsound, match="sum to 1 minutes"):
            writer.keep_snapshot()
        turned = Event()
        job = SnapshotJob(writer, every_entries=1, on_turn=turned.set)
        assert turned.wait(timeout=10)
        job.close()
        assert not (tmp_path / "snapshot").exists()
        with pytest.raises(Stopped, match="unsound"):
            post(writer, 1)
        with writer.reading() as book:
            assert book.n == writer.tail.length


def test_no_snapshot_is_written_of_what_was_not_committed(tmp_path: Path) -> None:
    class Failing(Counted):
        failing = False

        def append(self, records: list[Record]) -> None:  # type: ignore[override]  # the writer hands in a list
            if self.failing:
                raise OutcomeUnknown("the store is away")
            super().append(records)

        def reopen(self) -> None:
            if self.failing:
                raise OutcomeUnknown("the store is away")

    journal = Failing()
    fill(journal, tmp_path)
    size = journal.length()
    with opened(journal, tmp_path) as writer:
        journal.failing = True
        with pytest.raises(Doubt):
            post(writer, 20)
        assert writer.keep_snapshot()
        assert writer.snapshot.size == size
    assert state_of(*start(journal, tmp_path)) == state_of(*replay(journal))


def test_a_snapshot_on_a_real_file_store_serves_the_next_process(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/journal.db"
    journal = open_journal(url, "aberdare")
    fill(journal, tmp_path)
    journal.close()
    again = open_journal(url, "aberdare")
    assert state_of(*start(again, tmp_path)) == state_of(*replay(again))
    again.close()


def test_what_other_code_wrote_says_so(tmp_path: Path) -> None:
    """L-3."""
    (tmp_path / "snapshot").write_bytes(b"timebank snapshot %s %s\n" % (b"1" * 64, b"2" * 64))
    with pytest.raises(Useless, match="another version"):
        SnapshotFile(tmp_path / "snapshot").load()


def test_a_tree_has_one_edge(tmp_path: Path) -> None:
    tree = Tree()
    for size in range(1, 40):
        tree.append(leaf_hash(b"%d" % size))
        twin = Tree.from_edge(size, tree.edge)
        assert twin.root() == tree.root()
        for wrong in (tree.edge[1:], (*tree.edge, bytes(32)), (*tree.edge[:-1], b"short")):
            with pytest.raises(Malformed, match="right edge"):
                Tree.from_edge(size, wrong)
