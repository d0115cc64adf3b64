"""The log of one town: its checkpoint, its entries, its Merkle tree and the tiles on disk, in one pass.

Entries are handed on a bundle at a time, the very bytes that were hashed. What they say counts only when the walk ends
at the root that the log's key signed.
Source: design page 5, "Log"; page 12; PROTOCOL.md G4 to G9.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from timebank_audit.files import TownFiles
from timebank_audit.findings import Findings
from timebank_audit.trust import Trust
from timebank_contracts.canonical import ENTRY_BYTES_MAX
from timebank_contracts.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import Tree, root_of
from timebank_contracts.note import NOTE_BYTES_MAX, VerifierKey, open_note
from timebank_contracts.tiles import TILE_WIDTH, TileName, decode_bundle, tile_path

BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (ENTRY_BYTES_MAX + 2)
ENTRIES_MAX: Final = 2**32 - 1
"""Positions are kept in four bytes; a longer journal needs another tool."""


def read_checkpoint(files: TownFiles) -> Checkpoint:
    """What the export's checkpoint says, its signature not yet judged; raises `Malformed`."""
    raw = files.read("checkpoint", bytes_max=NOTE_BYTES_MAX)
    if raw is None:
        raise Malformed("There is no file named checkpoint: the export was not finished.")
    checkpoint = parse_checkpoint(open_note(raw, []).text)
    if checkpoint.size > ENTRIES_MAX:
        raise Malformed(f"The checkpoint counts {checkpoint.size} entries; at most {ENTRIES_MAX} can be audited.")
    return checkpoint


def check_signature(
    files: TownFiles, checkpoint: Checkpoint, trust: Trust, findings: Findings, town: str
) -> VerifierKey | None:
    """A10: the log's key signed the checkpoint. Returns the key, or None when none is known."""
    key = trust.key_for(checkpoint.origin, files)
    if key is None:
        return None
    findings.examine("A10")
    raw = files.peek("checkpoint", bytes_max=NOTE_BYTES_MAX) or b""
    try:
        open_checkpoint(raw, key)
    except Malformed as error:
        findings.add("A10", town=town, place="checkpoint", expected=f"a signature by {key.text}", found=str(error))
    return key


class BadLeaf(NamedTuple):
    """The first entry whose hash is not the one in the tile."""

    position: int
    expected: str
    found: str


