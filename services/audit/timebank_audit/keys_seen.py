"""Command keys seen, eight bytes for each: an array of hashes, sorted at the end.

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

SORTED_TOGETHER: Final = 2_000_000


class KeysSeen:
    """Every key of one journal, by position."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, key: str) -> None:
        """Note a key. The hash is salted by the process, so nobody can make keys that collide."""
        self._hashes.append(hash(key))

    def repeated(self) -> frozenset[int]:
        """Hashes that occur more than once; sorted a part at a time, so that memory stays near eight bytes a key."""
        parts = len(self._hashes) // SORTED_TOGETHER + 1
        found: set[int] = set()
        for part in range(parts):
            ordered = sorted(value for value in self._hashes if value % parts == part)
            found.update(one for one, other in pairwise(ordered) if one == other)
        return frozenset(found)


def duplicates(entries: Iterable[e.Entry], suspects: frozenset[int]) -> Iterator[tuple[int, int]]:
    """(first position, later position) of each key that was really entered again."""
    first: dict[str, int] = {}
    for entry in entries:
        if entry.key is not UNSET and hash(entry.key) in suspects:
            position = first.setdefault(entry.key, entry.n)
            if position != entry.n:
                yield position, entry.n
