"""A ledger process that fails when it is told to: it kills itself, or its store loses an answer, at one chosen point.

`serve` is the ledger of `timebank serve ledger`, with what a test puts around it. A test writes one order into a file,
and the first call that meets it takes it away and obeys. Points: `before append`, `after append` (the journal),
`before answer`, `after answer` (HTTP), `head open`, `head rename`, `head sync` (the head file). What happens there:
`kill`, and for the journal also `lose`: nobody is told what became of the append.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from timebank_kit.journal import Journal, OutcomeUnknown, Record
from timebank_kit.logs import log_to_stderr
from timebank_kit.web import App, Message, Receive, RunningServer, Scope, Send
from timebank_node.bootstrap import TownPolicy
from timebank_node.commands_node import surroundings
from timebank_node.compose import compose_ledger
from timebank_node.home import open_home

WRITTEN_SECONDS = 0.1


class Orders:
    """The file that says what fails next."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def obey(self, point: str) -> None:
        """Do what was ordered for this point, if anything was."""
        what = self.take(point)
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what:
            raise OutcomeUnknown("the answer was lost, as a test ordered")

    def take(self, point: str) -> str:
        """What was ordered for this point; empty for nothing."""
        try:
            what, _, where = self._file.read_text("ascii").partition(" ")
        except FileNotFoundError:
            return ""
        if where != point:
            return ""
        self._file.unlink()
        return what


class FaultyJournal(Journal):
    """A journal that fails at the append, before or after it is done."""

    def __init__(self, below: Journal, orders: Orders) -> None:
        self._below, self._orders = below, orders

    def append(self, records: Sequence[Record]) -> None:
        self._orders.obey("before append")
        self._below.append(records)
        self._orders.obey("after append")

    def read(self, start: int, limit: int) -> list[Record]:
        return self._below.read(start, limit)

    def scan(self, start: int, stop: int) -> Iterator[Record]:
        return self._below.scan(start, stop)

    def find_key(self, key: str) -> Record | None:
        return self._below.find_key(key)

    def find_keys(self, keys: Sequence[str]) -> dict[str, Record]:
        return self._below.find_keys(keys)

    def first_records(self, limit: int) -> list[Record]:
        return self._below.first_records(limit)

    def length(self) -> int:
        return self._below.length()

    def reopen(self) -> None:
        self._below.reopen()

    def close(self) -> None:
        self._below.close()


class FaultyAnswers:
    """The application, which may die before a command is answered, or after."""

    def __init__(self, app: App, orders: Orders) -> None:
        self._app, self._orders = app, orders

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            ends = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start":
                self._orders.obey("before answer")
            await send(message)
            if ends and self._orders.take("after answer"):
                # The event loop writes to the socket a moment later.
                asyncio.get_running_loop().call_later(WRITTEN_SECONDS, os.kill, os.getpid(), signal.SIGKILL)

        await self._app(scope, receive, sending if scope["method"] == "POST" else send)


def watch_head(head: Path, orders: Orders) -> None:
    """Obey at the three steps of a new head file: written beside the old one, renamed, made durable by its folder."""
    beside, folder = f"{head}.new", str(head.parent)
    renamed = False

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal renamed
        if event == "open" and str(arguments[0]) == beside:
            orders.obey("head open")
        elif event == "os.rename" and str(arguments[0]) == beside:
            orders.obey("head rename")
            renamed = True
        elif event == "open" and renamed and str(arguments[0]) == folder:
            renamed = False
            orders.obey("head sync")

    sys.addaudithook(watch)


def serve(folder: Path, port: int, order: Path) -> None:
    """Serve a home's ledger until SIGTERM, or until an order in the file `order`."""
    home, orders = open_home(folder), Orders(order)
    log_to_stderr()
    ledger = compose_ledger(home, replace(surroundings(), policy=TownPolicy(grant_cap=6_000)))
    ledger.writer.journal = FaultyJournal(ledger.writer.journal, orders)
    watch_head(home.head_path, orders)
    server = RunningServer(FaultyAnswers(ledger.app, orders), port=port)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    while not ended.wait(timeout=1.0):
        pass
    server.stop()
    ledger.close()
