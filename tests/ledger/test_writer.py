"""The writer under doubt: what it acknowledged is there, what it is unsure of is read back, and it stops if it must."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from timebank_contracts.entries import Actor
from timebank_contracts.errors import Refusal
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.keys import SigningKey
from timebank_kit.clock import ManualClock
from timebank_kit.commit_loop import Doubt, Halt, Stopped
from timebank_kit.journal import JournalTrouble, NoRoom, OutcomeUnknown, PositionTaken, Record, originator_of
from timebank_kit.journal_memory import MemoryJournal
from timebank_ledger import commands as c
from timebank_ledger.clock_guard import ClockWrong
from timebank_ledger.head import HeadFile, HeadNotWritten, JournalBehindHead
from timebank_ledger.replay import replay
from timebank_ledger.writer import Writer, Written

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPERATOR = Actor(kind="operator", id="operator")
ALYS = Actor(kind="member", id="alys")
LOG_KEY = SigningKey(b"l" * 32)


class FaultyJournal(MemoryJournal):
    """A store that fails at the next append: before it writes, or after (the answer is lost)."""

    def __init__(self) -> None:
        super().__init__(originator_of("faulty"))
        self.fault: Callable[[Sequence[Record]], None] | None = None
        self.reopened = 0

    def append(self, records: Sequence[Record]) -> None:
        fault, self.fault = self.fault, None
        if fault is not None:
            fault(records)
        super().append(records)

    def reopen(self) -> None:
        self.reopened += 1

    def full(self, _: Sequence[Record]) -> None:
        raise NoRoom("make room")

    def lose_before(self, _: Sequence[Record]) -> None:
        raise OutcomeUnknown("the connection broke before the commit")

    def lose_answer(self, records: Sequence[Record]) -> None:
        super().append(records)
        raise OutcomeUnknown("the connection broke after the commit")


@pytest.fixture
def journal() -> FaultyJournal:
    return FaultyJournal()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def writer(journal: FaultyJournal, clock: ManualClock) -> Iterator[Writer]:
    made = Writer(journal, clock=clock, log_key=LOG_KEY, head=HeadFile(None))
    for command in (
        c.OpenNode(by=OPERATOR, network="timebank.example", node="aberdare", generation="g1"),
        c.ChangePolicy(by=OPERATOR, default_floor=-600, default_ceiling=6000, debt_limit=6000),
        c.OpenAccount(by=OPERATOR, account="alys", kind="member"),
        c.OpenAccount(by=OPERATOR, account="bryn", kind="member"),
    ):
        made.submit(command).result(timeout=10)
    yield made
    made.close()


def pay(number: int, minutes: int = 60) -> c.PostTransfer:
    return c.PostTransfer(
        by=ALYS,
        key=f"{number:032x}",
        digest=f"{minutes:032x}",
        postings=(("alys", -minutes), ("bryn", minutes)),
        purpose="gift",
        confirmed_by="receiver",
    )


def settle(writer: Writer, command: c.Command) -> Written:
    """Send a command as a client does: after doubt, again with the same key, until it is known."""
    for _ in range(200):
        try:
            return writer.submit(command).result(timeout=10)
        except (Doubt, Stopped):
            if writer.loop.state == "halted":
                raise
            writer.tail.wait_beyond(1_000_000, timeout_seconds=0.05)
    raise AssertionError("the writer did not recover")


def balance(writer: Writer, account: str) -> int:
    with writer.reading() as book:
        return book.accounts[account].balance


@pytest.mark.parametrize("fault", ["lose_before", "lose_answer"])
def test_a_commit_of_unknown_outcome_is_read_back_and_never_doubled(
    writer: Writer, journal: FaultyJournal, fault: str
) -> None:
    journal.fault = getattr(journal, fault)
    with pytest.raises(Doubt):
        writer.submit(pay(1)).result(timeout=10)
    written = settle(writer, pay(1))
    assert written.repeated == (fault == "lose_answer")
    assert journal.reopened == 1
    assert balance(writer, "alys") == -60
    assert [record.topic for record in journal.read(0, 100)].count("transfer.posted") == 1


def test_what_waits_during_doubt_is_told_that_it_was_not_begun(writer: Writer, journal: FaultyJournal) -> None:
    parked: list[Future[Written]] = []

    def fail(_: Sequence[Record]) -> None:
        parked.append(writer.submit(pay(2)))
        raise OutcomeUnknown("the connection broke")

    journal.fault = fail
    with pytest.raises(Doubt):
        writer.submit(pay(1)).result(timeout=10)
    with pytest.raises(Stopped):
        parked[0].result(timeout=10)
    assert settle(writer, pay(2)).entries[0].n == 4


def test_on_a_full_disk_a_batch_is_not_begun_and_its_key_runs_afresh(writer: Writer, journal: FaultyJournal) -> None:
    journal.fault = journal.full
    with pytest.raises(Stopped, match="make room"):
        writer.submit(pay(1)).result(timeout=10)
    assert not settle(writer, pay(1)).repeated
    assert writer.loop.doubts == 1
    assert balance(writer, "alys") == -60


@pytest.mark.parametrize("fault", ["lose_before", "lose_answer"])
def test_while_a_commit_is_in_doubt_what_was_committed_before_it_is_read(
    writer: Writer, journal: FaultyJournal, fault: str
) -> None:
    seen: list[int] = []

    def fail_twice() -> None:
        # The first reading back fails too, so that readers meet the writer in doubt.
        seen.append(balance(writer, "alys"))
        del journal.reopen
        raise OutcomeUnknown("the database is still away")

    journal.fault = getattr(journal, fault)
    journal.reopen = fail_twice  # type: ignore[method-assign]  # this instance alone
    with pytest.raises(Doubt):
        writer.submit(pay(1)).result(timeout=10)
    settle(writer, pay(1))
    assert seen == [0]
    assert balance(writer, "alys") == -60


def reversal_of(position: int) -> c.ReverseTransfer:
    return c.ReverseTransfer(
        by=OPERATOR, key="f" * 32, digest="f" * 32, transfer=f"aberdare.g1.{position}", reason="mistake"
    )


def fail_to_read(journal: FaultyJournal, error: Exception) -> None:
    """The next read of one entry fails, once."""

    def fail(start: int, limit: int) -> list[Record]:
        del journal.read
        raise error

    journal.read = fail  # type: ignore[method-assign]  # this instance alone


def test_a_store_that_cannot_be_read_in_mid_batch_is_read_back_and_the_batch_is_not_half_kept(
    writer: Writer, journal: FaultyJournal
) -> None:
    settle(writer, pay(1))
    fail_to_read(journal, JournalTrouble("the connection broke"))
    future = writer.submit_many([pay(2), reversal_of(4)])
    assert isinstance(future.exception(timeout=10), Stopped), "it is known that nothing was written"
    assert settle(writer, reversal_of(4)).entries[0].n == 5
    assert balance(writer, "alys") == 0


def test_a_bug_in_mid_batch_stops_the_writer_and_what_was_written_goes_on_being_read(
    journal: FaultyJournal, clock: ManualClock, writer: Writer
) -> None:
    settle(writer, pay(1))
    fail_to_read(journal, ZeroDivisionError())
    assert isinstance(writer.submit_many([pay(2), reversal_of(4)]).exception(timeout=10), Stopped)
    assert balance(writer, "alys") == -60
    writer.close()
    size = int(writer.checkpoint(fresh=True).splitlines()[1])
    assert size == journal.length() == 5, "nothing is published that is not in the journal"


def test_a_second_writer_stops_the_first_for_good(writer: Writer, journal: FaultyJournal) -> None:
    def other(_: Sequence[Record]) -> None:
        raise PositionTaken("Another writer wrote position 4.")

    journal.fault = other
    with pytest.raises((Halt, Stopped), match="run one only"):
        writer.submit(pay(1)).result(timeout=10)
    with pytest.raises(Stopped, match="run one only"):
        writer.submit(pay(2)).result(timeout=10)
    assert balance(writer, "alys") == 0, "reading goes on"


def test_what_another_process_wrote_during_a_doubt_stops_the_writer(writer: Writer, journal: FaultyJournal) -> None:
    def other_writes(records: Sequence[Record]) -> None:
        MemoryJournal.append(journal, [records[0]._replace(state=b"{}", key=None)])
        raise OutcomeUnknown("the connection broke")

    journal.fault = other_writes
    with pytest.raises(Doubt):
        writer.submit(pay(1)).result(timeout=10)
    with pytest.raises(Stopped, match="not from this process"):
        settle(writer, pay(1))
    assert balance(writer, "alys") == 0, "reading goes on"


def test_a_journal_that_lost_its_last_entry_during_a_doubt_stops_the_writer(
    writer: Writer, journal: FaultyJournal
) -> None:
    settle(writer, pay(1))
    journal.fault = journal.lose_before
    journal.read = lambda start, limit: []  # type: ignore[method-assign]  # this instance alone
    with pytest.raises(Doubt):
        writer.submit(pay(2)).result(timeout=10)
    with pytest.raises(Stopped, match="rolled back"):
        settle(writer, pay(2))
    assert balance(writer, "alys") == -60, "reading goes on"


def test_a_clock_that_steps_stops_the_writer_and_nothing_is_written(
    writer: Writer, journal: FaultyJournal, clock: ManualClock
) -> None:
    clock.set(NOON + timedelta(days=1))
    with pytest.raises((Halt, Stopped), match="stepped forward"):
        writer.submit(pay(1)).result(timeout=10)
    assert journal.length() == 4
    assert balance(writer, "alys") == 0


def test_a_start_with_a_clock_behind_the_journal_is_refused(writer: Writer, journal: FaultyJournal) -> None:
    with pytest.raises(ClockWrong):
        Writer(journal, clock=ManualClock(NOON - timedelta(hours=1)), log_key=LOG_KEY, head=HeadFile(None))


def test_a_journal_shorter_than_what_was_published_is_refused(writer: Writer, clock: ManualClock) -> None:
    head = HeadFile(None)
    head.remember(9, bytes(32))
    with pytest.raises(JournalBehindHead, match="rolled back"):
        Writer(MemoryJournal(originator_of("short")), clock=clock, log_key=LOG_KEY, head=head)


def test_a_journal_of_another_history_than_was_published_is_refused(
    writer: Writer, journal: FaultyJournal, clock: ManualClock
) -> None:
    head = HeadFile(None)
    head.remember(3, bytes(32))
    with pytest.raises(JournalBehindHead, match="not those that were published"):
        Writer(journal, clock=clock, log_key=LOG_KEY, head=head)


def test_ten_payments_at_once_pass_the_floor_only_as_often_as_it_allows(writer: Writer) -> None:
    futures = [writer.submit(pay(number, minutes=120)) for number in range(10)]
    refused = [error.code for future in futures if isinstance(error := future.exception(timeout=10), Refusal)]
    assert refused == ["floor"] * 5
    assert balance(writer, "alys") == -600


def test_one_key_in_one_batch_is_one_entry(writer: Writer, journal: FaultyJournal) -> None:
    futures = [writer.submit(pay(7)) for _ in range(20)]
    answers = [future.result(timeout=10) for future in futures]
    assert {answer.entries[0].n for answer in answers} == {4}
    assert sum(not answer.repeated for answer in answers) == 1
    with pytest.raises(Refusal, match="key_reused"):
        writer.submit(pay(7, minutes=61)).result(timeout=10)
    assert journal.length() == 5


def test_on_a_full_disk_the_checkpoint_before_is_served_and_the_close_is_clean(
    tmp_path: Path, journal: FaultyJournal, clock: ManualClock
) -> None:
    folder = tmp_path / "head-folder"
    made = Writer(journal, clock=clock, log_key=LOG_KEY, head=HeadFile(folder / "head"))
    made.submit(c.OpenNode(by=OPERATOR, network="timebank.example", node="aberdare", generation="g1")).result()
    with pytest.raises(HeadNotWritten, match="make room"):
        made.checkpoint()
    folder.mkdir()
    first = made.checkpoint()
    made.submit(c.OpenAccount(by=OPERATOR, account="alys", kind="member")).result(timeout=10)
    clock.advance(2)
    shutil.rmtree(folder)
    assert made.checkpoint() == first, "nothing is published that the head file does not know"
    made.close()
    folder.mkdir()
    assert made.checkpoint(fresh=True) != first


def test_replay_gives_the_same_book_and_root(writer: Writer, journal: FaultyJournal) -> None:
    for number in range(5):
        writer.submit(pay(number)).result(timeout=10)
    book, tree = replay(journal)
    with writer.reading() as now:
        assert book == now
    assert tree.size == journal.length()
    assert broken_invariants(book) == []
