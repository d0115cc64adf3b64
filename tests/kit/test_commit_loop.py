"""Group commit: order, bounds, doubt, halt, and what becomes of those who wait."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError

import pytest

from timebank_kit.commit_loop import CommitLoop, Doubt, Halt, QueueFull, Stopped, Unwritten

SECONDS = 10.0


class Gate:
    """A writer that the test lets through batch by batch, and that raises what the test gives it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.raises: list[Exception] = []
        self.recoveries_to_fail = 0
        self.recovered = 0
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.held = False

    def commit(self, batch: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(batch))
        self.begun.release()
        if self.held:
            assert self.may_end.acquire(timeout=SECONDS)
        if self.raises:
            raise self.raises.pop(0)
        return [ValueError("negative") if command < 0 else command * 10 for command in batch]

    def recover(self) -> None:
        if self.recoveries_to_fail:
            self.recoveries_to_fail -= 1
            raise OSError("the store is away")
        self.recovered += 1

    def wait_for_batch(self) -> None:
        assert self.begun.acquire(timeout=SECONDS)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def start(gate: Gate) -> Iterator[Callable[..., CommitLoop[int, int]]]:
    loops: list[CommitLoop[int, int]] = []

    def make(*, queue_limit: int = 100, batch_limit: int = 1024) -> CommitLoop[int, int]:
        loop: CommitLoop[int, int] = CommitLoop(
            commit=gate.commit, recover=gate.recover, queue_limit=queue_limit, batch_limit=batch_limit, name="test-loop"
        )
        loops.append(loop)
        return loop

    yield make
    gate.held = False
    gate.may_end.release(100)
    for loop in loops:
        loop.close()


Start = Callable[..., CommitLoop[int, int]]


def test_a_command_to_an_idle_loop_is_committed_at_once(gate: Gate, start: Start) -> None:
    loop = start()
    assert loop.submit(1).result(SECONDS) == 10
    assert loop.submit(2).result(SECONDS) == 20
    assert gate.batches == [[1], [2]]


def test_what_gathers_during_a_commit_is_the_next_batch_in_order(gate: Gate, start: Start) -> None:
    gate.held = True
    loop = start()
    first = loop.submit(0)
    gate.wait_for_batch()
    rest = [loop.submit(command) for command in range(1, 8)]
    assert loop.waiting == 7
    gate.may_end.release(2)
    assert first.result(SECONDS) == 0
    assert [future.result(SECONDS) for future in rest] == [command * 10 for command in range(1, 8)]
    assert gate.batches == [[0], [1, 2, 3, 4, 5, 6, 7]]


def test_a_batch_weighs_at_most_the_limit_and_a_heavier_command_goes_alone(gate: Gate, start: Start) -> None:
    gate.held = True
    loop = start(batch_limit=10)
    futures = [loop.submit(0)]
    gate.wait_for_batch()
    futures += [loop.submit(command, weight=weight) for command, weight in [(1, 4), (2, 6), (3, 1), (4, 30), (5, 1)]]
    gate.may_end.release(10)
    for future in futures:
        future.result(SECONDS)
    assert gate.batches == [[0], [1, 2], [3], [4], [5]]


def test_an_exception_among_the_answers_reaches_its_caller_only(gate: Gate, start: Start) -> None:
    gate.held = True
    loop = start()
    futures = [loop.submit(command) for command in (1, -1, 2)]
    gate.may_end.release(3)
    assert futures[0].result(SECONDS) == 10
    with pytest.raises(ValueError, match="negative"):
        futures[1].result(SECONDS)
    assert futures[2].result(SECONDS) == 20
    assert loop.state == "running"


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(gate: Gate, start: Start) -> None:
    gate.held = True
    loop = start(queue_limit=5)
    loop.submit(0)
    gate.wait_for_batch()
    loop.submit(1, weight=3)
    loop.submit(2, weight=2)
    with pytest.raises(QueueFull, match="come again") as full:
        loop.submit(3)
    assert full.value.retry_after_seconds > 0
    assert loop.waiting == 5


@pytest.fixture
def running_again() -> Iterator[threading.Event]:
    """Set when the loop logs that it runs again."""
    event = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "commit loop runs again":
                event.set()

    listener = Listener()
    logger = logging.getLogger("timebank_kit.commit_loop")
    logger.addHandler(listener)
    yield event
    logger.removeHandler(listener)


def test_after_doubt_the_loop_recovers_and_takes_commands_again(
    gate: Gate, start: Start, running_again: threading.Event
) -> None:
    gate.held = True
    gate.raises = [Doubt("the commit's outcome is unknown")]
    gate.recoveries_to_fail = 2
    loop = start()
    doubtful = loop.submit(1)
    gate.wait_for_batch()
    parked = loop.submit(2)
    gate.held = False
    gate.may_end.release()
    with pytest.raises(Doubt, match="outcome is unknown"):
        doubtful.result(SECONDS)
    with pytest.raises(Stopped, match="outcome is unknown"):
        parked.result(SECONDS)
    assert running_again.wait(SECONDS)
    assert loop.submit(3).result(SECONDS) == 30
    assert gate.recovered == 1
    assert gate.batches == [[1], [3]]
    assert (loop.state, loop.reason, loop.doubts) == ("running", None, 1)


def test_a_batch_that_was_surely_not_written_is_told_so(
    gate: Gate, start: Start, running_again: threading.Event
) -> None:
    gate.raises = [Unwritten("make room on the disk")]
    loop = start()
    with pytest.raises(Stopped, match="make room"):
        loop.submit(1).result(SECONDS)
    assert running_again.wait(SECONDS)
    assert loop.submit(1).result(SECONDS) == 10


