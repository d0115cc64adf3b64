"""Routes of the event feed: everything that happened, of the town or of one account, from a cursor on.

A reader that has seen all waits for the next event, in one of the few places for those who wait.
Source: design page 3, "HTTP API"; `feed.py` says what an event is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from timebank_contracts import names
from timebank_contracts.errors import Refusal
from timebank_contracts.http_feed import EVENTS_MAX, Event, EventAccount, Events
from timebank_contracts.tokens import Caller
from timebank_kit.problem_answers import EdgeProblem
from timebank_ledger.access import Forbidden, may_see
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheEdge, needs
from timebank_ledger.feed import Page, make_page

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["events"])
STEP_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 0.25
"""Between two looks of one who waits: a busy journal with nothing for him costs four looks a second, not hundreds."""
AfterQuery = Annotated[int, Query(ge=-1, le=2**53 - 1, description="Cursor: `after` of the page before; −1: none.")]
LimitQuery = Annotated[int, Query(ge=1, le=EVENTS_MAX, description="Events in a page.")]
WaitQuery = Annotated[float, Query(ge=0, le=30, description="How long to wait for the next event.")]
AccountPath = Annotated[str, Path(pattern=names.ACCOUNT_PATTERN, description="The account's id.")]
_READS: Final = ("statements:read", "operate", "audit:read")


def seen_accounts(caller: Caller) -> frozenset[str] | None:
    """The accounts whose events a caller may see; None for the whole town."""
    return None if {"operate", "audit:read"} & caller.scopes else caller.accounts


@router.get("/events", operation_id="readEvents", openapi_extra=needs(*_READS))
async def read_events(
    edge: TheEdge,
    caller: TheCaller,
    response: Response,
    after: AfterQuery = -1,
    limit: LimitQuery = 100,
    wait_seconds: WaitQuery = 0,
) -> Events:
    """What happened to the accounts that the caller was granted; for an operator or auditor, in the whole town."""
    page = await _page(edge, seen_accounts(caller), after=after, limit=limit, wait_seconds=wait_seconds)
    response.headers["X-Position"] = str(edge.length)
    return _answer(page)


@router.get("/accounts/{account}/events", operation_id="readAccountEvents", openapi_extra=needs(*_READS))
async def read_account_events(
    edge: TheEdge,
    caller: TheCaller,
    account: AccountPath,
    response: Response,
    after: AfterQuery = -1,
    limit: LimitQuery = 100,
    wait_seconds: WaitQuery = 0,
) -> Events:
    """What happened to one account."""
    if not may_see(caller, account):
        raise Forbidden(f"The token was not granted the account {account}.")
    await run_in_threadpool(_check_account, edge, account)
    page = await _page(edge, frozenset({account}), after=after, limit=limit, wait_seconds=wait_seconds)
    response.headers["X-Position"] = str(edge.length)
    return _answer(page)


def _check_account(edge: Edge, account: str) -> None:
    with edge.writer.reading() as book:
        if account not in book.accounts:
            raise Refusal("account_unknown")


async def _page(edge: Edge, accounts: Collection[str] | None, *, after: int, limit: int, wait_seconds: float) -> Page:
    """The next events; waits for the first when there is none yet."""
    if after >= edge.length:
        raise EdgeProblem("cursor_invalid", "The journal is shorter than this cursor; begin again with after=-1.")
    page = await run_in_threadpool(_look, edge, accounts, after, limit)
    seconds = min(wait_seconds, edge.settings.wait_seconds_max)
    if page.events or page.more or not seconds or not edge.followers.acquire(blocking=False):
        return page
    try:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not page.events and edge.writer.loop.reason is None:
            left = until - loop.time()
            if left <= 0:
                break
            seen = page.after + 1
            if await edge.writer.tail.wait_beyond_async(seen, timeout_seconds=min(STEP_SECONDS, left)) <= seen:
                continue
            page = await run_in_threadpool(_look, edge, accounts, page.after, limit)
            if not page.events:
                await asyncio.sleep(min(PAUSE_SECONDS, left))
        return page
    finally:
        edge.followers.release()


def _look(edge: Edge, accounts: Collection[str] | None, after: int, limit: int) -> Page:
    index = edge.indexed()
    journal = edge.writer.journal
    return make_page(index, journal, accounts=accounts, after=after, stop=index.position, limit=limit)


def _answer(page: Page) -> Events:
    events = [
        Event.model_validate(
            event._asdict() | {"accounts": [EventAccount(account=a, minutes=m) for a, m in event.accounts]}
        )
        for event in page.events
    ]
    return Events(events=events, after=page.after, more=page.more)
