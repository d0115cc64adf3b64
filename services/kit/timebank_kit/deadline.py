"""A deadline for a few awaits: `asyncio.timeout` without a coroutine of its own, for what every request passes.

Source: CPython's `asyncio/timeouts.py`, whose rules for a cancellation from elsewhere these are.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """Raises `TimeoutError` out of a `with` block that is not left in time; a block is entered once.

    Args:
        seconds: from its beginning.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._over = False
        self._task: asyncio.Task[object]
        self._timer: asyncio.TimerHandle
        self._cancelling = 0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "a deadline is for a task"
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._ring)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        # Who was cancelled by somebody else, too, stays cancelled.
        if self._over and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _ring(self) -> None:
        self._over = True
        self._task.cancel()
