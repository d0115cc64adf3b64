"""Tiles: how a log lies in files. Hash tiles of 256 hashes and bundles of 256 entries, at fixed paths.

Source: c2sp.org/tlog-tiles; design page 12; PROTOCOL.md G7 to G9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from timebank_contracts.canonical import ENTRY_BYTES_MAX
from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import HASH_BYTES, NodeReader, Tree, leaf_hash, root_of

TILE_WIDTH: Final = 256
_PATH = re.compile(r"tile/(entries|0|[1-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class TileName(NamedTuple):
    """Level (None: entries), index, and width: 256, or 1 to 255 for a partial tile."""

    level: int | None
    number: int
    width: int


def tile_path(name: TileName) -> str:
    """`tile/0/x001/x234/067`, `tile/entries/000.p/12`, …"""
    digits = f"{name.number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    level = "entries" if name.level is None else str(name.level)
    partial = "" if name.width == TILE_WIDTH else f".p/{name.width}"
    return f"tile/{level}/{path}{partial}"


def parse_tile_path(path: str) -> TileName:
    """The name in a path of the one form that `tile_path` writes; raises `Malformed`."""
    found = _PATH.fullmatch(path)
    if found is None or len(path) > 60:
        raise Malformed("Not the path of a tile.")
    name = TileName(
        None if found[1] == "entries" else int(found[1]),
        int(found[2].replace("x", "").replace("/", "")),
        TILE_WIDTH if found[3] is None else int(found[3]),
    )
    if name.width > TILE_WIDTH or tile_path(name) != path:
        raise Malformed("Not the path of a tile.")
    return name


def tiles_of(size: int) -> Iterator[TileName]:
    """Every hash tile and entry bundle of a log of `size` entries, partial ones last at each level."""
    for level in (None, *range(8)):
        hashes = size >> (8 * (level or 0))
        if not hashes:
            return
        for index in range(hashes // TILE_WIDTH):
            yield TileName(level, index, TILE_WIDTH)
        if hashes % TILE_WIDTH:
            yield TileName(level, hashes // TILE_WIDTH, hashes % TILE_WIDTH)


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries one after another, each behind its length as two bytes."""
    parts = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            raise Malformed(f"An entry has at most {ENTRY_BYTES_MAX} bytes.")
        parts.append(len(entry).to_bytes(2, "big"))
        parts.append(entry)
    return b"".join(parts)


def decode_bundle(raw: bytes, *, count_max: int = TILE_WIDTH) -> list[bytes]:
    """The entries of a bundle; raises `Malformed` when one is cut short or there are more than `count_max`."""
    entries: list[bytes] = []
    at, end = 0, len(raw)
    while at + 1 < end:
        start = at + 2
        at = start + (raw[at] << 8 | raw[at + 1])
        entries.append(raw[start:at])
        if len(entries) > count_max:
            raise Malformed(f"A bundle has at most {count_max} entries.")
    if at != end:
        raise Malformed(f"Entry {len(entries) - (at > end)} of the bundle is cut short.")
    return entries


def split_tile(raw: bytes, name: TileName) -> list[bytes]:
    """The hashes of a tile; raises `Malformed` unless there are as many as its name says."""
    if len(raw) != name.width * HASH_BYTES:
        raise Malformed(f"{tile_path(name)} has {name.width * HASH_BYTES} bytes, not {len(raw)}.")
    return [raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]


def tile_reader(read_tile: Callable[[TileName], bytes], *, size: int) -> NodeReader:
    """A reader of subtree hashes, for proofs, over the stored tiles of a log of `size` entries."""

    def read(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, 8)
        first = index << height
        number, start = divmod(first, TILE_WIDTH)
        width = min(TILE_WIDTH, (size >> (8 * tile_level)) - number * TILE_WIDTH)
        name = TileName(tile_level, number, width)
        hashes = split_tile(read_tile(name), name)[start : start + (1 << height)]
        assert len(hashes) == 1 << height, "a full subtree within the size"
        return root_of(hashes)

    return read


def log_files(entries: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """The files of a log, as (path, content), made in one pass with bounded memory.

    The same entries give the same files in the same order. The checkpoint is the caller's.
    """
    bundle: list[bytes] = []
    levels: list[list[bytes]] = [[]]
    counts: list[int] = [0]
    size = 0
    for entry in entries:
        bundle.append(entry)
        size += 1
        if len(bundle) == TILE_WIDTH:
            yield tile_path(TileName(None, size // TILE_WIDTH - 1, TILE_WIDTH)), encode_bundle(bundle)
            bundle = []
        yield from _add(levels, counts, 0, leaf_hash(entry))
    if bundle:
        yield tile_path(TileName(None, size // TILE_WIDTH, len(bundle))), encode_bundle(bundle)
    for level, hashes in enumerate(levels):
        if hashes:
            yield tile_path(TileName(level, counts[level], len(hashes))), b"".join(hashes)


def _add(levels: list[list[bytes]], counts: list[int], level: int, value: bytes) -> Iterator[tuple[str, bytes]]:
    if level == len(levels):
        levels.append([])
        counts.append(0)
    levels[level].append(value)
    if len(levels[level]) == TILE_WIDTH:
        full, levels[level] = levels[level], []
        yield tile_path(TileName(level, counts[level], TILE_WIDTH)), b"".join(full)
        counts[level] += 1
        yield from _add(levels, counts, level + 1, root_of(full))


def root_of_entries(entries: Iterable[bytes]) -> bytes:
    """The Merkle root over these entries."""
    tree = Tree()
    for entry in entries:
        tree.append(leaf_hash(entry))
    return tree.root()
