"""What is committed, and a batch on its way there.

    Committed ── begin() ──▶ Batch: a layer over the book ── the journal has it ──▶ settle(batch)

Of a batch whose commit is in doubt, `is_written` says what became of it: the journal's tail is read back.
Source: design page 3, "Writer"; page 6, crash point 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from timebank_contracts import entries as e
from timebank_contracts.book import Book
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_kit.journal import Journal, Record
from timebank_ledger.head import WAYS_OUT
from timebank_ledger.layer import layer_over, settle


class NotOurs(Exception):
    """The journal does not go on as this process wrote it; the text says what to do."""


@dataclass(slots=True)
class Batch:
    """What a batch would write, and the book as it would be then."""

    book: Book
    entries: list[e.Entry] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)

    def add(self, entry: e.Entry) -> str | None:
        """Take the next entry; returns its key."""
        raw = e.encode_entry(entry)
        key = entry.key if isinstance(entry.key, str) else None
        self.entries.append(entry)
        self.records.append(Record(entry.n, e.entry_type(entry), raw, key))
        self.leaves.append(leaf_hash(raw))
        return key

    def entry(self, position: int) -> e.Entry | None:
        """Its entry at a position of the journal, or None."""
        at = position - self.entries[0].n if self.entries else -1
        return self.entries[at] if at >= 0 else None


@dataclass(slots=True)
class Committed:
    """A pure function of the journal. It changes by `settle` alone."""

    book: Book = field(default_factory=Book)
    tree: Tree = field(default_factory=Tree)
    last: bytes = b""
    """Hash of the last leaf; empty when there is none."""

    @classmethod
    def of(cls, book: Book, tree: Tree, journal: Journal) -> Committed:
        """What was read from a journal."""
        records = journal.read(tree.size - 1, 1) if tree.size else []
        return cls(book, tree, leaf_hash(records[0].state) if records else b"")

    def begin(self) -> Batch:
        """A batch after what is committed."""
        return Batch(layer_over(self.book))

    def settle(self, batch: Batch) -> None:
        """Take a batch in, which the journal has; nobody reads meanwhile."""
        settle(batch.book, self.book)
        for leaf in batch.leaves:
            self.tree.append(leaf)
        self.last = batch.leaves[-1]

    def is_written(self, batch: Batch | None, journal: Journal) -> bool:
        """Whether a batch in doubt, begun after what is committed, is in the journal.

        Args:
            batch: None when nothing was in doubt but whether the journal can be read.
            journal: opened anew.

        Raises:
            NotOurs: the journal ends before, or otherwise; or it goes on with something else.
            JournalTrouble: it cannot be read.
        """
        size, sent = self.tree.size, [] if batch is None else batch.records
        found = journal.read(max(0, size - 1), len(sent) + 2)
        if size and (not found or leaf_hash(found[0].state) != self.last):
            raise NotOurs(
                f"The journal does not end as it did: entry {size - 1} was acknowledged, and is missing or another "
                f"one. It was rolled back. {WAYS_OUT}"
            )
        tail = found[1:] if size else found
        if tail and tail != sent:
            raise NotOurs(
                f"The journal's entry {size} is not from this process. Another process writes this journal: run one "
                "only; stop the other one, then start this one again."
            )
        return bool(tail)
