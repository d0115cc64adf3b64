"""Command keys seen, eight bytes for each: an array of hashes, compared at the end.

Two equal hashes are only a suspicion; the entries are read again, and the keys themselves decide.
Source: design page 5, A33; page 3, "Idempotency".
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from msgspec import UNSET

from timebank_contracts import entries as e

COMPARED_TOGETHER: Final = 1_000_000


class KeysSeen:
    """Every key of one journal."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, keys: Iterable[str]) -> None:
        """Note keys. The hashes are salted by the process, so nobody can make keys that collide."""
        self._hashes.extend(map(hash, keys))

    def repeated(self) -> frozenset[int]:
        """Hashes that occur more than once, compared a part at a time, so that memory stays near eight bytes a key."""
        parts = len(self._hashes) // COMPARED_TOGETHER + 1
        found: set[int] = set()
        for part in range(parts):
            hashes = self._hashes if parts == 1 else [value for value in self._hashes if value % parts == part]
            if len(set(hashes)) < len(hashes):
                found.update(one for one, other in pairwise(sorted(hashes)) if one == other)
        return frozenset(found)


def duplicates(entries: Iterable[e.Entry], suspects: frozenset[int]) -> Iterator[tuple[int, int]]:
    """(first position, later position) of each key that was really entered again."""
    first: dict[str, int] = {}
    for entry in entries:
        if entry.key is not UNSET and hash(entry.key) in suspects:
            position = first.setdefault(entry.key, entry.n)
            if position != entry.n:
                yield position, entry.n
