"""A mirror: another node's journal, entry by entry and byte for byte, each page proved before it is kept.

    checkpoint ── signed? ── does it continue what is mirrored? ──▶ kept as `checkpoint`
    page of entries ── does its tree lead to the checkpoint's root? ──▶ appended to `mirror.db`

    mirror/
      mirror.db      the journal, in the store that a node uses
      vkey           the log's verifier key, fixed by the first run
      checkpoint     the latest signed checkpoint that was seen: this much was published
      contradiction  a signed checkpoint that does not continue the mirrored log: evidence

A run that was cut off is finished by the next one. Memory is a page, whatever the log holds.
Source: design page 2, "Rollback and generations"; PROTOCOL.md G4, G6.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from timebank_contracts.checkpoint import Checkpoint, open_checkpoint
from timebank_contracts.entries import decode_entry, entry_type
from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import NodeReader, Tree, consistency_proof_from, is_consistent, leaf_hash
from timebank_contracts.names import parse_origin
from timebank_contracts.note import VerifierKey, parse_vkey
from timebank_contracts.tiles import tile_reader
from timebank_kit.files import atomic_write
from timebank_kit.journal import Journal, Record, open_journal
from timebank_node.mirror_door import PAGE_ENTRIES, LogAway, LogDoor

TILES_CACHED: Final = 64
VKEY_BYTES_MAX: Final = 1_024


class LogContradicts(Exception):
    """The node signed a log that does not continue what is mirrored; the mirror stays as it is."""


class Mirror:
    """A folder that follows a log.

    Args:
        folder: made when it is missing.
        vkey: the log's verifier key; None: that of the folder.
        page_entries: how many are asked for, proved and kept at a time.

    Raises:
        Malformed: the folder mirrors another log, or is none; or its store is damaged.
        JournalTrouble: the store cannot be opened.
    """

    def __init__(self, folder: Path, vkey: VerifierKey | None = None, *, page_entries: int = PAGE_ENTRIES) -> None:
        self.folder = folder
        self._page_entries = page_entries
        self.vkey = _fixed_key(folder, vkey)
        self.identity = parse_origin(self.vkey.name)
        self.journal: Journal = open_journal(
            f"sqlite:{folder.absolute() / 'mirror.db'}", f"{self.identity.network}/{self.identity.node}"
        )
        self.tree = Tree()
        for record in self.journal.scan(0, self.journal.length()):
            self.tree.append(leaf_hash(record.state))
        self.seen = self._last_seen()

    def close(self) -> None:
        """Release the store."""
        self.journal.close()

    @property
    def is_whole(self) -> bool:
        """Whether all that was seen published is here, and nothing else."""
        return (self.seen.size, self.seen.root) == (self.tree.size, self.tree.root())

    def advance(self, door: LogDoor) -> int:
        """Take what the log has grown by; returns how many entries.

        Raises:
            LogContradicts: the log does not continue what is mirrored; the checkpoint that says so is kept.
            LogAway: the node does not answer; what was taken until then stays.
            Malformed: an answer has another form, or a checkpoint another signature.
        """
        note = door.checkpoint()
        found = open_checkpoint(note, self.vkey)
        before = self.tree.size
        if found.size < before:
            self._contradicted(note, f"It shows {found.size} entries, and {before} are mirrored: it was rolled back.")
        read = tile_reader(lru_cache(maxsize=TILES_CACHED)(door.tile), size=found.size)
        if not _leads_to(self.tree, found, read):
            self._contradicted(note, f"Its first {before} entries are not those that are mirrored.")
        atomic_write(self.folder / "checkpoint", note)
        self.seen = found
        while self.tree.size < found.size:
            self._take_page(door, found, read)
        return found.size - before

    def _take_page(self, door: LogDoor, found: Checkpoint, read: NodeReader) -> None:
        start = self.tree.size
        page = door.entries(start, min(self._page_entries, found.size - start))
        if not page:
            raise LogAway(f"The node shows a checkpoint of {found.size} entries and gives none after {start}.")
        grown = self.tree.copy()
        for raw in page:
            grown.append(leaf_hash(raw))
        if not _leads_to(grown, found, read):
            raise Malformed(f"The entries from {start} on are not those of the node's own checkpoint; none was kept.")
        self.journal.append([_record(start + offset, raw) for offset, raw in enumerate(page)])
        self.tree = grown

    def _contradicted(self, note: bytes, text: str) -> None:
        atomic_write(self.folder / "contradiction", note)
        raise LogContradicts(
            f"{self.vkey.name} contradicts its mirror. {text} Keep the folder, with the signed checkpoint in "
            "`contradiction`, and tell the network's operators."
        )

    def _last_seen(self) -> Checkpoint:
        path = self.folder / "checkpoint"
        if not path.exists():
            if self.tree.size:
                raise Malformed(f"{path} is missing: what is mirrored cannot be judged; begin a new mirror.")
            return Checkpoint(self.vkey.name, 0, self.tree.root())
        seen = open_checkpoint(path.read_bytes(), self.vkey)
        if seen.size < self.tree.size or (seen.size == self.tree.size and seen.root != self.tree.root()):
            raise Malformed(f"The store in {self.folder} is not what was mirrored: begin a new mirror elsewhere.")
        return seen


def _leads_to(tree: Tree, found: Checkpoint, read: NodeReader) -> bool:
    """Whether the log of a checkpoint continues this tree; `read` gives the log's own hashes."""
    if not tree.size:
        return True
    proof = consistency_proof_from(read, old=tree.size, size=found.size)
    return is_consistent(tree.size, tree.root(), found.size, found.root, proof)


def _record(position: int, raw: bytes) -> Record:
    """The record of an entry, as the node's own writer makes it."""
    entry = decode_entry(raw)
    if entry.n != position:
        raise Malformed(f"The log's entry {position} says that it is entry {entry.n}.")
    return Record(position, entry_type(entry), raw, entry.key if isinstance(entry.key, str) else None)


def _fixed_key(folder: Path, vkey: VerifierKey | None) -> VerifierKey:
    path = folder / "vkey"
    if path.exists():
        with path.open(encoding="ascii") as file:
            kept = parse_vkey(file.read(VKEY_BYTES_MAX).strip())
        if vkey not in (None, kept):
            raise Malformed(f"{folder} mirrors {kept.name} under another key; choose another folder.")
        return kept
    if vkey is None:
        raise Malformed(f"{folder} is no mirror; make one with `timebank mirror {folder} --from URL --vkey KEY`.")
    folder.mkdir(parents=True, exist_ok=True)
    # Balances lie here: nobody else reads them.
    folder.chmod(0o700)
    atomic_write(path, f"{vkey.text}\n".encode("ascii"))
    return vkey
