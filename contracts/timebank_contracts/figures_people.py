"""Who stands behind a number, and what is not said of fewer than five people.

Source: design page 10, "Suppression".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PEOPLE_MIN: Final = 5
"""A number about fewer people is withheld in anything public."""


class Cell:
    """Minutes by account: their sum, and how many people there are. Memory: accounts."""

    __slots__ = ("minutes", "of")

    def __init__(self) -> None:
        self.minutes = 0
        self.of: dict[str, int] = {}
        """Account → minutes, of those with other than 0."""

    def add(self, account: str, minutes: int) -> None:
        """Count minutes of an account; below 0: they are taken back."""
        self.minutes += minutes
        left = self.of.get(account, 0) + minutes
        if left:
            self.of[account] = left
        else:
            self.of.pop(account, None)

    @property
    def people(self) -> int:
        """Accounts with minutes above 0."""
        return sum(minutes > 0 for minutes in self.of.values())


def withheld(people: Mapping[str, int]) -> set[str]:
    """Which cells of a table whose sum is known are not shown.

    A cell of 1 to 4 people is withheld. So that nobody finds it by subtraction, the smallest cell of five people or
    more is withheld with it: the same people may stand in several small ones. A cell of nobody tells of nobody.

    Args:
        people: name of each cell → people in it; the cells together are the whole.
    """
    found = {name for name, count in people.items() if is_few(count)}
    others = sorted((count, name) for name, count in people.items() if count >= PEOPLE_MIN)
    return found | {name for _, name in others[:1]} if found else found


def is_few(people: int) -> bool:
    """Whether a number about so many people is withheld; about nobody it is not."""
    return 0 < people < PEOPLE_MIN
