"""Printable pages: a statement and the trial balance in the reader's language, without a script, for screen and A4.

They show accounts and no names, because the ledger knows none, and say so.
Source: design page 3, "What people do with it"; page 7, "Words".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from timebank_contracts.days import local_moment, read_day
from timebank_contracts.figures import TrialBalance
from timebank_contracts.names import Identity
from timebank_kit import language as lang
from timebank_ledger.page_words import word
from timebank_ledger.statement import Sheet

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PIECES: Final = 400
"""Pieces of a page that are sent together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """For whom and when a page is made: the language, the town, its zone and the moment."""

    language: str
    identity: Identity
    zone: ZoneInfo
    now: datetime


@cache
def _pages() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _render(template: str, reader: Reader, **seen: object) -> Iterator[str]:
    language = reader.language
    stream = (
        _pages()
        .get_template(template)
        .stream(
            t=partial(word, language=language),
            hours=partial(lang.show_hours, language=language),
            number=partial(lang.show_number, language=language),
            day=lambda text: lang.show_day(read_day(text), language),
            short_day=lambda text: lang.show_short_day(read_day(text), language),
            language=language,
            identity=reader.identity,
            zone=reader.zone.key,
            made_at=lang.show_moment(reader.now.astimezone(reader.zone), language),
            **seen,
        )
    )
    stream.enable_buffering(PIECES)
    return iter(stream)


def statement_page(sheet: Sheet, reader: Reader, *, available: int | None = None) -> Iterator[str]:
    """A statement as a page, however long, in pieces.

    `available` is what a programme may pay out now, in minutes: its two-way rule in one sentence.
    """
    return _render("statement.html", reader, sheet=sheet, period=sheet.period, available=available)


def trial_balance_page(found: TrialBalance, reader: Reader) -> Iterator[str]:
    """The trial balance as a page, in pieces."""
    moment = None if not found.time else lang.show_moment(local_moment(found.time, reader.zone), reader.language)
    return _render("trial_balance.html", reader, found=found, moment=moment)
