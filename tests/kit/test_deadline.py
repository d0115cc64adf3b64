"""A deadline ends what waits too long, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from timebank_kit.deadline import Deadline


def test_what_is_done_in_time_is_left_alone() -> None:
    async def quick() -> str:
        with Deadline(10):
            await asyncio.sleep(0)
        return "done"

    assert asyncio.run(quick()) == "done"


def test_what_waits_too_long_is_ended() -> None:
    async def slow() -> None:
        with Deadline(0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(slow())


def test_after_its_end_the_task_goes_on_and_may_wait_again() -> None:
    async def twice() -> int:
        ended = 0
        for _ in range(2):
            try:
                with Deadline(0):
                    await asyncio.Event().wait()
            except TimeoutError:
                ended += 1
                await asyncio.sleep(0)
        return ended

    assert asyncio.run(twice()) == 2


def test_a_cancellation_from_elsewhere_is_one() -> None:
    async def cancelled() -> bool:
        waiting = asyncio.Event()

        async def wait() -> None:
            with Deadline(10):
                waiting.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(wait())
        await waiting.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(cancelled())


def test_another_error_passes() -> None:
    async def wrong() -> None:
        with Deadline(10):
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        asyncio.run(wrong())
