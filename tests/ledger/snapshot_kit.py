"""A writer on a journal with a snapshot file, for the tests of the snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from timebank_contracts.entries import Actor
from timebank_contracts.keys import SigningKey
from timebank_contracts.merkle import Tree
from timebank_kit.clock import ManualClock
from timebank_kit.journal import Journal, originator_of
from timebank_kit.journal_memory import MemoryJournal
from timebank_ledger import commands as c
from timebank_ledger.head import HeadFile
from timebank_ledger.snapshot import SnapshotFile
from timebank_ledger.writer import Writer, Written

OPERATOR = Actor(kind="operator", id="operator")
ALYS = Actor(kind="member", id="alys")
LOG_KEY = SigningKey(b"l" * 32)
CLOCK = ManualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


class TownJournal(MemoryJournal):
    """An empty journal; `opened` begins it for this town."""

    def __init__(self, node: str) -> None:
        super().__init__(originator_of(node))
        self.node = node


def journal_of(node: str) -> TownJournal:
    """An empty journal of this town."""
    return TownJournal(node)


@contextmanager
def opened(journal: Journal, folder: Path, *, head: HeadFile | None = None) -> Iterator[Writer]:
    """A writer on the journal, begun if it is empty, with its snapshot and head file in the folder; closed well."""
    writer = Writer(
        journal,
        clock=CLOCK,
        log_key=LOG_KEY,
        head=head or HeadFile(folder / "head"),
        snapshot=SnapshotFile(folder / "snapshot"),
    )
    try:
        begin(writer, journal)
        yield writer
    finally:
        writer.close()


def begin(writer: Writer, journal: Journal) -> None:
    """The first entries of a town."""
    if journal.length():
        return
    node = journal.node if isinstance(journal, TownJournal) else "aberdare"
    for command in (
        c.OpenNode(by=OPERATOR, network="timebank.example", node=node, generation="g1"),
        c.ChangePolicy(by=OPERATOR, default_floor=-60_000, default_ceiling=60_000, debt_limit=6_000),
        c.OpenAccount(by=OPERATOR, account="pot", kind="pot", floor=0, ceiling=10_000_000),
        c.OpenAccount(by=OPERATOR, account="library", kind="organisation"),
        c.OpenAccount(by=OPERATOR, account="alys", kind="member"),
        c.OpenAccount(by=OPERATOR, account="bryn", kind="member"),
        c.OpenAccount(by=OPERATOR, account="cadi", kind="member"),
    ):
        writer.submit(command).result(timeout=10)


def post(writer: Writer, number: int, *, minutes: int = 5) -> Written:
    """Alys pays Bryn."""
    command = c.PostTransfer(
        by=ALYS,
        key=f"{number:032x}",
        digest=f"{minutes:032x}",
        postings=(("alys", -minutes), ("bryn", minutes)),
        purpose="gift",
        confirmed_by="receiver",
    )
    return writer.submit(command).result(timeout=10)


def state_of(book: object, tree: Tree) -> tuple[object, int, bytes]:
    """What two starts of one journal agree about."""
    return book, tree.size, tree.root()