class LogWalk:
    """Walks a log once. Iterate `bundles()` to the end, then ask `judge()`."""

    def __init__(self, files: TownFiles, checkpoint: Checkpoint) -> None:
        self._files = files
        self.checkpoint = checkpoint
        self.size = 0
        self.tiles = 0
        self.stopped = ""
        """Why the entries end before the checkpoint's size."""
        self.bad_leaf: BadLeaf | None = None
        self._faults: list[tuple[str, str, str]] = []
        self._levels: list[list[bytes]] = [[]]
        self._full = [0]
        self._blocks = Tree()

    def bundles(self) -> Iterator[list[bytes]]:
        """The entries, up to 256 at a time, as far as they are there."""
        size = self.checkpoint.size
        for number in range(-(-size // TILE_WIDTH)):
            width = min(TILE_WIDTH, size - number * TILE_WIDTH)
            path, entries = self._read_bundle(number, width)
            if entries is None:
                return
            leaves = [sha256(b"\0" + entry).digest() for entry in entries]
            self._files.count(path, b"".join(leaves))
            self._check_leaves(number, leaves)
            block = _fold(leaves)
            self._blocks.append(block)
            if width == TILE_WIDTH:
                self._grow(1, block)
            self.size += width
            yield entries

    def _read_bundle(self, number: int, width: int) -> tuple[str, list[bytes] | None]:
        path, raw = read_tile(self._files.peek, TileName(None, number, width), BUNDLE_BYTES_MAX)
        try:
            entries = None if raw is None else decode_bundle(raw)
        except Malformed as error:
            entries = None
            self.stopped = f"{path}: {error}"
        if entries is None:
            self.stopped = self.stopped or f"there is no file {path}"
            return path, None
        if len(entries) < width:
            self.stopped = f"{path} holds {len(entries)} entries of {width}"
            return path, None
        if len(entries) > width and path.endswith(f".p/{width}"):
            self._fault(path, f"{width} entries", f"{len(entries)} entries")
        return path, entries[:width]

    def _check_leaves(self, number: int, leaves: list[bytes]) -> None:
        difference = self._check_tile(0, number, leaves)
        if difference is not None and self.bad_leaf is None:
            at, expected = difference
            self.bad_leaf = BadLeaf(number * TILE_WIDTH + at, expected, leaves[at].hex())

    def _grow(self, level: int, value: bytes) -> None:
        if level == len(self._levels):
            self._levels.append([])
            self._full.append(0)
        hashes = self._levels[level]
        hashes.append(value)
        if len(hashes) == TILE_WIDTH:
            self._check_tile(level, self._full[level], hashes)
            self._full[level] += 1
            self._levels[level] = []
            self._grow(level + 1, _fold(hashes))

    def _check_tile(self, level: int, number: int, hashes: list[bytes]) -> tuple[int, str] | None:
        """Compare a tile with the file; returns where they first differ, and the file's hash there."""
        path, raw = read_tile(self._files.read, TileName(level, number, len(hashes)), TILE_WIDTH * 32)
        self.tiles += 1
        whole = b"".join(hashes)
        if raw is None:
            self._fault(path, f"a file of {len(whole)} bytes", "no file")
            return None
        if raw == whole:
            return None
        if len(raw) != len(whole):
            self._fault(path, f"{len(whole)} bytes", f"{len(raw)} bytes")
            return None
        at = next(i for i, value in enumerate(hashes) if raw[32 * i : 32 * i + 32] != value)
        said = raw[32 * at : 32 * at + 32].hex()
        self._fault(path, f"hash {at} is {hashes[at].hex()}", said)
        return at, said

    def _fault(self, path: str, expected: str, found: str) -> None:
        if len(self._faults) < TILE_WIDTH:
            self._faults.append((path, expected, found))

    @property
    def tiles_are_sound(self) -> bool:
        """Whether every tile on disk is that of the entries; asked after `judge`."""
        return not self._faults

    def judge(self, findings: Findings, town: str) -> bool:
        """A01, A02, A04: compare with the checkpoint. Returns whether the entries are those that were signed."""
        said = self.checkpoint
        findings.examine("A02", said.size)
        if self.size < said.size or not said.size:
            missing = f"{self.size} to {said.size - 1} are missing" if said.size else "the log is empty"
            found = f"{self.size}: {missing}{f' ({self.stopped})' if self.stopped else ''}"
            findings.add("A02", town=town, place="log", expected=f"{said.size} entries, 1 or more", found=found)
            return False
        for level, hashes in enumerate(self._levels):
            if level and hashes:
                self._check_tile(level, self._full[level], hashes)
        findings.examine("A04", self.size)
        root = self._blocks.root()
        if root != said.root:
            self._root_differs(findings, town, root)
            return False
        findings.examine("A01", self.tiles)
        for path, expected, found in self._faults:
            findings.add("A01", town=town, place=path, expected=expected, found=found)
        return True

    def _root_differs(self, findings: Findings, town: str, root: bytes) -> None:
        bad = self.bad_leaf
        if bad is None:
            place, expected, found = f"the {self.size} entries", f"root {self.checkpoint.root.hex()}", root.hex()
        else:
            place = f"entry {bad.position} (the first bad leaf)"
            expected, found = f"leaf {bad.expected}", bad.found
        findings.add("A04", town=town, place=place, expected=expected, found=found)


class EntryFile:
    """Single entries of a log that was walked before: for cited entries, and to compare streams."""

    def __init__(self, files: TownFiles, size: int) -> None:
        self._size = size
        self._bundle = lru_cache(maxsize=8)(lambda number: _bundle(files, number, size))

    def __getitem__(self, position: int) -> bytes:
        assert 0 <= position < self._size, "only entries that were walked are asked for"
        entries: list[bytes] = self._bundle(position // TILE_WIDTH)
        return entries[position % TILE_WIDTH]

    def bundles(self, end: int) -> Iterator[list[bytes]]:
        """The entries before position `end`, up to 256 at a time."""
        for start in range(0, end, TILE_WIDTH):
            yield self._bundle(start // TILE_WIDTH)[: end - start]


def _bundle(files: TownFiles, number: int, size: int) -> list[bytes]:
    width = min(TILE_WIDTH, size - number * TILE_WIDTH)
    path, raw = read_tile(files.peek, TileName(None, number, width), BUNDLE_BYTES_MAX)
    entries = [] if raw is None else decode_bundle(raw)
    if len(entries) < width:
        raise Malformed(f"{path} changed while it was audited; copy the export first.")
    return entries


class _Read(Protocol):
    def __call__(self, path: str, *, bytes_max: int) -> bytes | None: ...


def read_tile(read: _Read, name: TileName, bytes_max: int) -> tuple[str, bytes | None]:
    """Path and content of a tile; for a partial one that is gone, as much of the full one (tlog-tiles allows it)."""
    path = tile_path(name)
    raw = read(path, bytes_max=bytes_max)
    if raw is None and name.width < TILE_WIDTH:
        full = tile_path(name._replace(width=TILE_WIDTH))
        raw = read(full, bytes_max=bytes_max)
        if raw is not None:
            return full, raw if name.level is None else raw[: 32 * name.width]
    return path, raw


def _fold(hashes: list[bytes]) -> bytes:
    """The root over up to 256 hashes: for 256, level by level, which is faster than one leaf at a time."""
    if len(hashes) < TILE_WIDTH:
        return root_of(hashes)
    while len(hashes) > 1:
        hashes = [sha256(b"\1" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]
