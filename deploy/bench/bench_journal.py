"""The journal in this process: the real writer, its rules and its group commit, without HTTP.

One thread submits, a thousand commands together as the batch route does; a few thousands wait for their commits.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

from deploy.bench.exchanges import opening, post_commands
from deploy.bench.setting import STORES, BenchTrouble, Setting
from timebank_contracts.keys import SigningKey
from timebank_contracts.names import Identity
from timebank_kit.clock import SystemClock
from timebank_kit.journal import open_journal
from timebank_ledger import commands as c
from timebank_ledger.head import HeadFile
from timebank_ledger.replay import replay
from timebank_ledger.writer import Writer, Written

IDENTITY = Identity("bench.timebank.wales", "aberdare", "g1")
LOG_KEY = SigningKey(bytes(range(32)))
TRANSFERS, TRANSFERS_QUICK = 100_000, 2_000
TOGETHER = 1_000
WINDOW = 4
SETTLE_SECONDS = 60.0


def bench_journal(setting: Setting) -> None:
    """Transfers a second in every store, and how fast a journal is replayed at the start of a process."""
    for store in STORES:
        if setting.wants(f"journal.{store}"):
            with setting.journal_url(store) as url:
                _bench_store(setting, store, url)


def _bench_store(setting: Setting, store: str, url: str) -> None:
    count = setting.count(TRANSFERS, quick=TRANSFERS_QUICK)
    with opened_writer(url) as writer:
        commands = post_commands(count, writer.clock.now())
        began, used = time.perf_counter(), time.process_time()
        submit_all(writer, commands)
        seconds, used = time.perf_counter() - began, time.process_time() - used
        note = f"{count:,} transfers in {seconds:.1f} s; {1e6 * used / count:.0f} µs of this process's CPU each"
        setting.figures.add(f"journal.{store}.transfers_per_s", count / seconds, "transfers/s", note)
        began = time.perf_counter()
        book, tree = replay(writer.journal)
        seconds = time.perf_counter() - began
        with writer.reading() as written:
            if list(book.balances()) != list(written.balances()):
                raise BenchTrouble(f"The journal in {store} read back gives other balances.")
        note = f"{tree.size:,} entries read, judged and hashed, as at the start of a process"
        setting.figures.add(f"replay.{store}.entries_per_s", tree.size / seconds, "entries/s", note)


@contextmanager
def opened_writer(url: str) -> Iterator[Writer]:
    """A writer on an empty journal that has its members; closed at the end."""
    journal = open_journal(url, IDENTITY.origin)
    writer = Writer(journal, clock=SystemClock(), log_key=LOG_KEY, head=HeadFile(None))
    try:
        submit_all(writer, list(opening(IDENTITY)))
        yield writer
    finally:
        writer.close()
        journal.close()


def submit_all(writer: Writer, commands: Sequence[c.Command]) -> None:
    """Submit commands with some thousands under way, and wait for every answer; raises the first refusal."""
    under_way: deque[Future[list[Written | Exception]]] = deque()
    for start in range(0, len(commands), TOGETHER):
        if len(under_way) == WINDOW:
            _check(under_way.popleft())
        under_way.append(writer.submit_many(commands[start : start + TOGETHER]))
    for parked in under_way:
        _check(parked)


def _check(parked: Future[list[Written | Exception]]) -> None:
    for answer in parked.result(SETTLE_SECONDS):
        if isinstance(answer, Exception):
            raise answer
