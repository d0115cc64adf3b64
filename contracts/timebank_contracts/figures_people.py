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

    A cell of 1 to 4 people is withheld. So that nobody finds it by subtraction, the smallest others are withheld with
    it, until there are two or more with five people or more together. A cell of nobody shows nothing of anybody.

    Args:
        people: name of each cell → people in it; the cells together are the whole.
    """
    found = {name for name, count in people.items() if 0 < count < PEOPLE_MIN}
    if not found:
        return found
    others = sorted((count, name) for name, count in people.items() if count >= PEOPLE_MIN)
    for _, name in others:
        if len(found) > 1 and sum(people[one] for one in found) >= PEOPLE_MIN:
            break
        found.add(name)
    return found
