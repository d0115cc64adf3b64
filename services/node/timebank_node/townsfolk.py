"""Townsfolk: the towns of a demo and the people who live there, read from CSV bytes. Pure.

These files are written by whoever sets the demo up, so one bad line refuses the file, by line, column and reason.
Columns: `deploy/demo/README.md`. Source: issue 3, "What a user gets", 1; design page 3, "Accounts".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from timebank_contracts.amounts import ACCEPTED_FORMS, parse_amount
from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.names import HANDLE_PATTERN, NODE_PATTERN
from timebank_node.rows import TOWN_ACCOUNTS
from timebank_node.tables import BadRow, CellRefused, Cells, open_table

TOWN_COLUMNS: Final = ("town", "title", "default_floor", "default_ceiling", "pair_limit")
MEMBER_COLUMNS: Final = ("town", "handle", "kind", "name", "floor", "ceiling")
NAME_CHARACTERS_MAX: Final = 100

_TOWN = re.compile(NODE_PATTERN)
_HANDLE = re.compile(HANDLE_PATTERN)
_ZERO = frozenset({"0", "0h", "0m", "0:00"})

ReadLine = TypeVar("ReadLine")


class TownLine(NamedTuple):
    """A town and its limits, in minutes."""

    town: str
    title: str
    default_floor: int
    """0 or less."""
    default_ceiling: int
    pair_limit: int
    """What this town and each other may owe one another; of two towns that say different limits, the smaller."""


class MemberLine(NamedTuple):
    """A member or organisation of a town; limits in minutes."""

    town: str
    handle: str
    kind: str
    """member or organisation."""
    name: str
    floor: int | None
    """None: the town's default."""
    ceiling: int | None


def read_towns(data: bytes) -> list[TownLine]:
    """The towns of a file, in its order.

    Raises:
        Malformed: the file, or a line of it, cannot be used; the text names line, column and reason.
    """
    towns = _read_lines(data, TOWN_COLUMNS, _read_town)
    _refuse_twice([town.town for town in towns])
    return towns


def read_members(data: bytes) -> list[MemberLine]:
    """The members and organisations of a file, in its order.

    Raises:
        Malformed: the file, or a line of it, cannot be used; the text names line, column and reason.
    """
    members = _read_lines(data, MEMBER_COLUMNS, _read_member)
    _refuse_twice([f"{member.town}/{member.handle}" for member in members])
    return members


def parse_limit(text: str) -> int:
    """Read a floor, ceiling or limit: `0`, or an amount of time with or without a minus sign.

    Returns:
        Minutes, from −60,000 to 60,000.

    Raises:
        Refusal, Malformed: as `parse_amount`.
    """
    typed = text.strip()
    if typed.lower() in _ZERO:
        return 0
    if typed.startswith(("-", "\N{MINUS SIGN}")):
        return -parse_amount(typed[1:])
    return parse_amount(typed)


def _read_lines(data: bytes, columns: Sequence[str], read: Callable[[Cells], ReadLine]) -> list[ReadLine]:
    found = []
    for record in open_table(data, columns=columns, required=columns).records():
        if isinstance(record, BadRow):
            raise Malformed(f"Line {record.line}: {record.reason}")
        line, cells = record
        try:
            found.append(read(cells))
        except CellRefused as error:
            raise Malformed(f"Line {line}, column {error.column}: {error.reason}") from error
    return found


def _read_town(cells: Cells) -> TownLine:
    return TownLine(
        town=_town(cells),
        title=_name(cells, "title"),
        default_floor=_limit(cells, "default_floor", lowest=None, highest=0),
        default_ceiling=_limit(cells, "default_ceiling", lowest=0, highest=None),
        pair_limit=_limit(cells, "pair_limit", lowest=0, highest=None),
    )


def _read_member(cells: Cells) -> MemberLine:
    if not _HANDLE.fullmatch(cells["handle"]) or cells["handle"] in TOWN_ACCOUNTS:
        raise CellRefused("handle", "A handle is 1 to 30 of a-z, 0-9 and -, and none of a town's own accounts.")
    if cells["kind"] not in ("member", "organisation"):
        raise CellRefused("kind", "Write member or organisation.")
    return MemberLine(
        town=_town(cells),
        handle=cells["handle"],
        kind=cells["kind"],
        name=_name(cells, "name"),
        floor=_limit(cells, "floor", lowest=None, highest=0) if cells["floor"] else None,
        ceiling=_limit(cells, "ceiling", lowest=0, highest=None) if cells["ceiling"] else None,
    )


def _town(cells: Cells) -> str:
    if not _TOWN.fullmatch(cells["town"]):
        raise CellRefused("town", "A town is 2 to 31 of a-z, 0-9 and -, beginning with a letter.")
    return cells["town"]


def _name(cells: Cells, column: str) -> str:
    if not 1 <= len(cells[column]) <= NAME_CHARACTERS_MAX:
        raise CellRefused(column, f"Write 1 to {NAME_CHARACTERS_MAX} characters.")
    return cells[column]


def _limit(cells: Cells, column: str, *, lowest: int | None, highest: int | None) -> int:
    try:
        minutes = parse_limit(cells[column])
    except (Malformed, Refusal) as error:
        raise CellRefused(column, f"Write 0, or time as {ACCEPTED_FORMS}; a floor with a minus sign.") from error
    if (lowest is not None and minutes < lowest) or (highest is not None and minutes > highest):
        raise CellRefused(column, "A floor is 0 or less, a ceiling or limit 0 or more.")
    return minutes


def _refuse_twice(names: Sequence[str]) -> None:
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise Malformed(f"Named more than once: {', '.join(twice)}.")
