"""Figures: kept in the order of their making, printed as a table, written as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Figure(NamedTuple):
    """One measured value; `name` is `<subject>[.<store>].<what>`, and ends in its unit where it has one."""

    name: str
    value: float
    unit: str
    note: str


class Figures:
    """Collects figures; `tell` hears of each as soon as it is known."""

    def __init__(self, tell: Callable[[Figure], None] = lambda figure: None) -> None:
        self._tell = tell
        self.found: list[Figure] = []

    def add(self, name: str, value: float, unit: str, note: str = "") -> None:
        """Keep a figure, with three digits that mean something."""
        figure = Figure(name, float(f"{value:.3g}") if abs(value) < 1_000 else round(value), unit, note)
        self.found.append(figure)
        self._tell(figure)

    def value(self, name: str) -> float | None:
        """A figure of this run, or None."""
        return next((figure.value for figure in self.found if figure.name == name), None)

    def add_times(self, name: str, of: str, than: str) -> None:
        """Keep how many times `of` is `than`, where this run measured both."""
        one, other = self.value(of), self.value(than)
        if one is not None and other:
            self.add(name, one / other, "times", f"{of} / {than}")


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` (0 to 100) of the values lie; there is at least one value."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def show(figure: Figure) -> str:
    """The value as people read it."""
    return f"{figure.value:,.0f}" if abs(figure.value) >= 1_000 else f"{figure.value:g}"


def print_table(console: Console, figures: Sequence[Figure]) -> None:
    """Print all figures; their notes are in the JSON, and were told one by one."""
    table = Table(title="Timebank benches")
    table.add_column("name", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for figure in figures:
        table.add_row(figure.name, show(figure), figure.unit)
    console.print(table)


def write_json(path: Path, figures: Sequence[Figure]) -> None:
    """Write all figures: a list of {name, value, unit, note}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([figure._asdict() for figure in figures], indent=2) + "\n", "utf-8")
