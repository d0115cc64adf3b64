"""What is asked of a report: over which period or up to when, in which form, in which language.

One rule for every report: a day is the town's, a position counts entries, `format` wins over the header Accept.
Source: design page 3, "What people do with it".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator

from timebank_contracts import http as asked
from timebank_contracts.csv_text import MEDIA_TYPE as CSV
from timebank_contracts.days import end_of_day, read_day, read_zone
from timebank_contracts.errors import Refusal
from timebank_contracts.moments import DATE_PATTERN
from timebank_contracts.tokens import Caller
from timebank_kit.language import choose_language
from timebank_kit.problem_answers import EdgeProblem
from timebank_ledger.access import Forbidden, may_see
from timebank_ledger.edge import Edge
from timebank_ledger.pages import HEADERS, Reader
from timebank_ledger.period import (
    CURSOR_CHARACTERS_MAX,
    Period,
    WrongCursor,
    WrongPeriod,
    make_period,
    position_of,
    read_cursor,
)

Form = Literal["json", "csv", "spreadsheet", "html"]
_BY_MEDIA: Final[dict[str, Form]] = {
    "application/json": "json",
    "application/*": "json",
    "*/*": "json",
    "text/csv": "csv",
    "text/html": "html",
    "text/*": "html",
}
HTML: Final = "text/html; charset=utf-8"
ACCEPT_CHARACTERS_MAX: Final = 500


def _possible_day(text: str) -> str:
    return str(read_day(text))


Day = Annotated[str, AfterValidator(_possible_day)]
AccountPath = Annotated[str, Path(pattern=asked.names.ACCOUNT_PATTERN, description="The account's id.")]
FromDay = Annotated[
    Day | None,
    Query(
        alias="from", pattern=DATE_PATTERN, description="The first day, in the town's zone.", examples=["2026-01-01"]
    ),
]
ToDay = Annotated[
    Day | None,
    Query(alias="to", pattern=DATE_PATTERN, description="The last day, included.", examples=["2026-03-31"]),
]
FromPosition = Annotated[
    int | None, Query(ge=0, le=2**53 - 1, description="The first journal position; by default 0.", examples=[0])
]
ToPosition = Annotated[
    int | None,
    Query(ge=0, le=2**53 - 1, description="The first position behind it; by default the end.", examples=[10424]),
]
AtPosition = Annotated[
    int | None,
    Query(
        ge=0,
        le=2**53 - 1,
        description="How many entries count, as `X-Position` says it of a write; by default all.",
        examples=[10424],
    ),
]
AtDay = Annotated[
    Day | None,
    Query(
        pattern=DATE_PATTERN,
        description="The day, in the town's zone, at whose end it was so.",
        examples=["2026-03-31"],
    ),
]
Cursor = Annotated[
    str | None,
    Query(max_length=CURSOR_CHARACTERS_MAX, description="`next` of the page before; it carries the period."),
]
Format = Annotated[
    Form | None,
    Query(
        alias="format",
        description="json, csv (for programs), spreadsheet (CSV with a byte order mark and semicolons) or html (a page "
        "to print); by default what the header Accept prefers.",
        examples=["csv"],
    ),
]
Language = Annotated[
    Literal["en", "cy"] | None,
    Query(description="Language of the page; by default what the header Accept-Language prefers.", examples=["cy"]),
]


def also_as(what: str, csv_example: str) -> dict[int | str, dict[str, Any]]:
    """What a route that answers JSON says of its other forms."""
    text = {"type": "string"}
    content = {
        "text/csv": {"schema": text, "example": csv_example},
        "text/html": {"schema": text, "example": f"<!doctype html><title>{what}</title>"},
    }
    return {200: {"description": f"{what}, in the form that was asked for.", "content": content}}


def choose_form(form: Form | None, request: Request) -> Form:
    """The form of the answer: `format`, else the liked best of the header Accept that there is, else JSON."""
    if form is not None:
        return form
    liked: list[tuple[float, Form]] = []
    for part in request.headers.get("accept", "")[:ACCEPT_CHARACTERS_MAX].split(","):
        media, _, rest = part.partition(";")
        weight = rest.partition("q=")[2].partition(";")[0].strip()
        found = _BY_MEDIA.get(media.strip().lower())
        if found is not None:
            liked.append((_weight(weight), found))
    best = max(liked, key=lambda one: one[0], default=(0.0, "json"))
    return best[1] if best[0] > 0 else "json"


def _weight(text: str) -> float:
    try:
        return min(max(float(text or 1), 0.0), 1.0)
    except ValueError:
        return 0.0


def zone_of(edge: Edge) -> ZoneInfo:
    """The town's time zone."""
    return read_zone(edge.settings.time_zone)


