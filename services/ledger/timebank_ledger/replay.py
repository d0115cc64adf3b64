"""Replay: the book and the tree that a journal gives, read from its first entry.

Source: design page 1, "What follows from it"; page 6, "Storage".
"""

from __future__ import annotations

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.book import Book, apply
from timebank_contracts.entry_reader import EntryReader
from timebank_contracts.errors import Breach, Malformed, Refusal
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_kit.journal import Journal

PAGE_RECORDS = 1024
"""Records that are decoded together; of more, the first are out of the processor's cache before they are judged."""


class JournalDamaged(Malformed):
    """The journal's entry at `position` is none that these rules could have written there."""

    def __init__(self, position: int, wrong: Exception) -> None:
        super().__init__(
            f"The journal's entry {position} is not what was written there: {wrong} Restore the whole journal from a "
            "backup; nothing is written until then."
        )
        self.position = position


def replay(journal: Journal) -> tuple[Book, Tree]:
    """The book and the tree that the journal gives, from its first entry.

    Raises:
        JournalDamaged: it holds an entry that the rules refuse; nothing may be written to it.
    """
    book, tree = Book(), Tree()
    replay_on(journal, book, tree)
    return book, tree


def replay_on(journal: Journal, book: Book, tree: Tree, *, mark: int = 0) -> str | None:
    """Bring a book and its tree from their position to the journal's end.

    Args:
        journal: its entries before the position are those of the book.
        book: changed.
        tree: changed.
        mark: a size, beyond that of the tree.

    Returns:
        The root at `mark`, in hex; None when the journal is not so long, or the tree was already.

    Raises:
        JournalDamaged: the journal holds an entry that the rules refuse.
    """
    reader, root = EntryReader(), None
    start, length = book.n, journal.length()

    def read(position: int) -> e.Entry | None:
        return read_entry(journal, position)

    while start < length:
        stop = min(start + PAGE_RECORDS, length)
        if start < mark < stop:
            stop = mark
        records = journal.read(start, stop - start)
        if not records:
            break
        entries = reader.read([record.state for record in records])
        try:
            for record, entry in zip(records, entries, strict=True):
                if record.key != (None if entry.key is UNSET else entry.key):
                    raise Malformed("The key that the store keeps beside the entry is another than the entry's.")
                apply(book, entry, read=read)
                tree.append(leaf_hash(record.state))
        except (Refusal, Malformed, Breach) as wrong:
            raise JournalDamaged(book.n, wrong) from wrong
        start += len(records)
        if start == mark:
            root = tree.root().hex()
    return root


def read_entry(journal: Journal, position: int) -> e.Entry | None:
    """The entry at a position of the journal, or None."""
    records = journal.read(position, 1)
    return e.decode_entry(records[0].state) if records else None
