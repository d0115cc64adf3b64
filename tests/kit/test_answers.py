"""Asyncio callers that wait for futures of another thread."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import uvloop

from timebank_kit.answers import Answers


class CountingLoop(asyncio.SelectorEventLoop):
    """A loop that counts how often another thread woke it."""

    wakeups = 0

    def _write_to_self(self) -> None:
        self.wakeups += 1
        super()._write_to_self()  # type: ignore[misc]  # asyncio's own hook, left out of its types


def test_a_thousand_answers_of_one_batch_cost_one_wake_up() -> None:
    futures: list[Future[int]] = [Future() for _ in range(1000)]
    answers = Answers()

    def answer_all() -> None:
        for at, future in enumerate(futures):
            future.set_result(at)

    async def wait_for_all() -> list[int]:
        waits = [asyncio.create_task(answers.of(future)) for future in futures]
        await asyncio.sleep(0)
        # Answered while the loop cannot run: that is how a batch looks to it.
        thread = threading.Thread(target=answer_all)
        thread.start()
        thread.join()
        return list(await asyncio.gather(*waits))

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, CountingLoop)
        assert runner.run(wait_for_all()) == list(range(1000))
        assert loop.wakeups == 1


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_results_and_exceptions_reach_the_coroutine(factory: type) -> None:
    answers = Answers()

    async def ask(threads: ThreadPoolExecutor) -> None:
        assert await answers.of(threads.submit(lambda: 7)) == 7
        with pytest.raises(ZeroDivisionError):
            await answers.of(threads.submit(lambda: 1 // 0))
        done: Future[str] = Future()
        done.set_result("there already")
        assert await answers.of(done) == "there already"

    with ThreadPoolExecutor(1) as threads, asyncio.Runner(loop_factory=factory) as runner:
        runner.run(ask(threads))


def test_a_cancelled_caller_leaves_the_future_to_be_answered() -> None:
    future: Future[int] = Future()
    answers = Answers()

    async def give_up() -> None:
        waiting = asyncio.create_task(answers.of(future))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not future.cancelled()
        future.set_result(1)
        assert await answers.of(future) == 1
        await asyncio.sleep(0)

    asyncio.run(give_up())


def test_an_answer_after_the_loop_was_closed_harms_nobody() -> None:
    future: Future[int] = Future()
    answers = Answers()

    async def leave() -> None:
        waiting = asyncio.create_task(answers.of(future))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(leave())
    future.set_result(1)
    assert asyncio.run(answers.of(future)) == 1
