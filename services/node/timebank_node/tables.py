"""Tables: the bytes of a CSV file to cells by column name, every line accounted for. Pure, bounded.

One line is one record: a line that cannot be read is named and the next one starts afresh, so a stray quotation mark
never swallows its neighbours. Read by `season.py` and `townsfolk.py`.
Source: design page 12; issue 3, "What a user gets", 1.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from timebank_contracts.errors import Malformed

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
ROWS_MAX: Final = 1_000_000
LINE_CHARACTERS_MAX: Final = 2_000
COLUMNS_MAX: Final = 100
EMPTY_LINE: Final = "The line is empty."

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that was left out, and changed nothing."""

    line: int
    """From 1, as an editor counts."""
    column: str
    """The column at fault; empty: the line as a whole."""
    reason: str
    """What is wrong and what to write; the same sentence for the same fault, without the cell's content."""


class CellRefused(Exception):
    """A cell that cannot be read; `column` and `reason` as in `BadRow`."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"{column}: {reason}")
        self.column = column
        self.reason = reason


Cells = dict[str, str]
"""Known column → text without outer blanks; a column that the file does not have is empty."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file whose columns are known and whose lines are still bytes."""

    columns: tuple[str, ...]
    """The name of each cell, from the left; names that are not known here are among `ignored` too."""
    has_heading: bool
    ignored: tuple[str, ...]
    separator: str
    known: tuple[str, ...]
    lines: list[bytes]
    """All lines of the file, the heading included."""

    def records(self) -> Iterator[tuple[int, Cells] | BadRow]:
        """Each line below the heading, in order: its number and cells, or why it cannot be read.

        Raises:
            Malformed: a line is not UTF-8; nothing of the file is to be used.
        """
        for number, raw in enumerate(self.lines, 1):
            if number == 1 and self.has_heading:
                continue
            try:
                cells = _cells(_text(raw, number), self.separator)
                yield number, self._named(cells)
            except CellRefused as error:
                yield BadRow(number, error.column, error.reason)

    def _named(self, cells: Sequence[str]) -> Cells:
        fits = len(cells) == len(self.columns) if self.has_heading else len(cells) <= len(self.columns)
        if not any(cells):
            raise CellRefused("", EMPTY_LINE)
        if not fits:
            raise CellRefused("", "The line has another number of cells than the heading; check separators and quotes.")
        named = dict.fromkeys(self.known, "")
        named.update((name, cell) for name, cell in zip(self.columns, cells, strict=False) if name in named)
        return named


def open_table(
    data: bytes,
    *,
    columns: Sequence[str],
    required: Sequence[str],
    begins_row: Callable[[str], bool] | None = None,
) -> Table:
    """Find the columns of a file.

    The first line is the heading when it names every required column, in any order. Otherwise it is a row in the
    standard order, if its first cell is what a row begins with; a first line that is neither is an error, so that no
    line is taken for a heading unseen and no column for another.

    Args:
        data: the file, UTF-8 with or without a byte order mark, comma or semicolon between cells.
        columns: all known names, in the standard order.
        required: those that a heading must have.
        begins_row: tells whether the first cell of a file without a heading begins a row; None: a heading is needed.

    Raises:
        Malformed: the file as a whole cannot be used; the text says what to change.
    """
    if len(data) > FILE_BYTES_MAX:
        raise Malformed(f"The file has more than {FILE_BYTES_MAX:,} bytes; split it.")
    if data.startswith(_UTF_16_MARKS):
        raise Malformed("The file is UTF-16; save it as CSV in UTF-8.")
    lines = data.removeprefix(_BYTE_ORDER_MARK).splitlines()
    if not lines:
        raise Malformed("The file is empty; its first line names the columns: " + ",".join(required) + ".")
    if len(lines) > ROWS_MAX + 1:
        raise Malformed(f"The file has more than {ROWS_MAX:,} rows; split it.")
    first = _text(lines[0], 1)
    try:
        separator, cells = _split_first(first)
    except CellRefused as error:
        raise Malformed(f"Line 1: {error.reason}") from error
    names = tuple(cell.lower() for cell in cells)
    if set(required) <= set(names):
        return Table(names, True, _ignored(names, columns), separator, tuple(columns), lines)
    if begins_row is not None and begins_row(cells[0]):
        return Table(tuple(columns), False, (), separator, tuple(columns), lines)
    missing = ", ".join(name for name in required if name not in names)
    raise Malformed(f"The first line must name the columns; missing: {missing}.")


def _ignored(names: tuple[str, ...], columns: Sequence[str]) -> tuple[str, ...]:
    if len(names) > COLUMNS_MAX:
        raise Malformed(f"The heading names more than {COLUMNS_MAX} columns.")
    twice = sorted({name for name in names if name in columns and names.count(name) > 1})
    if twice:
        raise Malformed(f"The heading names a column twice: {', '.join(twice)}.")
    return tuple(name for name in names if name not in columns)


def _split_first(line: str) -> tuple[str, list[str]]:
    """The separator that gives more cells (a comma where both do), and the cells."""
    best: tuple[str, list[str]] | None = None
    fault: CellRefused | None = None
    for separator in (",", ";"):
        try:
            cells = _cells(line, separator)
        except CellRefused as error:
            fault = error
            continue
        if best is None or len(cells) > len(best[1]):
            best = separator, cells
    if best is None:
        assert fault is not None
        raise fault
    return best


def _text(raw: bytes, number: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"Line {number} is not UTF-8; save the file as CSV in UTF-8.") from error


def _cells(line: str, separator: str) -> list[str]:
    if len(line) > LINE_CHARACTERS_MAX:
        raise CellRefused("", f"The line has more than {LINE_CHARACTERS_MAX:,} characters.")
    if not line.replace("\t", " ").isprintable():
        raise CellRefused("", "The line has a control or invisible character; type it again.")
    if '"' not in line:
        return [cell.strip() for cell in line.split(separator)]
    try:
        found = next(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error as error:
        raise CellRefused("", "A quotation mark is not closed on its line, or has text behind it.") from error
    return [cell.strip() for cell in found]
