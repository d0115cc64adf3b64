"""Routes of what the journal adds up to: statements and balances of an account, the trial balance of the town.

A day is the town's; a position counts entries, so that the `X-Position` of a write shows what it wrote.
Source: design page 3, "What people do with it".
"""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator

from timebank_contracts import http as asked
from timebank_contracts import http_statements as h
from timebank_contracts.days import end_of_day, read_day, read_zone
from timebank_contracts.errors import Refusal
from timebank_contracts.figures import TrialBalance, make_trial_balance, trial_balance
from timebank_contracts.moments import DATE_PATTERN
from timebank_contracts.tokens import Caller
from timebank_kit.problem_answers import EdgeProblem
from timebank_ledger.access import Forbidden, may_see
from timebank_ledger.answers import statement_answer
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheEdge, needs
from timebank_ledger.period import CURSOR_CHARACTERS_MAX, Period, make_period, position_of, read_cursor
from timebank_ledger.replay import read_entry
from timebank_ledger.statement import LINES_MAX, make_statement

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["statements"])


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
    Query(ge=0, le=2**53 - 1, description="How many entries count; by default all.", examples=[10424]),
]
AtDay = Annotated[
    Day | None,
    Query(pattern=DATE_PATTERN, description="The day, in the town's zone, at whose end it was so."),
]
Cursor = Annotated[
    str | None,
    Query(max_length=CURSOR_CHARACTERS_MAX, description="`next` of the page before; it carries the period."),
]


def zone_of(edge: Edge) -> ZoneInfo:
    """The town's time zone."""
    return read_zone(edge.settings.time_zone)


def kind_seen(edge: Edge, caller: Caller, account: str) -> str:
    """The kind of an account that the caller may see; raises `Forbidden` or `Refusal` (`account_unknown`)."""
    if not may_see(caller, account):
        raise Forbidden(f"The token was not granted the account {account}.")
    with edge.writer.reading() as book:
        found = book.accounts.get(account)
        if found is None:
            raise Refusal("account_unknown")
        return found.kind


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
    """The period that a caller asks for; raises `EdgeProblem` (`field_invalid`)."""
    ends = (first_day, last_day, start, stop)
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
        raise EdgeProblem("field_invalid", "cursor: it carries the period; send no other end beside it.")
    return read_cursor(cursor, length=length)


def position_asked(edge: Edge, *, length: int, position: int | None, day: str | None) -> int:
    """How many entries count for a caller who names a position, a day or neither."""
    if position is not None and day is not None:
        raise EdgeProblem("field_invalid", "date: say `position` or `date`, not both.")
    if day is not None:
        return position_of(edge.writer.journal, end_of_day(read_day(day), zone_of(edge)), length=length)
    return length if position is None else min(position, length)


@router.get(
    "/accounts/{account}/statement",
    operation_id="getStatement",
    openapi_extra=needs("statements:read", "operate", "audit:read"),
)
def get_statement(
    edge: TheEdge,
    caller: TheCaller,
    account: AccountPath,
    first_day: FromDay = None,
    last_day: ToDay = None,
    from_position: FromPosition = None,
    to_position: ToPosition = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=LINES_MAX, description="Lines in a page.")] = LINES_MAX,
) -> h.Statement:
    """Opening + lines = closing, between two days or two positions; each page adds up, and pages join."""
    kind = kind_seen(edge, caller, account)
    index = edge.indexed()
    period = period_asked(
        edge,
        length=index.position,
        first_day=first_day,
        last_day=last_day,
        start=from_position,
        stop=to_position,
        cursor=cursor,
    )
    zone = zone_of(edge)
    statement = make_statement(index, edge.writer.journal, account, period, zone=zone, limit=limit)
    return statement_answer(statement, kind=kind, time_zone=zone.key)


@router.get(
    "/accounts/{account}/balance",
    operation_id="getBalance",
    openapi_extra=needs("statements:read", "accounts:read", "operate", "audit:read"),
)
def get_balance(
    edge: TheEdge, caller: TheCaller, account: AccountPath, position: AtPosition = None, date: AtDay = None
) -> h.BalanceThen:
    """An account's balance at the end of a day, or as the first so many entries leave it: 0 before it was opened."""
    kind = kind_seen(edge, caller, account)
    index = edge.indexed()
    at = position_asked(edge, length=index.position, position=position, day=date)
    balance = index.balance_before(account, at)
    zone = edge.settings.time_zone
    return h.BalanceThen.model_validate(
        {"account": account, "kind": kind, "balance": balance, "position": at, "date": date, "time_zone": zone}
    )


@router.get(
    "/trial-balance", operation_id="getTrialBalance", openapi_extra=needs("reports:read", "operate", "audit:read")
)
def get_trial_balance(edge: TheEdge, position: AtPosition = None, date: AtDay = None) -> h.TrialBalance:
    """Every account of the town by kind, now or then: credits and debits are equal in a sound book."""
    found = trial_balance_then(edge, position=position, day=date)
    rows = [h.KindRow.model_validate(row._asdict()) for row in found.rows]
    return h.TrialBalance.model_validate({**found._asdict(), "rows": rows})


def trial_balance_then(edge: Edge, *, position: int | None, day: str | None) -> TrialBalance:
    """The trial balance now, from the book, or then, from the index."""
    if position is None and day is None:
        with edge.writer.reading() as book:
            return trial_balance(book)
    index = edge.indexed()
    at = position_asked(edge, length=index.position, position=position, day=day)
    last = read_entry(edge.writer.journal, at - 1) if at else None
    return make_trial_balance(at, "" if last is None else last.time, index.kinds(at))
