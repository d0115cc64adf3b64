"""Restoring a node's journal from a mirror, so that the same generation goes on: every published entry, byte for byte.

    mirror ── whole? reaches what the head file says was published? ──▶ empty store ── root equal? ──▶ the node starts

A restore that was cut off is finished by the next one. Whatever was published and is not in the mirror forbids it: then
only a new generation helps.
Source: design page 2, "Rollback and generations".
"""

from __future__ import annotations

from typing import Final

from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_kit.journal import Journal
from timebank_ledger.head import HeadFile
from timebank_node.home import Home
from timebank_node.mirror import Mirror

PAGE_RECORDS: Final = 1_024
NEW_GENERATION: Final = (
    "Find a newer mirror; if there is none, this generation cannot go on: ask the network's operators for a new one."
)


def restore_journal(home: Home, mirror: Mirror, journal: Journal, head: HeadFile) -> int:
    """Write the mirrored journal into a node's store; returns how many entries it has.

    Args:
        home: whose journal it is; its log key signed what was mirrored.
        mirror: of this node's log.
        journal: empty, or begun by an earlier restore from the same log.
        head: what was published; it is brought up to the mirror's checkpoint.

    Raises:
        Malformed: another node's mirror, one that lacks published entries, or a store that holds something else.
        JournalTrouble: the store fails.
        HeadNotWritten: the head file cannot be written.
    """
    if mirror.vkey.text != home.vkey:
        raise Malformed(f"{mirror.folder} mirrors {mirror.vkey.name} under a key that is not this home's log key.")
    size = mirror.tree.size
    if not mirror.is_whole:
        raise Malformed(f"The mirror has {size} entries of {mirror.seen.size} that it saw published. {NEW_GENERATION}")
    if size < head.size:
        raise Malformed(f"The mirror has {size} entries, and {head.size} were published. {NEW_GENERATION}")
    if head.size and _root_at(mirror.journal, head.size) != head.root:
        raise Malformed(f"The mirror's first {head.size} entries are not those that the head file says were published.")
    tree = copy_journal(mirror.journal, journal, size)
    assert tree.root() == mirror.tree.root(), "the store has what was copied"
    head.remember(size, tree.root())
    return size


def _root_at(journal: Journal, size: int) -> str:
    tree = Tree()
    for record in journal.scan(0, size):
        tree.append(leaf_hash(record.state))
    return tree.root().hex()


def copy_journal(source: Journal, target: Journal, size: int) -> Tree:
    """Bring the target to the first `size` records of the source; returns the tree over what the target then holds.

    Raises:
        Malformed: the target holds something else, or more.
    """
    there = target.length()
    if there > size:
        raise Malformed(f"The store holds {there} entries already, the mirror {size}: restore into an empty one.")
    tree = Tree()
    for start in range(0, size, PAGE_RECORDS):
        page = source.read(start, min(PAGE_RECORDS, size - start))
        present = target.read(start, len(page))
        if present != page[: len(present)]:
            raise Malformed("The store holds another journal than the mirror: restore into an empty one.")
        target.append(page[len(present) :])
        for record in target.read(start, len(page)):
            tree.append(leaf_hash(record.state))
    return tree
