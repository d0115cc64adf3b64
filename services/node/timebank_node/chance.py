"""Chance that can be had again: bytes that look random and follow from a seed, for the demo and for tests only."""

from __future__ import annotations

from hashlib import sha256


class Seeded:
    """Gives bytes in the way of `secrets.token_bytes`; the same seed and label give the same bytes in the same order.

    Never for a real node: whoever knows the seed knows every key.
    """

    def __init__(self, seed: int, label: str) -> None:
        self._key = sha256(f"timebank demo {seed} {label}".encode()).digest()
        self._count = 0

    def __call__(self, count: int) -> bytes:
        """The next `count` bytes."""
        given = b""
        while len(given) < count:
            given += sha256(self._key + self._count.to_bytes(8, "big")).digest()
            self._count += 1
        return given[:count]
