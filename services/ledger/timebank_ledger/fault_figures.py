"""Figures of what can go wrong in a ledger, read when they are scraped: one for each fault that an operator can mend.

What each means and what to do stands in `docs/faults.md`, which a test holds against these names.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from timebank_contracts.accept import RolledBack
from timebank_contracts.figures import position_rows
from timebank_contracts.rules_returning import LOST
from timebank_contracts.state import Book
from timebank_kit.commit_loop import Stopped
from timebank_kit.journal import JournalTrouble, NoRoom, PositionTaken, TailMissing
from timebank_ledger.clock_guard import ClockWrong
from timebank_ledger.committed import NotOurs
from timebank_ledger.writer import Writer

CAUSES: Final = ("no_room", "database", "journal_changed", "rolled_back", "clock", "bug")
"""Why the writer takes no commands; `no_room` and `database` end by themselves, the others with a restart."""


def cause_word(cause: BaseException | None) -> str:
    """The word of `CAUSES` for what stopped the writer; None: who reads the past back told it to stop."""
    match cause:
        case NoRoom():
            return "no_room"
        case None | NotOurs() | PositionTaken() | TailMissing():
            return "journal_changed"
        case RolledBack():
            return "rolled_back"
        case ClockWrong():
            return "clock"
        case JournalTrouble():
            return "database"
    return "bug"


def _stopped_by(writer: Writer, cause: str) -> int:
    loop = writer.loop
    return int(loop.state in ("recovering", "halted") and cause_word(loop.cause) == cause)


def add_fault_figures(registry: CollectorRegistry, writer: Writer) -> None:
    """Register the figures of a ledger's faults."""
    stopped = Gauge("timebank_ledger_stopped", "1: takes no commands, and why.", ["cause"], registry=registry)
    for cause in CAUSES:
        stopped.labels(cause).set_function(partial(_stopped_by, writer, cause))
    figures: Mapping[str, tuple[str, Callable[[], float]]] = {
        "streams_frozen": ("Streams of peers that are frozen as evidence.", lambda: _of(writer, _frozen)),
        "peers_suspended": ("Peers with whom nothing new is begun.", lambda: _of(writer, _suspended)),
        "peers_recovering": ("Peers with whom lost entries are still put back.", lambda: _of(writer, _recovering)),
        "lost_minutes": ("What the account of lost payers and payees holds or owes.", lambda: _of(writer, _lost)),
        "open_transfers": (
            "Transfers to other towns without a decision.",
            lambda: _of(writer, lambda book: len(book.open_transfers)),
        ),
        "oldest_open_seconds": ("Age of the oldest of them.", lambda: _of(writer, lambda book: _oldest(writer, book))),
        "unpublished": ("1: no new checkpoint can be noted.", lambda: int(writer.checkpoints.trouble is not None)),
        "free_bytes": ("Room on the disk of the head file; -1: it is kept in memory.", lambda: _free(writer)),
    }
    for name, (text, read) in figures.items():
        Gauge(f"timebank_ledger_{name}", text, registry=registry).set_function(read)


def _of(writer: Writer, read: Callable[[Book], float]) -> float:
    try:
        with writer.reading() as book:
            return read(book)
    except Stopped:
        # Then `stopped` says it.
        return 0


def _frozen(book: Book) -> int:
    return sum(peer.frozen for peer in book.peers.values())


def _suspended(book: Book) -> int:
    return sum(peer.state == "suspended" for peer in book.peers.values())


def _recovering(book: Book) -> int:
    return sum(peer.returning is not None and peer.state != "closed" for peer in book.peers.values())


def _lost(book: Book) -> int:
    account = book.accounts.get(LOST)
    return 0 if account is None else account.balance


def _oldest(writer: Writer, book: Book) -> int:
    return max((row.oldest_age_seconds or 0 for row in position_rows(book, writer.clock.now())), default=0)


def _free(writer: Writer) -> int:
    path = writer.checkpoints.head_path
    return -1 if path is None else shutil.disk_usage(path.parent).free
