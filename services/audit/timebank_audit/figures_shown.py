"""A document of figures as rows for a table, and as lines for a reader. Both say what the document says, and no more.

Source: design page 10, "Reports": page, CSV and log agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from timebank_audit.figures_words import FIGURE_WORDS, word
from timebank_audit.page_words import Language
from timebank_contracts.csv_text import Cell, plain_hours

_NAMES = ("towns", "town", "programme", "organisation", "peer", "by", "purpose", "currency", "kind")
"""What says which row of a table it is."""
HEADING: tuple[Cell, ...] = ("figure", "row", "value", "of", "hours")


class Row(NamedTuple):
    """One number or word of a document; `of` is the denominator of a share. A withheld value is None."""

    figure: str
    row: str
    value: Cell
    of: int | None = None

    @property
    def hours(self) -> str | None:
        """Minutes to be read; None for what is no minutes."""
        is_minutes = self.figure.endswith((".minutes", "_minutes"))
        return plain_hours(self.value) if is_minutes and isinstance(self.value, int) else None


def rows_of(document: dict[str, Any]) -> list[Row]:
    """Every value of a document, in its order."""
    return list(_rows(document, "", ""))


def _rows(of: dict[str, Any], figure: str, row: str) -> Iterator[Row]:
    for key, value in of.items():
        path = f"{figure}.{key}" if figure else key
        if isinstance(value, dict):
            yield from _rows(value, path, row)
        elif isinstance(value, list) and _is_share(value):
            yield Row(path, row, value[0], value[1])
        elif isinstance(value, list):
            for one in value:
                yield from _one_of(one, path, row)
        else:
            yield Row(path, row, int(value) if isinstance(value, bool) else value)


def _is_share(value: list[Any]) -> bool:
    return len(value) == 2 and all(isinstance(number, int) for number in value)


def _one_of(one: Any, path: str, row: str) -> Iterator[Row]:
    """A row of a table within the document, named by what it is about."""
    if not isinstance(one, dict):
        yield Row(path, row, str(one))
        return
    keys = [key for key in _NAMES if key in one]
    named = [row, *(" ".join(one[key]) if isinstance(one[key], list) else str(one[key]) for key in keys)]
    yield from _rows({key: value for key, value in one.items() if key not in keys}, path, " ".join(filter(None, named)))


def csv_rows(document: dict[str, Any]) -> list[tuple[Cell, ...]]:
    """The document as a table, with its heading."""
    return [HEADING, *((row.figure, row.row, row.value, row.of, row.hours) for row in rows_of(document))]


def lines_of(document: dict[str, Any], language: Language = "en") -> Iterator[str]:
    """The document for a reader at a terminal."""
    whose = document.get("origin") or document["network"]
    words, period = FIGURE_WORDS[language], document["period"]
    first, last, zone = period["first_day"], period["last_day"], period["zone"]
    heading = words["figures_of"].format(whose=whose, first=first, last=last, zone=zone)
    yield f"{heading}, {words['public']}" if document["public"] else heading
    table = ""
    for row in rows_of(document):
        head, _, figure = row.figure.partition(".")
        if not figure or head == "period":
            continue
        if head != table:
            table = head
            yield f"{word(head, language)}:"
        yield f"  {_told(row, figure, language)}"
    yield words["normal"]


def _told(row: Row, figure: str, language: Language) -> str:
    *path, last = figure.split(".")
    name = ", ".join(word(part, language) for part in [*path, row.row, last] if part)
    if row.value is None:
        return f"{name}: {word('withheld', language)}"
    of = "" if row.of is None else f" {word('of', language)} {row.of}"
    hours = f" ({row.hours} h)" if row.hours else ""
    value = word(row.value, language) if last == "label" and isinstance(row.value, str) else row.value
    return f"{name}: {value}{of}{hours}"
