"""Statements and the trial balance as CSV: for programs, and for spreadsheets by that name.

A statement begins with a row `opening` and ends with a row `closing`, so a file that was cut off is seen to be. Every
quantity stands twice: as whole minutes to count with, and as hours to read.
Source: design page 3, "What people do with it"; `timebank_contracts/csv_text.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from timebank_contracts.csv_text import Cell, CsvForm, plain_hours, show_rows, start_of_file
from timebank_contracts.figures import TrialBalance
from timebank_ledger.statement import CHUNK_LINES, Line, Sheet

_COLUMNS: Final = (
    "position",
    "type",
    "transfer",
    "reverses",
    "reason",
    "purpose",
    "activity",
    "served_on",
    "programme",
    "claim",
    "minutes",
    "hours",
    "balance_minutes",
    "balance_hours",
)


def statement_csv(sheet: Sheet, form: CsvForm) -> Iterator[str]:
    """A statement, however long, in pieces of at most `CHUNK_LINES` rows."""
    first, last = sheet.period.first_day, sheet.period.last_day
    zone = sheet.zone.key
    heading: list[Cell] = [f"date ({zone})", "time (UTC)", *_COLUMNS]
    opening = _edge_row("opening", first, sheet.period.start, sheet.opening)
    yield start_of_file(form) + show_rows([heading, opening], form)
    rows: list[list[Cell]] = []
    for line in sheet.lines:
        rows.append(_row(line))
        if len(rows) == CHUNK_LINES:
            yield show_rows(rows, form)
            rows = []
    rows.append(_edge_row("closing", last, sheet.period.stop, sheet.closing))
    yield show_rows(rows, form)


def _edge_row(what: str, day: str | None, position: int, balance: int) -> list[Cell]:
    empty: list[Cell] = [None] * 10
    return [day, None, position, what, *empty, balance, plain_hours(balance)]


def _row(line: Line) -> list[Cell]:
    said = line.said
    return [
        line.date,
        line.time,
        line.position,
        line.type,
        line.transfer,
        said.reverses,
        said.reason,
        said.purpose,
        said.activity,
        said.served_on,
        said.programme,
        said.claim,
        line.minutes,
        plain_hours(line.minutes),
        line.balance,
        plain_hours(line.balance),
    ]


def trial_balance_csv(found: TrialBalance, form: CsvForm) -> str:
    """The trial balance by kind, and its total."""
    rows: list[list[Cell]] = [
        ["kind", "accounts", "credit_minutes", "credit_hours", "debit_minutes", "debit_hours"],
        *([row.kind, row.accounts, *_both(row.credit), *_both(row.debit)] for row in found.rows),
        ["total", sum(row.accounts for row in found.rows), *_both(found.credit), *_both(found.debit)],
    ]
    return start_of_file(form) + show_rows(rows, form)


def _both(minutes: int) -> list[Cell]:
    return [minutes, plain_hours(minutes)]
