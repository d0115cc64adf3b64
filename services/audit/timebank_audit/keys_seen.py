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

PARTS: Final = 256


class KeysSeen:
    """Every key of one journal."""

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(PARTS)]
        """Hashes by their last bits: equal ones are in one part, and the set of a part fits a processor's cache."""

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def add(self, keys: Iterable[str]) -> None:
        """Note keys. The hashes are salted by the process, so nobody can make keys that collide."""
        parts = self._parts
        for value in map(hash, keys):
            parts[value % PARTS].append(value)

    def repeated(self) -> frozenset[int]:
        """Hashes that occur more than once, compared a part at a time, so that memory stays near eight bytes a key."""
        found: set[int] = set()
        for hashes in self._parts:
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
