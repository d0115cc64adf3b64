"""Account statements from the journal alone: opening + lines = closing, between two positions.

Source: design page 3, "What people do with it".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec import UNSET

from timebank_audit.log import EntryFile
from timebank_contracts import entries as e
from timebank_contracts.entry_reader import EntryReader
from timebank_contracts.errors import Malformed

LINES_MAX: Final = 1_000_000


class Asked(NamedTuple):
    """A statement that is wanted: an account, and journal positions from `start` to before `stop`."""

    account: str
    start: int
    stop: int


class Line(NamedTuple):
    """What one entry did to an account, in minutes."""

    position: int
    time: str
    type: str
    minutes: int
    balance: int
    """After this entry."""


@dataclass(slots=True)
class Statement:
    """Opening + lines = closing, in minutes."""

    opening: int = 0
    lines: list[Line] = field(default_factory=list)
    closing: int = 0


def entries_of(entries: EntryFile, stop: int) -> Iterator[e.Entry]:
    """The entries before position `stop`, decoded."""
    reader = EntryReader()
    for raws in entries.bundles(stop):
        yield from reader.read(raws)


def statements_of(entries: EntryFile, asked: list[Asked]) -> list[Statement]:
    """The statements that are asked for, in one pass; without lines where there is no such account.

    Args:
        entries: of the town's log.
        asked: accounts, clearing and transit accounts too, and positions within the log.

    Raises:
        Malformed: more than `LINES_MAX` lines together.
    """
    found = [Statement() for _ in asked]
    of: dict[str, list[tuple[Asked, Statement]]] = {}
    for one, statement in zip(asked, found, strict=True):
        of.setdefault(one.account, []).append((one, statement))
    room = LINES_MAX
    for entry in entries_of(entries, max((one.stop for one in asked), default=0)):
        if entry.postings is UNSET:
            continue
        moved: dict[str, int] = {}
        for account, minutes in entry.postings:
            if account in of:
                moved[account] = moved.get(account, 0) + minutes
        for account, minutes in moved.items():
            room -= _take(entry, minutes, of[account])
        if room < 0:
            raise Malformed(f"These statements have more than {LINES_MAX} lines; ask for shorter periods.")
    return found


def _take(entry: e.Entry, minutes: int, wanted: list[tuple[Asked, Statement]]) -> int:
    """Take an entry into the statements of its account; returns how many lines that made."""
    made = 0
    for one, statement in wanted:
        if entry.n >= one.stop:
            continue
        statement.closing += minutes
        if entry.n < one.start:
            statement.opening = statement.closing
        else:
            statement.lines.append(Line(entry.n, entry.time, e.entry_type(entry), minutes, statement.closing))
            made += 1
    return made
