"""Figures from audited journals: of a town, of several, and of every document that a town gave out, in one pass each.

Source: design page 10; definitions for readers: docs/figures.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from timebank_audit.past import Past
from timebank_audit.statements import entries_of
from timebank_audit.towns import Town
from timebank_contracts import entries as e
from timebank_contracts.book import Book, apply
from timebank_contracts.days import local_moment, read_day, read_zone
from timebank_contracts.errors import Malformed
from timebank_contracts.figures_document import NOTHING, Asked, Cut, town_document
from timebank_contracts.figures_network import network_document
from timebank_contracts.figures_period import Period, make_period
from timebank_contracts.figures_town import TownFigures


class Wanted(NamedTuple):
    """Figures of the first `entries` entries, about a period."""

    entries: int
    period: Period


def figures_of(town: Town, wanted: Sequence[Wanted]) -> list[TownFigures]:
    """The figures that are wanted, in one replay; each within the log."""
    found, book = [TownFigures(one.period) for one in wanted], Book()

    def read(position: int) -> e.Entry:
        return e.decode_entry(town.entries[position])

    for entry in entries_of(town.entries, max((one.entries for one in wanted), default=0)):
        for one, figures in zip(wanted, found, strict=True):
            if entry.n < one.entries:
                figures.take(book, entry, read)
        apply(book, entry, read=read)
    return found


def cut_of(town: Town, entries: int) -> Cut:
    """The cut after the first `entries` entries of a log whose tiles are sound."""
    return Cut(entries, Past(town.files, town.checkpoint.size).root(entries).hex())


def period_of(towns: Sequence[Town], first_day: str | None, last_day: str | None, zone: str) -> Period:
    """The period asked for; else the twelve months that end with the last day of the journals.

    Raises:
        Malformed: no day, no zone, or the last day before the first.
    """
    if last_day is None:
        latest = max(town.replay.book.time for town in towns)
        last_day = str(local_moment(latest, read_zone(zone)).date())
    if first_day is None:
        first_day = make_period(last_day, last_day, zone).label_first_day
        if read_day(first_day) > read_day(last_day):
            raise Malformed("Name the first day with --from.")
    return make_period(first_day, last_day, zone)


def town_figures_document(
    town: Town, period: Period, asked: Asked = NOTHING, *, end: int | None = None
) -> dict[str, Any]:
    """The figures of a town, of its whole log or of its first `end` entries."""
    entries = town.size if end is None else end
    [found] = figures_of(town, [Wanted(entries, period)])
    return town_document(found, origin=town.identity.origin, cut=cut_of(town, entries), asked=asked)


def network_figures_document(
    towns: Sequence[Town], ends: Mapping[str, int], period: Period, asked: Asked = NOTHING, *, is_complete: bool
) -> dict[str, Any]:
    """The figures of towns together.

    Args:
        towns: audited and sound; 1 or more.
        ends: town → where its journal is cut, so that no town heard what another does not hold.
        period: the days asked about.
        asked: what the reader adds.
        is_complete: whether no town that these exchange services with is missing.
    """
    documents = [town_figures_document(town, period, asked, end=ends[town.node]) for town in towns]
    return network_document(documents, is_complete=is_complete)
