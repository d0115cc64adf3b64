"""Routes of what the journal adds up to: statements of an account, the trial balance of the town.

Source: design page 3, "What people do with it".
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from timebank_contracts import http as asked
from timebank_contracts import http_answers as h
from timebank_contracts.errors import Refusal
from timebank_contracts.figures import trial_balance
from timebank_contracts.tokens import Caller
from timebank_ledger.access import Forbidden, may_see
from timebank_ledger.answers import statement_answer
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheEdge, needs
from timebank_ledger.statement import make_statement

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["statements"])
AccountPath = Annotated[str, Path(pattern=asked.names.ACCOUNT_PATTERN, description="The account's id.")]
PositionQuery = Annotated[int | None, Query(ge=0, le=2**53 - 1, description="A position in the journal.")]


def _check_seen(edge: Edge, caller: Caller, account: str) -> None:
    """Raise `Forbidden` or `Refusal` unless there is such an account and the caller may see it."""
    if not may_see(caller, account):
        raise Forbidden(f"The token was not granted the account {account}.")
    with edge.writer.reading() as book:
        if account not in book.accounts:
            raise Refusal("account_unknown")


@router.get(
    "/accounts/{account}/statement",
    operation_id="getStatement",
    openapi_extra=needs("statements:read", "operate", "audit:read"),
)
def get_statement(
    edge: TheEdge,
    caller: TheCaller,
    account: AccountPath,
    from_position: PositionQuery = None,
    to_position: PositionQuery = None,
) -> h.Statement:
    """Opening + lines = closing, from `from_position` (by default 0) to before `to_position` (the end)."""
    _check_seen(edge, caller, account)
    index = edge.indexed()
    stop = min(index.position, index.position if to_position is None else to_position)
    start = min(from_position or 0, stop)
    return statement_answer(make_statement(index, account, start=start, stop=stop))


@router.get(
    "/trial-balance", operation_id="getTrialBalance", openapi_extra=needs("reports:read", "operate", "audit:read")
)
def get_trial_balance(edge: TheEdge) -> h.TrialBalance:
    """Every account of the town by kind: credits and debits are equal in a sound book."""
    with edge.writer.reading() as book:
        found = trial_balance(book)
    rows = [h.KindRow.model_validate(row._asdict()) for row in found.rows]
    return h.TrialBalance.model_validate({**found._asdict(), "rows": rows})
