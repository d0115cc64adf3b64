"""CSV as this project writes it: one form for programs, one for spreadsheets.

    plain          UTF-8, comma, no mark in front: text as it is               (text/csv, RFC 4180)
    spreadsheet    UTF-8 behind a byte order mark, semicolon: no text can be a formula    (offered by that name)

A number is a number in both: minutes stay whole and keep their sign. Only text is made safe, and the way back is known.
Source: design page 3, "One unit".
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal

CsvForm = Literal["plain", "spreadsheet"]
Cell = str | int | None
MEDIA_TYPE: Final = "text/csv; charset=utf-8"
BYTE_ORDER_MARK: Final = "\ufeff"
_SEPARATORS: Final[dict[CsvForm, str]] = {"plain": ",", "spreadsheet": ";"}
_FORMULA = re.compile(r"'*[=+\-@\t\r\n|]")
"""What a spreadsheet could take for a formula; with the marks of our own before it, so that none is lost on the way."""


def start_of_file(form: CsvForm) -> str:
    """What stands before the first row."""
    return BYTE_ORDER_MARK if form == "spreadsheet" else ""


def show_rows(rows: Iterable[Sequence[Cell]], form: CsvForm) -> str:
    """Rows as text, each ended by CR LF; None is an empty cell."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=_SEPARATORS[form], lineterminator="\r\n")
    make = safe_text if form == "spreadsheet" else str
    for row in rows:
        writer.writerow([make(cell) if isinstance(cell, str) else cell for cell in row])
    return written.getvalue()


def safe_text(text: str) -> str:
    """A text that no spreadsheet takes for a formula: what could be one begins with an apostrophe."""
    return f"'{text}" if _FORMULA.match(text) else text


def read_safe_text(text: str) -> str:
    """The text that `safe_text` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text


def plain_hours(minutes: int) -> str:
    """Minutes as hours in a table: 90 → `1:30`, −90 → `−1:30` with a true minus sign, so that it is no formula."""
    sign = "\N{MINUS SIGN}" if minutes < 0 else ""
    return f"{sign}{abs(minutes) // 60}:{abs(minutes) % 60:02d}"
