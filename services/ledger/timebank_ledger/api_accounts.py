"""Routes of accounts: open, look up. (Their addresses: `api_aliases.py`; limits, state and policy: `api_edits.py`.)

Source: design page 3, "Accounts" and "What people do with it".
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import http as asked
from timebank_contracts import http_answers as h
from timebank_contracts.errors import Refusal
from timebank_contracts.names import ACCOUNT_PATTERN
from timebank_contracts.state import PAYABLE_KINDS, Account, Book
from timebank_contracts.tokens import Caller
from timebank_kit.cursors import CURSOR_CHARACTERS_MAX, make_cursor, read_cursor
from timebank_ledger import commands as c
from timebank_ledger.access import Forbidden, check_seen, may_see
from timebank_ledger.answers import account_answer, only_entry
from timebank_ledger.asked import command_head
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheDryRun, TheEdge, TheKey, needs, write

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["accounts"])
AccountPath = Annotated[str, Path(pattern=ACCOUNT_PATTERN, description="The account's id.")]
ACCOUNTS_MAX = 1_000


def _seen(edge: Edge, caller: Caller, account: str) -> h.Account:
    check_seen(caller, account)
    with edge.writer.reading() as book:
        found = book.accounts.get(account)
        if found is None:
            raise Refusal("account_unknown")
        return account_answer(found)


@router.post("/accounts", operation_id="openAccount", status_code=201, openapi_extra=needs("operate", keyed=True))
async def open_account(
    edge: TheEdge, caller: TheCaller, key: TheKey, body: asked.NewAccount, response: Response, dry_run: TheDryRun
) -> h.Account:
    """Open an account at balance 0; its limits are the town's, unless others are given."""
    content = {"kind": "account", "body": body.model_dump(exclude_none=True)}
    command = c.OpenAccount(
        **command_head(caller, key, content),
        account=body.account,
        kind=body.kind,
        floor=body.floor,
        ceiling=body.ceiling,
        owner=body.owner,
    )
    entry = only_entry(await write(edge, command, dry_run=dry_run))
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
        available=-said.floor,
        owner=None if said.owner is UNSET else said.owner,
    )


@router.get("/accounts", operation_id="listAccounts", openapi_extra=needs("accounts:read", "operate", "audit:read"))
def list_accounts(
    edge: TheEdge,
    caller: TheCaller,
    after: Annotated[
        str | None, Query(max_length=CURSOR_CHARACTERS_MAX, description="Cursor: `next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=ACCOUNTS_MAX, description="Accounts in a page.")] = 100,
    apart: Annotated[
        bool, Query(description="Only people's accounts with other limits than the policy's, which it does not touch.")
    ] = False,
) -> h.Accounts:
    """The accounts that the caller may see, in order of id."""
    last = None if after is None else read_cursor("listAccounts", after, place=ACCOUNT_PATTERN)
    with edge.writer.reading() as book:
        seen = sorted(
            account
            for account, found in book.accounts.items()
            if may_see(caller, account) and (not apart or _is_apart(book, found))
        )
        start = 0 if last is None else bisect_right(seen, last)
        page = seen[start : start + limit]
        found = [account_answer(book.accounts[account]) for account in page]
    more = start + limit < len(seen)
    return h.Accounts(accounts=found, next=make_cursor("listAccounts", page[-1]) if more else None)


def _is_apart(book: Book, account: Account) -> bool:
    """Whether the town's policy says other limits than this account has; of an account that somebody may still use."""
    limits = (account.floor, account.ceiling)
    return (
        account.kind in PAYABLE_KINDS
        and account.state != "closed"
        and limits != (book.default_floor, book.default_ceiling)
    )


@router.get(
    "/accounts/{account}", operation_id="getAccount", openapi_extra=needs("accounts:read", "operate", "audit:read")
)
def get_account(edge: TheEdge, caller: TheCaller, account: AccountPath) -> h.Account:
    """An account with its balance, in minutes."""
    return _seen(edge, caller, account)


def check_keeper(caller: Caller, account: str) -> None:
    """Raise `Forbidden` unless the caller keeps this account: its own, or as an operator."""
    if "operate" not in caller.scopes and not caller.may_use(account):
        raise Forbidden(f"The token was not granted the account {account}.")
