"""Replay: the book and the tree that a journal gives, read from its first entry.

Source: design page 1, "What follows from it"; page 6, "Storage".
"""

from __future__ import annotations

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.book import Book, apply, cited_position
from timebank_contracts.entry_reader import EntryReader
from timebank_contracts.errors import Breach, Malformed, Refusal
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_kit.journal import SCAN_RECORDS, Journal


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
    book, tree, reader = Book(), Tree(), EntryReader()
    start, length = 0, journal.length()
    while start < length and (records := journal.read(start, min(SCAN_RECORDS, length - start))):
        entries = reader.read([record.state for record in records])
        try:
            for record, entry in zip(records, entries, strict=True):
                if record.key != (None if entry.key is UNSET else entry.key):
                    raise Malformed("The key that the store keeps beside the entry is another than the entry's.")
                position = cited_position(entry)
                apply(book, entry, cited=None if position is None else read_entry(journal, position))
                tree.append(leaf_hash(record.state))
        except (Refusal, Malformed, Breach) as wrong:
            raise JournalDamaged(book.n, wrong) from wrong
        start += len(records)
    return book, tree


def read_entry(journal: Journal, position: int) -> e.Entry | None:
    """The entry at a position of the journal, or None."""
    records = journal.read(position, 1)
    return e.decode_entry(records[0].state) if records else None
