"""Chance that is the same everywhere and for ever: numbers from SHA-256 of a seed and a counter.

The standard library's generator promises that only for some of its methods, and these files must come out byte for
byte on every version of Python. Nothing secret is drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

Drawn = TypeVar("Drawn")


class Draws:
    """Numbers and choices from a seed."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` − 1; the bias of the remainder is below 2^-40 here."""
        assert 0 < limit < 2**24
        self._count += 1
        return int.from_bytes(sha256(f"{self._seed} {self._count}".encode()).digest()[:8], "big") % limit

    def one(self, choices: Sequence[Drawn]) -> Drawn:
        """One of the choices, each as likely."""
        return choices[self.below(len(choices))]

    def weighted(self, choices: Sequence[tuple[Drawn, int]]) -> Drawn:
        """One of the choices, by their weights (whole numbers from 0, not all 0)."""
        left = self.below(sum(weight for _, weight in choices))
        for choice, weight in choices:
            left -= weight
            if left < 0:
                return choice
        raise AssertionError("the weights sum to more than what was drawn")
