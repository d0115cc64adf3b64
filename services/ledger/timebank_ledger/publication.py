"""Publication: the town's log as others read it. Hash tiles, entry bundles, and a whole log in a directory.

Nothing is stored for it: tiles of level 0 are hashed from 256 entries when they are asked for, and of the levels above
only the hashes of full tiles are kept in memory, 32 bytes for each 256 entries.
Source: c2sp.org/tlog-tiles; design pages 5 and 12; PROTOCOL.md G7 to G9.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from timebank_contracts.checkpoint import open_checkpoint
from timebank_contracts.log_files import registry_path
from timebank_contracts.merkle import leaf_hash, root_from, root_of
from timebank_contracts.note import VerifierKey
from timebank_contracts.tiles import TILE_WIDTH, TileName, encode_bundle, log_files, tile_reader
from timebank_kit.journal import Journal, scan
from timebank_kit.tail import Tail

TILES_CACHED: Final = 512
"""Full tiles of level 0 kept: 4 MiB."""
LEVELS_MAX: Final = 6


class Publication:
    """Serves the tiles and bundles of what is committed.

    Args:
        journal: where the entries are.
        tail: how many are committed.
    """

    def __init__(self, journal: Journal, tail: Tail) -> None:
        self._journal = journal
        self._tail = tail
        self._lock = threading.Lock()
        self._levels: list[list[bytes]] = [[] for _ in range(LEVELS_MAX)]
        """By level − 1: the hash of each full tile of the level below."""
        self._full_leaves = lru_cache(maxsize=TILES_CACHED)(self._leaves)

    def bundle(self, name: TileName) -> bytes | None:
        """The entries of a bundle (`name.level` is None), or None when the log does not reach so far."""
        if not self._is_there(name):
            return None
        records = self._journal.read(name.number * TILE_WIDTH, name.width)
        return encode_bundle(record.state for record in records)

    def tile(self, name: TileName) -> bytes | None:
        """The hashes of a tile, or None when the log does not reach so far."""
        if not self._is_there(name):
            return None
        if name.level == 0:
            read = self._full_leaves if name.width == TILE_WIDTH else self._leaves
            return b"".join(read(name.number, name.width))
        assert name.level is not None
        start = name.number * TILE_WIDTH
        with self._lock:
            self._grow(self._tail.length)
            return b"".join(self._levels[name.level - 1][start : start + name.width])

    def root_at(self, size: int) -> bytes:
        """The root of the first `size` entries; 0 to as many as are committed."""
        length = self._tail.length
        assert 0 <= size <= length, "only what is there has a root"

        def read(name: TileName) -> bytes:
            found = self.tile(name)
            assert found is not None, "the log does not shrink"
            return found

        return root_from(tile_reader(read, size=length), size)

    def _is_there(self, name: TileName) -> bool:
        level = name.level or 0
        return level <= LEVELS_MAX and name.number * TILE_WIDTH + name.width <= self._tail.length >> (8 * level)

    def _leaves(self, number: int, width: int) -> list[bytes]:
        return [leaf_hash(record.state) for record in self._journal.read(number * TILE_WIDTH, width)]

    def _grow(self, length: int) -> None:
        """Hash the tiles that have become full, level by level."""
        below: list[bytes]
        done = len(self._levels[0])
        for number in range(done, length // TILE_WIDTH):
            self._levels[0].append(root_of(self._leaves(number, TILE_WIDTH)))
        for level in range(1, LEVELS_MAX):
            below, above = self._levels[level - 1], self._levels[level]
            for number in range(len(above), len(below) // TILE_WIDTH):
                above.append(root_of(below[number * TILE_WIDTH : (number + 1) * TILE_WIDTH]))


def export_town(
    journal: Journal,
    *,
    checkpoint: bytes,
    vkey: VerifierKey,
    registries: Mapping[int, bytes],
    directory: Path,
    notes: Mapping[str, bytes] | None = None,
) -> int:
    """Write a town's log into a directory, as an auditor takes it; the checkpoint last, so that it says: whole.

    Args:
        journal: where the entries are.
        checkpoint: a signed checkpoint of this journal; entries after its size are left out.
        vkey: the log's verifier key.
        registries: envelope bytes by version, of every version that the journal accepted.
        directory: made when it does not exist; files of another export in it are replaced.
        notes: by path, `checkpoints/…` or `notes/…`: what else was signed of this log, and of others.

    Returns:
        How many entries were written.

    Raises:
        Malformed: the checkpoint is not this key's.
        OSError: the directory cannot be written.
    """
    size = open_checkpoint(checkpoint, vkey).size
    (directory / "checkpoint").unlink(missing_ok=True)
    for path, content in log_files(record.state for record in scan(journal, 0, size)):
        _write(directory / path, content)
    for version in sorted(registries):
        _write(directory / registry_path(version), registries[version])
    for path, note in (notes or {}).items():
        _write(directory / path, note)
    _write(directory / "vkey", f"{vkey.text}\n".encode())
    _write(directory / "checkpoint", checkpoint)
    return size


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