def test_an_idle_loop_looks_after_its_store_and_recovers_from_what_it_finds(
    gate: Gate, running_again: threading.Event
) -> None:
    looked = threading.Semaphore(0)

    def look() -> None:
        looked.release()
        if gate.raises:
            raise gate.raises.pop()

    gate.raises = [Doubt("the store is away")]
    loop: CommitLoop[int, int] = CommitLoop(
        commit=gate.commit, recover=gate.recover, look=look, look_seconds=0.01, queue_limit=5, name="looking"
    )
    assert running_again.wait(SECONDS)
    assert (gate.recovered, loop.doubts) == (1, 1)
    assert looked.acquire(timeout=SECONDS)
    assert looked.acquire(timeout=SECONDS), "it goes on looking"
    assert loop.submit(1).result(SECONDS) == 10
    gate.raises = [Halt("somebody else writes")]
    for _ in range(200):
        if loop.state == "halted":
            break
        looked.acquire(timeout=SECONDS / 200)
    with pytest.raises(Stopped, match="somebody else"):
        loop.submit(2)


@pytest.mark.parametrize("error", [Halt("a rollback was proved"), KeyError("bug")])
def test_a_halt_or_a_bug_stops_the_loop_for_good(gate: Gate, start: Start, error: Exception) -> None:
    gate.held = True
    gate.raises = [error]
    loop = start()
    batch = loop.submit(1)
    gate.wait_for_batch()
    parked = loop.submit(2)
    gate.may_end.release()
    for future in (batch, parked):
        with pytest.raises(Stopped):
            future.result(SECONDS)
    with pytest.raises(Stopped):
        loop.submit(3)
    assert loop.state == "halted"
    assert loop.reason
    assert gate.recovered == 0


def test_a_loop_that_is_told_to_halt_answers_the_batch_under_way_and_begins_no_other(gate: Gate, start: Start) -> None:
    gate.held = True
    loop = start()
    first = loop.submit(1)
    gate.wait_for_batch()
    second = loop.submit(2)
    loop.halt("somebody found out")
    gate.may_end.release()
    assert first.result(timeout=SECONDS) == 10
    with pytest.raises(Stopped, match="somebody found out"):
        second.result(timeout=SECONDS)
    assert gate.batches == [[1]]
    assert loop.state == "halted"
    with pytest.raises(Stopped, match="somebody found out"):
        loop.submit(3)


def test_a_commit_that_answers_too_few_is_a_bug_and_leaves_nobody_waiting() -> None:
    loop: CommitLoop[int, int] = CommitLoop(commit=lambda batch: [], recover=lambda: None, queue_limit=5, name="short")
    with pytest.raises(Stopped, match="AssertionError"):
        loop.submit(1).result(SECONDS)
    assert loop.state == "halted"
    loop.close()


def test_a_command_cancelled_while_it_waits_is_not_committed(gate: Gate, start: Start) -> None:
    gate.held = True
    loop = start()
    begun = loop.submit(1)
    gate.wait_for_batch()
    waiting, other = loop.submit(2), loop.submit(3)
    assert not begun.cancel()
    assert waiting.cancel()
    gate.may_end.release(2)
    assert begun.result(SECONDS) == 10
    assert other.result(SECONDS) == 30
    with pytest.raises(CancelledError):
        waiting.result(SECONDS)
    assert gate.batches == [[1], [3]]


def test_closing_commits_what_is_parked_and_takes_no_more(gate: Gate, start: Start) -> None:
    gate.held = True
    loop = start()
    futures = [loop.submit(1)]
    gate.wait_for_batch()
    futures += [loop.submit(command) for command in (2, 3)]
    gate.held = False
    gate.may_end.release()
    loop.close()
    assert [future.result(0) for future in futures] == [10, 20, 30]
    with pytest.raises(Stopped, match="shutting down"):
        loop.submit(4)
    assert loop.state == "closed"


def test_closing_ends_a_recovery_that_does_not_succeed(gate: Gate, start: Start) -> None:
    gate.raises = [Doubt("unknown")]
    gate.recoveries_to_fail = 1_000_000
    loop = start()
    with pytest.raises(Doubt):
        loop.submit(1).result(SECONDS)
    loop.close()
    with pytest.raises(Stopped):
        loop.submit(2)


def test_every_command_of_many_threads_is_answered_once(gate: Gate, start: Start) -> None:
    loop = start(queue_limit=100_000)
    sums: list[int] = []

    def client(number: int) -> None:
        futures = [loop.submit(number * 1000 + at) for at in range(500)]
        sums.append(sum(future.result(SECONDS) for future in futures))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    committed = [command for batch in gate.batches for command in batch]
    assert sorted(committed) == [number * 1000 + at for number in range(4) for at in range(500)]
    assert sum(sums) == sum(committed) * 10
    assert max(len(batch) for batch in gate.batches) <= 1024


def test_while_it_is_stopped_it_says_what_stopped_it(gate: Gate, start: Start, running_again: threading.Event) -> None:
    loop = start()
    assert loop.cause is None
    gate.raises.append(Unwritten("no room"))
    with pytest.raises(Stopped):
        loop.submit(1).result(SECONDS)
    assert running_again.wait(SECONDS)
    assert loop.cause is None
    halt = Halt("another process writes")
    halt.__cause__ = OSError("taken")
    gate.raises.append(halt)
    with pytest.raises(Stopped):
        loop.submit(2).result(SECONDS)
    loop.close()
    assert isinstance(loop.cause, OSError)
