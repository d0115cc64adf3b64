"""Routes of what the journal adds up to: statements and balances of an account, the trial balance of the town.

JSON comes in pages; CSV and the printable page are sent whole, piece by piece, however long the period is.
Reading order: `report_asked.py`, here, `statement.py`, then `reports_csv.py` and `pages.py`.
Source: design page 3, "What people do with it".
"""

from __future__ import annotations

import logging
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from timebank_contracts import http_statements as h
from timebank_contracts.figures import TrialBalance, make_trial_balance, trial_balance
from timebank_contracts.plaintext import MEDIA_TYPE as PLAIN_TEXT
from timebank_ledger import report_asked as asked
from timebank_ledger.answers import account_answer, statement_answer
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheEdge, needs
from timebank_ledger.journal_text import journal_text
from timebank_ledger.pages import statement_page, trial_balance_page
from timebank_ledger.replay import read_entry
from timebank_ledger.reports_csv import statement_csv, trial_balance_csv
from timebank_ledger.statement import LINES_MAX, make_sheet, make_statement

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["statements"])
EVERYBODYS: Final = frozenset({"pot"})
_log = logging.getLogger(__name__)
_STATEMENT_CSV: Final = (
    "date (Europe/London),time (UTC),position,type,transfer,reverses,reason,purpose,activity,served_on,"
    "programme,claim,minutes,hours,balance_minutes,balance_hours\r\n2026-01-01,,0,opening,,,,,,,,,,,0,0:00\r\n"
)
_TRIAL_CSV: Final = "kind,accounts,credit_minutes,credit_hours,debit_minutes,debit_hours\r\ntotal,4,90,1:30,90,1:30\r\n"
_JOURNAL: Final = (
    "2026-03-02 (6) transfer.posted\n    ; purpose:gift\n    members:alys  -90 min\n    members:bryn  90 min\n"
)


@router.get(
    "/accounts/{account}/statement",
    operation_id="getStatement",
    response_model=h.Statement,
    responses=asked.also_as("A statement", _STATEMENT_CSV),
    openapi_extra=needs("statements:read", "operate", "audit:read"),
)
def get_statement(
    edge: TheEdge,
    caller: TheCaller,
    request: Request,
    response: Response,
    account: asked.AccountPath,
    first_day: asked.FromDay = None,
    last_day: asked.ToDay = None,
    from_position: asked.FromPosition = None,
    to_position: asked.ToPosition = None,
    cursor: asked.Cursor = None,
    limit: Annotated[int, Query(ge=1, le=LINES_MAX, description="Lines in a page of JSON.")] = LINES_MAX,
    form: asked.Format = None,
    lang: asked.Language = None,
) -> h.Statement | Response:
    """Opening + lines = closing, between two days or two positions; each page adds up, and pages join."""
    kind = asked.kind_seen(edge, caller, account)
    index, journal, zone = edge.indexed(), edge.writer.journal, asked.zone_of(edge)
    period = asked.period_asked(
        edge,
        length=index.position,
        first_day=first_day,
        last_day=last_day,
        start=from_position,
        stop=to_position,
        cursor=cursor,
    )
    chosen = asked.choose_form(form, request)
    if chosen == "json":
        response.headers.update(asked.NOT_KEPT)
        statement = make_statement(index, journal, account, period, zone=zone, limit=limit)
        return statement_answer(statement, kind=kind, time_zone=zone.key)
    sheet = make_sheet(index, journal, account, period, kind=kind, zone=zone)
    if chosen == "html":
        reader = asked.reader_of(edge, request, lang)
        available = _available(edge, account) if kind == "programme" and period.stop == index.position else None
        return asked.page_answer(statement_page(sheet, reader, available=available), reader)
    name = f"statement-{account.replace(':', '-')}-{period.start}-{period.stop}"
    if chosen == "spreadsheet":
        return asked.csv_answer(statement_csv(sheet, "spreadsheet"), name=f"{name}-spreadsheet")
    return asked.csv_answer(statement_csv(sheet, "plain"), name=name)


def _available(edge: Edge, account: str) -> int:
    with edge.writer.reading() as book:
        return account_answer(book.accounts[account]).available


