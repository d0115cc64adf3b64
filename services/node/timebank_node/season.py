"""A season: rows of "who received help from whom, and how long it took", read from CSV bytes. Pure.

    bytes ── tables ──▶ cells ── _read_row ──▶ Row, or BadRow ── groups ──▶ Season ── steps ──▶ what the demo does

The payer received help and pays minutes; the payee gave it. What can be seen in the file alone is judged here; limits,
closed accounts and the like are the ledger's to refuse. Columns: `deploy/demo/README.md`.
The law: lines of the file = rows + refused + heading.
Source: issue 3, "What a user gets", 1; design page 3, "What a transfer says".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from sys import intern
from typing import Final, get_args

from timebank_contracts.amounts import ACCEPTED_FORMS, parse_amount
from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.fields import Activity, ConfirmedBy
from timebank_contracts.moments import parse_date
from timebank_contracts.names import HANDLE_PATTERN, NODE_PATTERN
from timebank_directory.people import skeleton
from timebank_node.rows import GROUP_PATTERN, TOWN_ACCOUNTS, Row, Step, refused_groups
from timebank_node.tables import EMPTY_LINE, BadRow, CellRefused, Cells, open_table

COLUMNS: Final = (
    "time",
    "payer_town",
    "payer",
    "payee_town",
    "payee",
    "amount",
    "purpose",
    "activity",
    "served_on",
    "given",
    "confirmed_by",
    "group",
)
REQUIRED: Final = COLUMNS[:6]
ACTIVITIES: Final[frozenset[str]] = frozenset(get_args(Activity))
CONFIRMATIONS: Final[frozenset[str]] = frozenset(get_args(ConfirmedBy))

PURPOSES: Final[dict[tuple[str, str, str], str]] = {
    ("service", "person", "person"): "service",
    ("gift", "person", "person"): "gift",
    ("gift", "person", "pot"): "pot",
    ("support", "pot", "person"): "support",
    ("grant", "grant", "person"): "grant",
    ("grant", "grant", "pot"): "grant",
    ("correction", "person", "person"): "correction",
    ("correction", "person", "pot"): "correction",
    ("correction", "pot", "person"): "correction",
    ("group", "person", "person"): "service",
    ("group", "person", "pot"): "service",
    ("group", "pot", "person"): "service",
}
"""(purpose in the file, payer, payee) → purpose in the journal."""

USUAL: Final[dict[tuple[str, str], str]] = {
    ("person", "person"): "service",
    ("person", "pot"): "gift",
    ("pot", "person"): "support",
    ("grant", "person"): "grant",
    ("grant", "pot"): "grant",
}
"""(payer, payee) → purpose where the file names none."""

_TOWN = re.compile(NODE_PATTERN)
_HANDLE = re.compile(HANDLE_PATTERN)
_GROUP = re.compile(GROUP_PATTERN)
_TIME = re.compile(
    r"(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.(?:[0-9]{3}|[0-9]{6}))?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)


@dataclass(frozen=True, slots=True)
class Season:
    """What a file says, in order of time (rows of one time in the file's order)."""

    rows: list[Row]
    refused: list[BadRow]
    """In order of line."""
    lines: int
    """Lines of the file: `len(rows) + len(refused) + has_heading`."""
    has_heading: bool
    ignored: tuple[str, ...]
    """Columns of the heading that are not known here, to be shown to the user."""

    def steps(self) -> Iterator[Step]:
        """The rows as they are entered: each alone, those of a group together."""
        for _, rows in groupby(self.rows, key=lambda row: row.group or row.line):
            yield tuple(rows)

    def people(self) -> list[tuple[str, str]]:
        """(town, handle) of every person, in order of first appearance."""
        found: dict[tuple[str, str], None] = {}
        for row in self.rows:
            for town, handle in ((row.payer_town, row.payer), (row.payee_town, row.payee)):
                if handle not in TOWN_ACCOUNTS:
                    found[town, handle] = None
        return list(found)


def read_rows(data: bytes) -> Season:
    """Read a file of rows.

    Args:
        data: CSV; at most 64 MiB and 1,000,000 rows.

    Returns:
        The good rows in order of time, and each bad one with line, column and reason.

    Raises:
        Malformed: the file as a whole cannot be used (too large, not UTF-8, columns not named).
    """
    table = open_table(data, columns=COLUMNS, required=REQUIRED, begins_row=lambda cell: bool(_TIME.fullmatch(cell)))
    rows: list[Row] = []
    refused: list[BadRow] = []
    spoiled: set[str] = set()
    unread: set[int] = set()
    looks: dict[tuple[str, str], str] = {}
    for record in table.records():
        if isinstance(record, BadRow):
            refused.append(record)
            if record.reason != EMPTY_LINE:
                unread.add(record.line)
            continue
        line, cells = record
        try:
            row = _read_row(line, cells)
            _refuse_look_alike(looks, row.payer_town, row.payer, "payer")
            _refuse_look_alike(looks, row.payee_town, row.payee, "payee")
            rows.append(row)
        except CellRefused as error:
            refused.append(BadRow(line, error.column, error.reason))
            spoiled.add(cells["group"].lower())
    reasons = refused_groups([row for row in rows if row.group is not None], spoiled=spoiled, unread=unread)
    if reasons:
        refused += [BadRow(row.line, "group", reasons[row.group]) for row in rows if row.group in reasons]
        rows = [row for row in rows if row.group not in reasons]
    rows.sort(key=lambda row: row.time)
    refused.sort(key=lambda bad: bad.line)
    return Season(rows, refused, len(table.lines), table.has_heading, table.ignored)


def _read_row(line: int, cells: Cells) -> Row:
    time = _time(cells["time"])
    payer_town, payee_town = _town(cells, "payer_town"), _town(cells, "payee_town")
    payer, payee = _handle(cells, "payer"), _handle(cells, "payee")
    minutes = _minutes(cells["amount"], "amount")
    group = cells["group"].lower() or None
    if group is not None and not _GROUP.fullmatch(group):
        raise CellRefused("group", "A group's id is 1 to 30 of a-z, 0-9 and -.")
    purpose = _purpose(cells["purpose"].lower(), payer, payee, group)
    if payer_town != payee_town and (purpose not in ("service", "gift") or group is not None):
        raise CellRefused("purpose", "Between towns there are only service and gift, from a person to a person.")
    is_service = purpose == "service"
    if not is_service and (cells["activity"] or cells["served_on"] or cells["given"]):
        raise CellRefused("activity", "Only a service has activity, served_on and given; leave them empty.")
    activity = _one_of(cells, "activity", ACTIVITIES, "other") if is_service else None
    served_on = _day(cells["served_on"]) or time.date().isoformat() if is_service else None
    given_minutes = _minutes(cells["given"], "given") if cells["given"] else None
    if given_minutes is not None and payee in TOWN_ACCOUNTS:
        raise CellRefused("given", "The pot gives no time; leave it empty.")
    return Row(
        line=line,
        time=time,
        payer_town=payer_town,
        payer=payer,
        payee_town=payee_town,
        payee=payee,
        minutes=minutes,
        purpose=purpose,
        activity=activity,
        served_on=served_on,
        given_minutes=given_minutes,
        confirmed_by=_one_of(cells, "confirmed_by", CONFIRMATIONS, "none"),
        group=group,
    )


def _time(text: str) -> datetime:
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise CellRefused("time", "A time is written as 2026-01-31T10:00Z or 2026-01-31 10:00 (UTC).") from error


def _town(cells: Cells, column: str) -> str:
    town = cells[column].lower()
    if not _TOWN.fullmatch(town):
        raise CellRefused(column, "A town is 2 to 31 of a-z, 0-9 and -, beginning with a letter.")
    return intern(town)


def _handle(cells: Cells, column: str) -> str:
    handle = cells[column].lower()
    if not _HANDLE.fullmatch(handle):
        raise CellRefused(column, "A handle is 1 to 30 of a-z, 0-9 and -, beginning with a letter.")
    return intern(handle)


def _minutes(text: str, column: str) -> int:
    try:
        return parse_amount(text)
    except Refusal as error:
        raise CellRefused(column, error.detail) from error
    except Malformed as error:
        raise CellRefused(column, f"Write whole minutes of time as {ACCEPTED_FORMS}.") from error


def _refuse_look_alike(looks: dict[tuple[str, str], str], town: str, handle: str, column: str) -> None:
    """A town's directory takes no two handles that cannot be told apart on a screen; the first in the file stands."""
    if handle not in TOWN_ACCOUNTS and looks.setdefault((town, skeleton(handle)), handle) != handle:
        raise CellRefused(column, "Another person of this town has a handle that looks the same; write it differently.")


def _purpose(typed: str, payer: str, payee: str, group: str | None) -> str:
    sides = _side(payer, "payer"), _side(payee, "payee")
    purpose = typed or ("group" if group is not None else USUAL.get(sides, "service"))
    found = PURPOSES.get((purpose, *sides))
    if found is None:
        raise CellRefused(
            "purpose", "This purpose does not fit payer and payee; see the table of purposes in deploy/demo/README.md."
        )
    if (purpose == "group") != (group is not None):
        raise CellRefused("group", "The purpose group and a group's id stand together, or neither.")
    return found


def _side(handle: str, column: str) -> str:
    if handle in ("opening", "lost"):
        raise CellRefused(column, "This name belongs to the town's books; a season uses people, pot and grant.")
    return handle if handle in TOWN_ACCOUNTS else "person"


def _one_of(cells: Cells, column: str, allowed: frozenset[str], usual: str) -> str:
    word = cells[column].lower() or usual
    if word not in allowed:
        raise CellRefused(column, f"Write one of: {', '.join(sorted(allowed))}.")
    return intern(word)


def _day(text: str) -> str | None:
    if not text:
        return None
    try:
        parse_date(text)
    except Malformed as error:
        raise CellRefused("served_on", "A date is written as 2026-01-31.") from error
    return text
