"""Routes of accounts: open, look up, receiving addresses. (Limits, state and policy: `api_edits.py`.)

Source: design page 3, "Accounts" and "What people do with it".
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from msgspec import UNSET
from starlette.concurrency import run_in_threadpool

from timebank_contracts import entries as e
from timebank_contracts import http as asked
from timebank_contracts import http_answers as h
from timebank_contracts.errors import Refusal
from timebank_contracts.names import ACCOUNT_PATTERN, ALIAS_PATTERN
from timebank_contracts.payment_address import PaymentAddress, show_payment_address
from timebank_contracts.state import PAYABLE_KINDS, Account, Book
from timebank_contracts.tokens import Caller
from timebank_kit.cursors import CURSOR_CHARACTERS_MAX, make_cursor, read_cursor
from timebank_kit.problem_answers import EdgeProblem
from timebank_ledger import commands as c
from timebank_ledger.access import Forbidden, check_seen, may_see
from timebank_ledger.answers import account_answer, only_entry
from timebank_ledger.asked import command_head, new_alias
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheDryRun, TheEdge, TheKey, needs, write
from timebank_ledger.payment_code import SVG_TYPE, payment_code

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["accounts"])
AccountPath = Annotated[str, Path(pattern=ACCOUNT_PATTERN, description="The account's id.")]
AliasPath = Annotated[str, Path(pattern=ALIAS_PATTERN, description="The receiving address.")]
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


@router.post(
    "/accounts/{account}/aliases",
    operation_id="issueAlias",
    status_code=201,
    openapi_extra=needs("operate", "transfers:write", keyed=True),
)
async def issue_alias(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    account: AccountPath,
    body: asked.NewAlias,
    response: Response,
    dry_run: TheDryRun,
) -> h.Alias:
    """Make a random receiving address for an account, for one town or for anybody who has it."""
    check_keeper(caller, account)
    content = {"kind": "alias", "account": account, "body": body.model_dump(exclude_none=True)}
    head = command_head(caller, key, content)
    alias = new_alias(edge.tag_key, key=head["key"], account=account)
    command = c.IssueAlias(**head, account=account, alias=alias, audience=body.audience)
    entry = only_entry(await write(edge, command, dry_run=dry_run))
    assert isinstance(entry, e.AliasIssuedEntry)
    response.headers["X-Position"] = str(entry.n + 1)
    said = entry.data
    if said.audience is not UNSET:
        return h.Alias(alias=said.alias, account=said.account, audience=said.audience)
    return h.Alias(alias=said.alias, account=said.account, address=_address_of(edge, said.alias))


def _address_of(edge: Edge, alias: str) -> str:
    return show_payment_address(PaymentAddress(edge.access.network, edge.access.node, alias))


@router.get(
    "/aliases/{alias}/code",
    operation_id="getPaymentCode",
    openapi_extra=needs("operate", "transfers:write"),
    response_class=Response,
    responses={200: {"content": {SVG_TYPE: {}}, "description": "A QR code that says the payment address."}},
)
def get_payment_code(edge: TheEdge, caller: TheCaller, alias: AliasPath) -> Response:
    """The QR code of a receiving address that is for anybody; once it is taken back, there is none."""
    with edge.writer.reading() as book:
        found = book.aliases.get(alias)
    if found is None:
        raise Refusal("alias_unknown")
    check_keeper(caller, found.account)
    if found.audience is not None:
        raise EdgeProblem("alias_for_one_town")
    headers = {"Cache-Control": "private, no-cache", "Content-Security-Policy": "default-src 'none'"}
    return Response(payment_code(_address_of(edge, alias)), media_type=SVG_TYPE, headers=headers)


@router.delete(
    "/aliases/{alias}",
    operation_id="revokeAlias",
    status_code=204,
    openapi_extra=needs("operate", "transfers:write", keyed=True),
)
async def revoke_alias(edge: TheEdge, caller: TheCaller, key: TheKey, alias: AliasPath, dry_run: TheDryRun) -> Response:
    """Take a receiving address back, for good: it is never issued again."""
    account = await run_in_threadpool(_account_of, edge, alias)
    if account is not None:
        check_keeper(caller, account)
    # An address that is gone belongs to nobody: the writer knows whether this very command took it back.
    head = command_head(caller, key, {"kind": "alias.revoked", "alias": alias})
    entry = only_entry(await write(edge, c.RevokeAlias(**head, alias=alias), dry_run=dry_run))
    return Response(status_code=204, headers={"X-Position": str(entry.n + 1)})


def _account_of(edge: Edge, alias: str) -> str | None:
    with edge.writer.reading() as book:
        found = book.aliases.get(alias)
    return None if found is None else found.account


def check_keeper(caller: Caller, account: str) -> None:
    """Raise `Forbidden` unless the caller keeps this account: its own, or as an operator."""
    if "operate" not in caller.scopes and not caller.may_use(account):
        raise Forbidden(f"The token was not granted the account {account}.")
