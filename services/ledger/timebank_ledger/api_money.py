"""Routes of money beside hours: record what was settled elsewhere, and read it beside a transfer or a programme.

Money is never posted: there is no balance of it and no rate. Source: design page 3, "One unit"; PROTOCOL.md F1 to F3.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from msgspec import UNSET
from starlette.concurrency import run_in_threadpool

from timebank_contracts import entries as e
from timebank_contracts import http_claims as h
from timebank_contracts.errors import Refusal
from timebank_contracts.fields import MoneyKind
from timebank_contracts.names import ACCOUNT_PATTERN, TRANSFER_PATTERN
from timebank_contracts.tokens import Caller
from timebank_kit.cursors import CURSOR_CHARACTERS_MAX, make_cursor, read_cursor
from timebank_kit.problem_answers import EdgeProblem
from timebank_ledger import commands as c
from timebank_ledger.access import Forbidden, may_see
from timebank_ledger.answers import SAID_MAX, first_entry, only_entry
from timebank_ledger.asked import command_head
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheDryRun, TheEdge, TheKey, needs, write
from timebank_ledger.replay import read_entry

router = APIRouter(prefix="/v1/money", route_class=GuardedRoute, tags=["money"])
AboutTransfer = Annotated[str | None, Query(pattern=TRANSFER_PATTERN, description="Records about this transfer.")]
AboutProgramme = Annotated[str | None, Query(pattern=ACCOUNT_PATTERN, description="Records about this programme.")]
AfterQuery = Annotated[
    str | None, Query(max_length=CURSOR_CHARACTERS_MAX, description="Cursor: `next` of the page before.")
]
LimitQuery = Annotated[int, Query(ge=1, le=h.RECORDS_MAX, description="Records in a page.")]


@router.post("", operation_id="recordMoney", status_code=201, openapi_extra=needs("transfers:write", keyed=True))
async def record_money(
    edge: TheEdge, caller: TheCaller, key: TheKey, body: h.NewMoney, dry_run: TheDryRun, response: Response
) -> h.Money:
    """Record money that was settled elsewhere; to take a record back, send its opposite and name it."""
    position = await run_in_threadpool(_check_about, edge, caller, body.transfer, body.programme, writes=True)
    head = command_head(caller, key, {"kind": "money", "record": body.model_dump(exclude_none=True)})
    entry = only_entry(
        await write(edge, c.RecordMoney(**head, **body.model_dump(), position=position), dry_run=dry_run)
    )
    assert isinstance(entry, e.MoneyRecordedEntry)
    response.headers["X-Position"] = str(entry.n + 1)
    return _answer(edge, entry)


@router.get("", operation_id="listMoney", openapi_extra=needs("reports:read", "statements:read", "operate"))
def list_money(
    edge: TheEdge,
    caller: TheCaller,
    transfer: AboutTransfer = None,
    programme: AboutProgramme = None,
    after: AfterQuery = None,
    limit: LimitQuery = 100,
) -> h.MoneyRecords:
    """The records about one transfer or one programme, with what those of the page come to by currency and kind."""
    if (transfer is None) == (programme is None):
        raise EdgeProblem("field_invalid", "Name a transfer or a programme.")
    _check_about(edge, caller, transfer, programme)
    last = -1 if after is None else int(read_cursor("listMoney", after, place="[0-9]{1,16}"))
    index = edge.indexed()
    if programme is not None:
        positions = index.noted(programme, "money.recorded", after=last, limit=limit + 1)
    else:
        assert transfer is not None
        said = index.said_of(transfer, limit=SAID_MAX)
        positions = [at for at, kind in said if kind == "money.recorded" and at > last][: limit + 1]
    page = positions[:limit]
    entries = [read_entry(edge.writer.journal, position) for position in page]
    records = [_answer(edge, entry) for entry in entries if isinstance(entry, e.MoneyRecordedEntry)]
    more = len(positions) > limit
    return h.MoneyRecords(
        records=records, sums=_sums(records), next=make_cursor("listMoney", str(page[-1])) if more else None
    )


def _sums(records: list[h.Money]) -> list[h.MoneySum]:
    sums: dict[tuple[str, MoneyKind], int] = {}
    for record in records:
        about = record.currency, record.kind
        sums[about] = sums.get(about, 0) + record.minor_units
    return [h.MoneySum(currency=one[0], kind=one[1], minor_units=sums[one]) for one in sorted(sums)]


def _check_about(
    edge: Edge, caller: Caller, transfer: str | None, programme: str | None, *, writes: bool = False
) -> int | None:
    """Journal position of the transfer, None for a programme.

    Args:
        edge: of the town.
        caller: who asks.
        transfer: what it is about, or
        programme: this.
        writes: who only sees it, as an auditor, may not.

    Raises:
        Forbidden: the caller sees neither the programme nor its owner, or writes and acts for no account of it.
        Refusal: `transfer_unknown`, also for one none of whose accounts the caller sees.
    """
    if programme is not None:
        with edge.writer.reading() as book:
            found = book.accounts.get(programme)
            owner = "" if found is None else found.owner
        if not any(_may(caller, account, writes) for account in (programme, owner) if account):
            raise Forbidden(f"The token was not granted the programme {programme}.")
        return None
    assert transfer is not None
    entry = first_entry(edge, transfer)
    if entry is None or entry.postings is UNSET or not any(may_see(caller, account) for account, _ in entry.postings):
        raise Refusal("transfer_unknown")
    if not any(_may(caller, account, writes) for account, _ in entry.postings):
        raise Forbidden("The token was granted no account of this transfer.")
    return entry.n


def _may(caller: Caller, account: str, writes: bool) -> bool:
    return caller.may_use(account) or "operate" in caller.scopes if writes else may_see(caller, account)


def _answer(edge: Edge, entry: e.MoneyRecordedEntry) -> h.Money:
    names = [name for name in entry.data.__struct_fields__ if name != "position"]
    said = {name: getattr(entry.data, name) for name in names}
    return h.Money.model_validate(
        {name: value for name, value in said.items() if value is not UNSET}
        | {"id": edge.name_at(entry.n), "time": entry.time, "position": entry.n}
    )
