"""A document of figures as rows for a table, and as lines for a reader. Both say what the document says, and no more.

Source: design page 10, "Reports": page, CSV and log agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from timebank_contracts.csv_text import Cell, plain_hours

HEADING: tuple[Cell, ...] = ("figure", "row", "value", "of", "hours")
NORMAL = (
    "Low direct reciprocity is normal: help goes round. The Civil Domestic Product is our own indicator; no published "
    "definition exists. Hours and money stand beside each other and are never added."
)


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
    """A row of a table within the document, named by what stands first in it."""
    if not isinstance(one, dict):
        yield Row(path, row, str(one))
        return
    names = [value for value in one.values() if isinstance(value, str) or _is_names(value)]
    name = " ".join(names[0] if isinstance(names[0], list) else [names[0]]) if names else ""
    rest = {key: value for key, value in one.items() if value is not (names[0] if names else one)}
    if path.endswith("money.rows"):
        name, rest = f"{one['currency']} {one['kind']}", {"minor_units": one["minor_units"]}
    yield from _rows(rest, path, f"{row} {name}".strip())


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


def csv_rows(document: dict[str, Any]) -> list[tuple[Cell, ...]]:
    """The document as a table, with its heading."""
    return [HEADING, *((row.figure, row.row, row.value, row.of, row.hours) for row in rows_of(document))]


def lines_of(document: dict[str, Any]) -> Iterator[str]:
    """The document for a reader at a terminal."""
    whose = document.get("origin") or document["network"]
    period = document["period"]
    public = ", public: fewer than five people are withheld" if document["public"] else ""
    yield f"Figures of {whose}, {period['first_day']} to {period['last_day']} ({period['zone']}){public}"
    table = ""
    for row in rows_of(document):
        head, _, figure = row.figure.partition(".")
        if not figure or head == "period":
            continue
        if head != table:
            table = head
            yield f"{head.replace('_', ' ')}:"
        yield f"  {_told(row, figure)}"
    yield NORMAL


def _told(row: Row, figure: str) -> str:
    *path, last = figure.split(".")
    name = ", ".join(part.replace("_", " ") for part in [*path, row.row, last] if part)
    if row.value is None:
        return f"{name}: withheld or none"
    of = "" if row.of is None else f" of {row.of}"
    hours = f" ({row.hours} h)" if row.hours else ""
    return f"{name}: {row.value}{of}{hours}"