@router.get(
    "/accounts/{account}/balance",
    operation_id="getBalance",
    openapi_extra=needs("statements:read", "accounts:read", "operate", "audit:read"),
)
def get_balance(
    edge: TheEdge,
    caller: TheCaller,
    account: asked.AccountPath,
    position: asked.AtPosition = None,
    date: asked.AtDay = None,
) -> h.BalanceThen:
    """An account's balance at the end of a day, or as the first so many entries leave it: 0 before it was opened.

    What the community's pot holds concerns everybody: every caller may ask for it.
    """
    kind = asked.kind_seen(edge, caller, account, open_kinds=EVERYBODYS)
    index = edge.indexed()
    at = asked.position_asked(edge, length=index.position, position=position, day=date)
    balance = index.balance_before(account, at)
    zone = edge.settings.time_zone
    return h.BalanceThen.model_validate(
        {"account": account, "kind": kind, "balance": balance, "position": at, "date": date, "time_zone": zone}
    )


@router.get(
    "/trial-balance",
    operation_id="getTrialBalance",
    response_model=h.TrialBalance,
    responses=asked.also_as("The trial balance", _TRIAL_CSV),
    openapi_extra=needs("reports:read", "operate", "audit:read"),
)
def get_trial_balance(
    edge: TheEdge,
    request: Request,
    response: Response,
    position: asked.AtPosition = None,
    date: asked.AtDay = None,
    form: asked.Format = None,
    lang: asked.Language = None,
) -> h.TrialBalance | Response:
    """Every account of the town by kind, now or then: credits and debits are equal in a sound book."""
    found = _trial_balance_then(edge, position=position, day=date)
    chosen = asked.choose_form(form, request)
    if chosen == "json":
        response.headers.update(asked.NOT_KEPT)
        rows = [h.KindRow.model_validate(row._asdict()) for row in found.rows]
        return h.TrialBalance.model_validate({**found._asdict(), "rows": rows})
    if chosen == "html":
        reader = asked.reader_of(edge, request, lang)
        return asked.page_answer(trial_balance_page(found, reader), reader)
    if chosen == "spreadsheet":
        name = f"trial-balance-{found.entries}-spreadsheet"
        return asked.csv_answer(iter([trial_balance_csv(found, "spreadsheet")]), name=name)
    return asked.csv_answer(iter([trial_balance_csv(found, "plain")]), name=f"trial-balance-{found.entries}")


def _trial_balance_then(edge: Edge, *, position: int | None, day: str | None) -> TrialBalance:
    """The trial balance now, from the book, or then, from the index."""
    if position is None and day is None:
        with edge.writer.reading() as book:
            return trial_balance(book)
    index = edge.indexed()
    at = asked.position_asked(edge, length=index.position, position=position, day=day)
    last = read_entry(edge.writer.journal, at - 1) if at else None
    return make_trial_balance(at, "" if last is None else last.time, index.kinds(at))


@router.get(
    "/journal.hledger",
    operation_id="getJournalText",
    openapi_extra=needs("audit:read", "operate"),
    response_class=StreamingResponse,
    responses={200: {"content": {"text/plain": {"example": _JOURNAL}}, "description": "A journal of hledger."}},
)
def get_journal_text(
    edge: TheEdge,
    caller: TheCaller,
    first_day: asked.FromDay = None,
    last_day: asked.ToDay = None,
    from_position: asked.FromPosition = None,
    to_position: asked.ToPosition = None,
) -> StreamingResponse:
    """The journal as plain text accounting, with what each account must have at the end; reading it is noted."""
    identity, index = edge.identity, edge.indexed()
    period = asked.period_asked(
        edge,
        length=index.position,
        first_day=first_day,
        last_day=last_day,
        start=from_position,
        stop=to_position,
    )
    _log.info("entries read", extra={"client": caller.subject, "first_position": period.start})
    pieces = journal_text(index, edge.writer.journal, period, zone=asked.zone_of(edge))
    name = f"{identity.node}-{identity.generation}-{period.start}-{period.stop}.journal"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(pieces, media_type=PLAIN_TEXT, headers=headers)
