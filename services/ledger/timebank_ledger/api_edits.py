"""Routes of what is edited: limits and state of an account, and the town's policy.

Each is a resource of its own with an ETag; an `If-Match` that names another content is refused by the writer, in the
order of the journal. An answer says what the entry says, so a repeated command is answered as it was the first time.
Source: design page 3, "Accounts"; RFC 9110, 13.1.1.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response

from timebank_contracts import entries as e
from timebank_contracts import http as asked
from timebank_contracts import http_answers as h
from timebank_contracts.errors import Refusal
from timebank_contracts.state import Account
from timebank_contracts.tokens import Caller
from timebank_kit.problem_answers import EdgeProblem
from timebank_ledger import commands as c
from timebank_ledger.access import check_seen
from timebank_ledger.answers import only_entry
from timebank_ledger.api_accounts import AccountPath, check_keeper
from timebank_ledger.asked import command_head
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheDryRun, TheEdge, TheKey, needs, write
from timebank_ledger.tags import limits_content, policy_content, read_expected, state_content, tag_of

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["accounts"])
_READS = ("accounts:read", "operate", "audit:read")
_STATES: dict[type[e.Entry], h.AccountState] = {
    e.AccountFrozen: "frozen",
    e.AccountUnfrozen: "open",
    e.AccountClosing: "closing",
    e.AccountClosed: "closed",
}


async def _expected(
    if_match: Annotated[
        str | None,
        Header(max_length=1_000, description="ETag of what you read: what was changed since then is not replaced."),
    ] = None,
) -> tuple[str, ...] | None:
    return read_expected(if_match)


TheExpected = Annotated[tuple[str, ...] | None, Depends(_expected)]


def _head(caller: Caller, key: str, expected: tuple[str, ...] | None, **content: Any) -> dict[str, Any]:
    if expected is not None:
        content["expected"] = list(expected)
    return command_head(caller, key, content) | {"expected": expected}


async def _answer(edge: Edge, command: c.Command, response: Response, *, dry_run: bool) -> e.Entry:
    entry = only_entry(await write(edge, command, dry_run=dry_run))
    response.headers["X-Position"] = str(entry.n + 1)
    return entry


def _tagged(response: Response, content: dict[str, Any]) -> dict[str, Any]:
    response.headers["ETag"] = f'"{tag_of(content)}"'
    return content


def _account(edge: Edge, caller: Caller, account: str) -> Account:
    check_seen(caller, account)
    with edge.writer.reading() as book:
        found = book.accounts.get(account)
        if found is None:
            raise Refusal("account_unknown")
        return found


@router.get("/accounts/{account}/limits", operation_id="getLimits", openapi_extra=needs(*_READS))
def get_limits(edge: TheEdge, caller: TheCaller, account: AccountPath, response: Response) -> h.Limits:
    """Floor and ceiling of an account, to be edited."""
    found = _account(edge, caller, account)
    return h.Limits(**_tagged(response, limits_content(account, floor=found.floor, ceiling=found.ceiling)))


@router.put("/accounts/{account}/limits", operation_id="setLimits", openapi_extra=needs("operate", keyed=True))
async def set_limits(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    account: AccountPath,
    body: asked.NewLimits,
    response: Response,
    expected: TheExpected,
    dry_run: TheDryRun,
) -> h.Limits:
    """Set floor and ceiling; they bind the next transfer, and never undo one."""
    head = _head(caller, key, expected, kind="limits", account=account, floor=body.floor, ceiling=body.ceiling)
    command = c.ChangeAccount(**head, account=account, floor=body.floor, ceiling=body.ceiling)
    entry = await _answer(edge, command, response, dry_run=dry_run)
    assert isinstance(entry, e.AccountChangedEntry)
    said = entry.data
    return h.Limits(**_tagged(response, limits_content(said.account, floor=said.floor, ceiling=said.ceiling)))


@router.get("/accounts/{account}/state", operation_id="getAccountState", openapi_extra=needs(*_READS))
def get_state(edge: TheEdge, caller: TheCaller, account: AccountPath, response: Response) -> h.State:
    """The state of an account, to be edited."""
    found = _account(edge, caller, account)
    return h.State.model_validate(_tagged(response, state_content(account, found.state)))


@router.put("/accounts/{account}/state", operation_id="setAccountState", openapi_extra=needs("operate", keyed=True))
async def set_state(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    account: AccountPath,
    body: asked.NewState,
    response: Response,
    expected: TheExpected,
    dry_run: TheDryRun,
) -> h.State:
    """Freeze (nothing leaves it), open again, or close for good: at balance 0, or with a taker of what is left."""
    head = _head(caller, key, expected, kind="state", account=account, **body.model_dump(exclude_none=True))
    if body.taker is None:
        command: c.Command = c.SetAccountState(**head, account=account, state=body.state)
    elif body.state == "closed":
        command = c.CloseAccount(**head, account=account, taker=body.taker)
    else:
        raise EdgeProblem("field_invalid", "A taker is named when an account closes.")
    return _state_answer(await _answer(edge, command, response, dry_run=dry_run), account, response)


@router.post(
    "/accounts/{account}/closing",
    operation_id="beginClosing",
    openapi_extra=needs("transfers:write", "operate", keyed=True),
)
async def begin_closing(
    edge: TheEdge, caller: TheCaller, key: TheKey, account: AccountPath, response: Response, dry_run: TheDryRun
) -> h.State:
    """Leave: the account pays nothing more and still takes credits; a broker, or in time the town's rule, closes it."""
    check_keeper(caller, account)
    command = c.BeginClosing(**command_head(caller, key, {"kind": "closing", "account": account}), account=account)
    return _state_answer(await _answer(edge, command, response, dry_run=dry_run), account, response)


def _state_answer(entry: e.Entry, account: str, response: Response) -> h.State:
    return h.State.model_validate(_tagged(response, state_content(account, _STATES[type(entry)])))


@router.get("/policy", operation_id="getPolicy", openapi_extra=needs(*_READS))
def get_policy(edge: TheEdge, response: Response) -> h.Policy:
    """The policy in force: entries are judged by the policy of their position, whatever it is later."""
    with edge.writer.reading() as book:
        content = policy_content(book)
    return h.Policy(**_tagged(response, content))


@router.put("/policy", operation_id="setPolicy", openapi_extra=needs("operate", keyed=True))
async def set_policy(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    body: asked.NewPolicy,
    response: Response,
    expected: TheExpected,
    dry_run: TheDryRun,
) -> h.Policy:
    """Set the limits of accounts opened from now on, what the town may owe its peers, and how claims end."""
    said = body.model_dump()
    command = c.ChangePolicy(**_head(caller, key, expected, kind="policy", **said), **said)
    entry = await _answer(edge, command, response, dry_run=dry_run)
    assert isinstance(entry, e.PolicyChanged)
    return h.Policy(**_tagged(response, policy_content(entry.data)))
