"""Waiting at the end of a journal, by thread and by coroutine, with and without a writer in the process."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from timebank_kit.journal import Journal, Record, open_journal
from timebank_kit.tail import Follow, Tail

SECONDS = 10.0


def some(start: int, count: int) -> list[Record]:
    return [Record(p, "thing.happened", b"state", None) for p in range(start, start + count)]


def test_a_thread_that_waits_is_woken_by_the_publication() -> None:
    tail = Tail(3)
    assert tail.wait_beyond(2, timeout_seconds=0) == 3
    assert tail.wait_beyond(3, timeout_seconds=0) == 3
    with ThreadPoolExecutor(2) as threads:
        waits = [threads.submit(tail.wait_beyond, length, timeout_seconds=SECONDS) for length in (3, 4)]
        tail.publish(4)
        assert waits[0].result(SECONDS) == 4
        tail.publish(9)
        assert waits[1].result(SECONDS) == 9
    assert tail.length == 9


def test_a_coroutine_that_waits_is_woken_from_another_thread() -> None:
    tail = Tail(0)

    async def wait() -> list[int]:
        waits = [asyncio.create_task(tail.wait_beyond_async(n, timeout_seconds=SECONDS)) for n in (0, 0, 4)]
        await asyncio.sleep(0)
        await asyncio.to_thread(tail.publish, 2)
        early = await asyncio.gather(*waits[:2])
        await asyncio.to_thread(tail.publish, 7)
        return [*early, await waits[2]]

    assert asyncio.run(wait()) == [2, 2, 7]


def test_a_coroutine_whose_time_is_over_gets_the_length_there_is() -> None:
    tail = Tail(5)

    async def wait() -> tuple[int, int]:
        return (
            await tail.wait_beyond_async(5, timeout_seconds=0.001),
            await tail.wait_beyond_async(4, timeout_seconds=0),
        )

    assert asyncio.run(wait()) == (5, 5)
    tail.publish(6)


def test_a_cancelled_coroutine_is_forgotten_by_the_tail() -> None:
    tail = Tail(0)

    async def give_up() -> None:
        waiting = asyncio.create_task(tail.wait_beyond_async(0, timeout_seconds=SECONDS))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(give_up())
    tail.publish(1)
    assert tail.length == 1


def journal_of(count: int) -> Journal:
    journal = open_journal("memory:", "a")
    journal.append(some(0, count))
    return journal


def test_a_follower_gets_every_record_once_in_bounded_chunks() -> None:
    follow = Follow(journal_of(10), start=3, tail=Tail(10), chunk_limit=4)
    chunks = [follow.next(timeout_seconds=0) for _ in range(3)]
    assert chunks == [some(3, 4), some(7, 3), []]
    assert follow.position == 10


def test_a_follower_reads_no_further_than_was_published() -> None:
    tail = Tail(4)
    follow = Follow(journal_of(10), start=0, tail=tail)
    assert follow.next(timeout_seconds=0) == some(0, 4)
    assert follow.next(timeout_seconds=0) == []
    tail.publish(10)
    assert follow.next(timeout_seconds=0) == some(4, 6)


def test_a_follower_waits_on_the_tail_for_more() -> None:
    journal, tail = journal_of(2), Tail(2)
    follow = Follow(journal, start=2, tail=tail)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(follow.next, timeout_seconds=SECONDS)
        journal.append(some(2, 3))
        tail.publish(5)
        assert waiting.result(SECONDS) == some(2, 3)


def test_a_follower_of_another_process_asks_the_journal_again(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'journal.db'}"
    writer, reader = open_journal(url, "a"), open_journal(url, "a")
    follow = Follow(reader, start=0, poll_seconds=0.001)
    assert follow.next(timeout_seconds=0) == []
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(follow.next, timeout_seconds=SECONDS)
        writer.append(some(0, 3))
        assert waiting.result(SECONDS) == some(0, 3)
    assert follow.next(timeout_seconds=0.002) == []
    writer.close()
    reader.close()


def test_a_follower_that_is_stopped_returns_at_once() -> None:
    for tail in (Tail(1), None):
        follow = Follow(journal_of(1), start=1, tail=tail, poll_seconds=1000)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(follow.next, timeout_seconds=1000)
            threading.Thread(target=follow.stop).start()
            assert waiting.result(SECONDS) == []
        assert follow.stopped
        assert follow.next(timeout_seconds=1000) == []
