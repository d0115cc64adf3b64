"""Reciprocity: how much of the help goes straight back, and how much goes round.

Low direct reciprocity is normal in a timebank, because help goes round; so both shares stand side by side.
Source: design page 10, "Reciprocity".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from timebank_contracts.figures_period import Ratio

Flows = Mapping[tuple[str, str], int]
"""(giver, receiver) → minutes; people, or towns."""


class Reciprocity(NamedTuple):
    """Shares of the minutes of a net of givers and receivers."""

    direct: Ratio
    """Weighted reciprocity: Σ min(wᵢⱼ, wⱼᵢ) / Σ wᵢⱼ."""
    round: Ratio
    """Of what is not given straight back: minutes on a way round of three or more."""


def reciprocity(flows: Flows) -> Reciprocity:
    """Both shares of a net; flows of 0 or less, and to oneself, count for nothing."""
    given = {pair: minutes for pair, minutes in flows.items() if minutes > 0 and pair[0] != pair[1]}
    total = sum(given.values())
    back = sum(min(minutes, given.get((two, one), 0)) for (one, two), minutes in given.items())
    # What is left between two goes one way only: every way round in it has three or more.
    left = {(one, two): minutes - given.get((two, one), 0) for (one, two), minutes in given.items()}
    left = {pair: minutes for pair, minutes in left.items() if minutes > 0}
    group = _groups(left)
    around = sum(minutes for (one, two), minutes in left.items() if group[one] == group[two])
    return Reciprocity(Ratio(back, total), Ratio(around, total))


def _groups(flows: Flows) -> dict[str, int]:
    """Everybody's strongly connected component, by number: two walks, without recursion (Kosaraju)."""
    onward: dict[str, list[str]] = {}
    backward: dict[str, list[str]] = {}
    for one, two in flows:
        onward.setdefault(one, []).append(two)
        onward.setdefault(two, [])
        backward.setdefault(two, []).append(one)
    finished: list[str] = []
    seen: set[str] = set()
    for first, reachable in onward.items():
        if first in seen:
            continue
        seen.add(first)
        walk = [(first, iter(reachable))]
        while walk:
            at, following = walk[-1]
            step = next((two for two in following if two not in seen), None)
            if step is None:
                finished.append(at)
                walk.pop()
            else:
                seen.add(step)
                walk.append((step, iter(onward[step])))
    group: dict[str, int] = {}
    for number, first in enumerate(reversed(finished)):
        reached = [] if first in group else [first]
        while reached:
            at = reached.pop()
            if at not in group:
                group[at] = number
                reached += [one for one in backward.get(at, []) if one not in group]
    return group
