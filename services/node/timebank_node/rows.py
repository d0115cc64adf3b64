"""Rows: one line of a season each, and how the rows of a group session become one entry, whole or not at all. Pure.

Source: design page 3, "What people do with it", group session.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple

from timebank_contracts.amounts import MINUTES_MAX
from timebank_contracts.entries import POSTINGS_MAX

TOWN_ACCOUNTS: Final = frozenset({"pot", "grant", "opening", "lost"})
"""Handles that mean a town's own account and never a person."""

GROUP_PATTERN: Final = r"[a-z0-9][a-z0-9-]{0,29}"


class Row(NamedTuple):
    """One row: `payee` gave `payer` help and is paid `minutes`."""

    line: int
    time: datetime
    """Aware, UTC."""
    payer_town: str
    payer: str
    """A handle, or `pot` or `grant` for the town's own account."""
    payee_town: str
    payee: str
    minutes: int
    purpose: str
    """As in the journal: a gift to the pot is `pot`, a group session `service`."""
    activity: str | None
    served_on: str | None
    given_minutes: int | None
    """Time given by the payee, where it differs from the minutes paid; None: the same."""
    confirmed_by: str
    group: str | None

    @property
    def crosses_towns(self) -> bool:
        """Whether payer and payee live in two towns."""
        return self.payer_town != self.payee_town


Step = tuple[Row, ...]
"""What becomes one entry: a single row, or all rows of a group session."""


def postings_of(step: Step) -> list[tuple[str, int]]:
    """(handle, minutes) of a step within one town, each handle once, payers first; the sum is 0."""
    paid: dict[str, int] = {}
    earned: dict[str, int] = {}
    for row in step:
        paid[row.payer] = paid.get(row.payer, 0) - row.minutes
        earned[row.payee] = earned.get(row.payee, 0) + row.minutes
    return [*paid.items(), *earned.items()]


def given_of(step: Step) -> list[tuple[str, int]] | None:
    """(handle, minutes of time given) where the file says it, else None."""
    found = {row.payee: row.given_minutes for row in step if row.given_minutes is not None}
    return list(found.items()) or None


def refused_groups(rows: Sequence[Row], *, spoiled: Collection[str], unread: Collection[int]) -> dict[str, str]:
    """Which groups do not count, because a row of them is missing or does not fit the others.

    Args:
        rows: all good rows of all groups, in order of line.
        spoiled: ids of the groups of which a row was refused.
        unread: lines whose group cannot be known; next to a group they may be part of it.

    Returns:
        Id → reason, a sentence.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.group is not None:
            groups.setdefault(row.group, []).append(row)
    return {
        group: reason
        for group, members in groups.items()
        if (reason := _fault(members, is_spoiled=group in spoiled, unread=unread))
    }


def _fault(rows: list[Row], *, is_spoiled: bool, unread: Collection[int]) -> str:
    if is_spoiled:
        return "Another row of this group was refused, and a group counts as a whole."
    if rows[0].line - 1 in unread or rows[-1].line + 1 in unread:
        return "The line beside this group cannot be read and may be part of it; a group counts as a whole."
    if any(later.line != earlier.line + 1 for earlier, later in pairwise(rows)):
        return "The rows of a group stand together, without another line between."
    if len({(row.time, row.payer_town, row.activity, row.served_on, row.confirmed_by) for row in rows}) > 1:
        return "The rows of a group have the same time, town, activity, served_on and confirmed_by."
    if len({(row.payee, row.given_minutes) for row in rows}) > len({row.payee for row in rows}):
        return "The rows of a group say the same given for the same payee."
    if {row.payer for row in rows} & {row.payee for row in rows}:
        return "In a group a person pays or is paid, not both."
    postings = postings_of(tuple(rows))
    if len(postings) > POSTINGS_MAX or any(abs(minutes) > MINUTES_MAX for _, minutes in postings):
        return f"A group has at most {POSTINGS_MAX} people, and {MINUTES_MAX:,} minutes for each."
    return ""
