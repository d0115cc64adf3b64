"""Routes of accounts: open, look up, limit, freeze, close, receiving addresses; the town's policy.

Source: design page 3, "Accounts" and "What people do with it".
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from msgspec import UNSET
from starlette.concurrency import run_in_threadpool

from timebank_contracts import entries as e
from timebank_contracts import http as asked
from timebank_contracts import http_answers as h
from timebank_contracts.errors import Refusal
from timebank_contracts.tokens import Caller
from timebank_ledger import commands as c
from timebank_ledger.access import Forbidden, actor, may_see
from timebank_ledger.answers import account_answer, only_entry
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheEdge, TheKey, needs, write

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["accounts"])
AccountPath = Annotated[str, Path(pattern=asked.names.ACCOUNT_PATTERN, description="The account's id.")]
AliasPath = Annotated[str, Path(pattern=asked.names.ALIAS_PATTERN, description="The receiving address.")]
ACCOUNTS_MAX = 1_000


def _head(caller: Caller, key: str | None, content: dict[str, Any]) -> dict[str, Any]:
    if key is None:
        return {"by": actor(caller)}
    hashed = c.key_of(f"{caller.issuer}/{caller.subject}", key)
    return {"by": actor(caller), "key": hashed, "digest": c.digest_of(content)}


def _seen(edge: Edge, caller: Caller, account: str) -> h.Account:
    if not may_see(caller, account):
        raise Forbidden(f"The token was not granted the account {account}.")
    with edge.writer.reading() as book:
        found = book.accounts.get(account)
        if found is None:
            raise Refusal("account_unknown")
        return account_answer(found)


@router.post("/accounts", operation_id="openAccount", status_code=201, openapi_extra=needs("operate", keyed=True))
async def open_account(
    edge: TheEdge, caller: TheCaller, key: TheKey, body: asked.NewAccount, response: Response
) -> h.Account:
    """Open an account at balance 0; its limits are the town's, unless others are given."""
    content = {"kind": "account", "body": body.model_dump(exclude_none=True)}
    command = c.OpenAccount(
        **_head(caller, key, content),
        account=body.account,
        kind=body.kind,
        floor=body.floor,
        ceiling=body.ceiling,
        owner=body.owner,
    )
    entry = only_entry(await write(edge, command))
    assert isinstance(entry, e.AccountOpenedEntry)
    response.headers["X-Position"] = str(entry.n + 1)
    said = entry.data
    return h.Account(
        account=said.account,
        kind=said.kind,
        state="open",
        balance=0,
        in_transit=0,
        floor=said.floor,
        ceiling=said.ceiling,
    )


@router.get("/accounts", operation_id="listAccounts", openapi_extra=needs("accounts:read", "operate", "audit:read"))
def list_accounts(
    edge: TheEdge,
    caller: TheCaller,
    after: Annotated[str | None, Query(max_length=63, description="Cursor: `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=ACCOUNTS_MAX, description="Accounts in a page.")] = 100,
) -> h.Accounts:
    """The accounts that the caller may see, in order of id."""
    with edge.writer.reading() as book:
        seen = sorted(account for account in book.accounts if may_see(caller, account))
        start = 0 if after is None else bisect_right(seen, after)
        page = seen[start : start + limit]
        found = [account_answer(book.accounts[account]) for account in page]
    more = start + limit < len(seen)
    return h.Accounts(accounts=found, next=page[-1] if more else None)


@router.get(
    "/accounts/{account}", operation_id="getAccount", openapi_extra=needs("accounts:read", "operate", "audit:read")
)
def get_account(edge: TheEdge, caller: TheCaller, account: AccountPath) -> h.Account:
    """An account with its balance, in minutes."""
    return _seen(edge, caller, account)


@router.put("/accounts/{account}/limits", operation_id="setLimits", openapi_extra=needs("operate"))
async def set_limits(
    edge: TheEdge, caller: TheCaller, account: AccountPath, body: asked.NewLimits, response: Response
) -> h.Account:
    """Set floor and ceiling; they bind the next transfer, and never undo one."""
    command = c.ChangeAccount(by=actor(caller), account=account, floor=body.floor, ceiling=body.ceiling)
    return await _changed(edge, caller, command, account, response)


@router.put("/accounts/{account}/state", operation_id="setAccountState", openapi_extra=needs("operate"))
async def set_state(
    edge: TheEdge, caller: TheCaller, account: AccountPath, body: asked.NewState, response: Response
) -> h.Account:
    """Freeze (nothing leaves it), open again, or close for good (only at balance 0 and with nothing under way)."""
    command = c.SetAccountState(by=actor(caller), account=account, state=body.state)
    return await _changed(edge, caller, command, account, response)


async def _changed(edge: Edge, caller: Caller, command: c.Command, account: str, response: Response) -> h.Account:
    entry = only_entry(await write(edge, command))
    response.headers["X-Position"] = str(entry.n + 1)
    return await run_in_threadpool(_seen, edge, caller, account)


@router.post(
    "/accounts/{account}/aliases",
    operation_id="issueAlias",
    status_code=201,
    openapi_extra=needs("operate", "transfers:write", keyed=True),
)
async def issue_alias(
    edge: TheEdge, caller: TheCaller, key: TheKey, account: AccountPath, body: asked.NewAlias, response: Response
) -> h.Alias:
    """Make a random receiving address for an account, for one town or for anybody who has it."""
    _check_keeper(caller, account)
    content = {"kind": "alias", "account": account, "body": body.model_dump(exclude_none=True)}
    command = c.IssueAlias(
        **_head(caller, key, content), account=account, alias=edge.random_bytes(16).hex(), audience=body.audience
    )
    entry = only_entry(await write(edge, command))
    assert isinstance(entry, e.AliasIssuedEntry)
    response.headers["X-Position"] = str(entry.n + 1)
    audience = None if entry.data.audience is UNSET else entry.data.audience
    return h.Alias(alias=entry.data.alias, account=entry.data.account, audience=audience)


@router.delete(
    "/aliases/{alias}", operation_id="revokeAlias", status_code=204, openapi_extra=needs("operate", "transfers:write")
)
async def revoke_alias(edge: TheEdge, caller: TheCaller, alias: AliasPath) -> Response:
    """Take a receiving address back, for good: it is never issued again."""
    _check_keeper(caller, await run_in_threadpool(_account_of, edge, alias))
    entry = only_entry(await write(edge, c.RevokeAlias(by=actor(caller), alias=alias)))
    return Response(status_code=204, headers={"X-Position": str(entry.n + 1)})


def _account_of(edge: Edge, alias: str) -> str:
    with edge.writer.reading() as book:
        found = book.aliases.get(alias)
    if found is None:
        raise Refusal("alias_unknown")
    return found.account


def _check_keeper(caller: Caller, account: str) -> None:
    if "operate" not in caller.scopes and not caller.may_use(account):
        raise Forbidden(f"The token was not granted the account {account}.")


@router.put("/policy", operation_id="setPolicy", openapi_extra=needs("operate"))
async def set_policy(edge: TheEdge, caller: TheCaller, body: asked.NewPolicy, response: Response) -> h.Policy:
    """Set the limits of accounts opened from now on, and what the town may owe its peers together."""
    command = c.ChangePolicy(by=actor(caller), **body.model_dump())
    entry = only_entry(await write(edge, command))
    response.headers["X-Position"] = str(entry.n + 1)
    return h.Policy(position=entry.n, **body.model_dump())
