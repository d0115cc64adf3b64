"""Waiting on the asyncio side for futures that another thread answers, at the cost of one wake-up for many of them.

`asyncio.wrap_future` wakes the loop once for each future. Here the answering thread drops what is ready into a mailbox
and wakes the loop only when no wake-up is under way, so that a thousand answers of one batch cost about one.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

A = TypeVar("A")


class Answers:
    """Awaits futures from any number of event loops; one object serves a whole application."""

    def __init__(self) -> None:
        self._mailboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Mailbox] = WeakKeyDictionary()
        self._lock = threading.Lock()

    async def of(self, future: Future[A]) -> A:
        """The future's result, or its exception.

        A caller that is cancelled stops waiting; the command itself goes on, because it may be written already.
        """
        if future.done():
            return future.result()
        loop = asyncio.get_running_loop()
        with self._lock:
            mailbox = self._mailboxes.get(loop)
            if mailbox is None:
                mailbox = self._mailboxes[loop] = _Mailbox()
        waiter: asyncio.Future[None] = loop.create_future()
        future.add_done_callback(lambda _: mailbox.drop(loop, waiter))
        await waiter
        return future.result()


class _Mailbox:
    """What is ready for one event loop. It holds no reference to the loop, so that the loop can go."""

    def __init__(self) -> None:
        self._ready: deque[asyncio.Future[Any]] = deque()
        self._lock = threading.Lock()
        self._waking = False

    def drop(self, loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> None:
        """Called by the answering thread."""
        with self._lock:
            self._ready.append(waiter)
            if self._waking:
                return
            self._waking = True
        try:
            loop.call_soon_threadsafe(self._open)
        except RuntimeError:
            # The loop was closed while its callers waited: nobody is left to answer.
            self._ready.clear()

    def _open(self) -> None:
        """Called in the loop's thread."""
        with self._lock:
            self._waking = False
            ready, self._ready = self._ready, deque()
        for waiter in ready:
            if not waiter.done():
                waiter.set_result(None)
