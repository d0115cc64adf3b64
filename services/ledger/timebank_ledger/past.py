"""The past that a start from a snapshot did not read: it is read afterwards, at leisure, and held against the tree.

A replay notices an entry that was changed or lost; a start from a snapshot does not look at the entries before it. So
they are hashed while the ledger works, a page at a time with long rests, until they give the root that the snapshot's
tree had. Where they do not, the snapshot goes, nothing more is written, and the next start says which entry it is.
Source: design page 2, "Rollback and generations"; page 6, "Storage".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from msgspec import UNSET

from timebank_contracts.entries import decode_entry
from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_kit.journal import Journal, Record

PAGE_RECORDS: Final = 1024
REST_TIMES: Final = 9.0
"""A rest is so many times as long as the page before it took: a tenth of a processor, whatever else is done."""


class PastChanged(Malformed):
    """The journal's entries are not those that the snapshot was made of."""


def prove_past(
    journal: Journal,
    *,
    size: int,
    root: str,
    rest: Callable[[float], bool],
    monotonic: Callable[[], float] = time.monotonic,
) -> bool:
    """Read the journal's first entries, and hold them against a root.

    Args:
        journal: may grow meanwhile.
        size: how many entries.
        root: what they are to give, in hex.
        rest: waits so many seconds; true when there is no more time.
        monotonic: measures a page, in seconds.

    Returns:
        Whether it came to an end.

    Raises:
        PastChanged: an entry was changed, or is missing; or the store keeps another key beside it.
        JournalTrouble: the journal cannot be read now.
    """
    tree = Tree()
    while tree.size < size:
        began = monotonic()
        records = journal.read(tree.size, min(PAGE_RECORDS, size - tree.size))
        if not records or records[0].position != tree.size:
            raise _changed(size)
        for record in records:
            if record.position != tree.size or not _has_its_key(record):
                raise _changed(size)
            tree.append(leaf_hash(record.state))
        if rest(REST_TIMES * (monotonic() - began)):
            return False
    if tree.root().hex() != root:
        raise _changed(size)
    return True


def _has_its_key(record: Record) -> bool:
    """Whether the key beside an entry is the entry's own, seen without decoding it wherever it is plain."""
    said = b"" if record.key is None else b'"key":"%s"' % record.key.encode()
    if said in record.state and (said or b'"key":' not in record.state):
        return True
    try:
        key = decode_entry(record.state).key
    except Malformed:
        return False
    return record.key == (None if key is UNSET else key)


def _changed(size: int) -> PastChanged:
    return PastChanged(
        f"The journal's first {size} entries are not those that were written. Nothing is written until it is mended: "
        "start the node again to learn which entry it is, then restore the whole journal from a backup."
    )