def kind_seen(edge: Edge, caller: Caller, account: str, *, open_kinds: frozenset[str] = frozenset()) -> str:
    """The kind of an account that the caller may see.

    Args:
        edge: knows the book.
        caller: who asks.
        account: of which account.
        open_kinds: kinds that every caller may see here.

    Raises:
        Forbidden: it is another's, or it would be if there were one.
        Refusal: `account_unknown`.
    """
    with edge.writer.reading() as book:
        found = book.accounts.get(account)
        kind = None if found is None else found.kind
    if kind not in open_kinds and not may_see(caller, account):
        raise Forbidden(f"The token was not granted the account {account}.")
    if kind is None:
        raise Refusal("account_unknown")
    return kind


def period_asked(
    edge: Edge,
    *,
    length: int,
    first_day: str | None,
    last_day: str | None,
    start: int | None,
    stop: int | None,
    cursor: str | None = None,
) -> Period:
    """The period that a caller asks for; raises `EdgeProblem` (`field_invalid`, `cursor_invalid`)."""
    ends = (first_day, last_day, start, stop)
    try:
        if cursor is None:
            return make_period(
                edge.writer.journal,
                length=length,
                zone=zone_of(edge),
                first_day=first_day,
                last_day=last_day,
                start=start,
                stop=stop,
            )
        if any(end is not None for end in ends):
            raise WrongPeriod("cursor: it carries the period; send no other end beside it.")
        return read_cursor(cursor, length=length)
    except WrongCursor as wrong:
        raise EdgeProblem("cursor_invalid", str(wrong)) from wrong
    except WrongPeriod as wrong:
        raise EdgeProblem("field_invalid", str(wrong)) from wrong


def position_asked(edge: Edge, *, length: int, position: int | None, day: str | None) -> int:
    """How many entries count for a caller who names a position, a day or neither."""
    if position is not None and day is not None:
        raise EdgeProblem("field_invalid", "date: say `position` or `date`, not both.")
    if day is not None:
        return position_of(edge.writer.journal, end_of_day(read_day(day), zone_of(edge)), length=length)
    return length if position is None else min(position, length)


def reader_of(edge: Edge, request: Request, language: str | None) -> Reader:
    """For whom a page is made."""
    chosen = choose_language(asked=language, accept=request.headers.get("accept-language"))
    return Reader(language=chosen, identity=edge.identity, zone=zone_of(edge), now=edge.clock.now())


def csv_answer(pieces: Iterator[str], *, name: str) -> StreamingResponse:
    """A CSV file of this name, sent piece by piece."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', **NOT_KEPT}
    return StreamingResponse(pieces, media_type=CSV, headers=headers)


def page_answer(pieces: Iterator[str], reader: Reader) -> StreamingResponse:
    """A page, sent piece by piece."""
    headers = {**HEADERS, **NOT_KEPT, "Content-Language": reader.language}
    return StreamingResponse(pieces, media_type=HTML, headers=headers)


NOT_KEPT: Final = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Language"}
"""A report shows an account: no store on the way keeps it."""
