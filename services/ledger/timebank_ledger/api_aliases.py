"""Routes of receiving addresses: made, found again, shown as a code, and taken back.

An address is for one town or for anybody, and says nothing of whose it is; who keeps the account sees all that it has.
Source: design page 2, "Payee address"; PROTOCOL.md L6, N7.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from msgspec import UNSET
from starlette.concurrency import run_in_threadpool

from timebank_contracts import entries as e
from timebank_contracts import http as asked
from timebank_contracts import http_answers as h
from timebank_contracts.errors import Refusal
from timebank_contracts.names import ALIAS_PATTERN
from timebank_contracts.payment_address import PaymentAddress, show_payment_address
from timebank_contracts.state import Alias
from timebank_contracts.tokens import Caller
from timebank_kit.problem_answers import EdgeProblem
from timebank_ledger import commands as c
from timebank_ledger.answers import only_entry
from timebank_ledger.api_accounts import AccountPath, check_keeper
from timebank_ledger.asked import command_head, new_alias
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheDryRun, TheEdge, TheKey, needs, write
from timebank_ledger.payment_code import SVG_TYPE, payment_code

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["accounts"])
AliasPath = Annotated[str, Path(pattern=ALIAS_PATTERN, description="The receiving address.")]


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
    audience = None if entry.data.audience is UNSET else entry.data.audience
    return _answer(edge, entry.data.alias, entry.data.account, audience)


def _answer(edge: Edge, alias: str, account: str, audience: str | None) -> h.Alias:
    address = _address_of(edge, alias) if audience is None else None
    return h.Alias(alias=alias, account=account, audience=audience, address=address)


def _kept(edge: Edge, caller: Caller, alias: str) -> Alias:
    """An address of an account that the caller keeps; raises `Refusal` when it was taken back, `Forbidden`."""
    with edge.writer.reading() as book:
        found = book.aliases.get(alias)
    if found is None:
        raise Refusal("alias_unknown")
    check_keeper(caller, found.account)
    return found


def _address_of(edge: Edge, alias: str) -> str:
    return show_payment_address(PaymentAddress(edge.access.network, edge.access.node, alias))


@router.get(
    "/accounts/{account}/aliases", operation_id="listAliases", openapi_extra=needs("operate", "transfers:write")
)
def list_aliases(edge: TheEdge, caller: TheCaller, account: AccountPath) -> h.Aliases:
    """The receiving addresses of an account that were not taken back, at most 1,000, in order."""
    check_keeper(caller, account)
    with edge.writer.reading() as book:
        if account not in book.accounts:
            raise Refusal("account_unknown")
        found = sorted((alias, said) for alias, said in book.aliases.items() if said.account == account)
    return h.Aliases(aliases=[_answer(edge, alias, account, said.audience) for alias, said in found])


@router.get("/aliases/{alias}", operation_id="getAlias", openapi_extra=needs("operate", "transfers:write"))
def get_alias(edge: TheEdge, caller: TheCaller, alias: AliasPath) -> h.Alias:
    """A receiving address that was not taken back."""
    found = _kept(edge, caller, alias)
    return _answer(edge, alias, found.account, found.audience)


@router.get(
    "/aliases/{alias}/code",
    operation_id="getPaymentCode",
    openapi_extra=needs("operate", "transfers:write"),
    response_class=Response,
    responses={200: {"content": {SVG_TYPE: {}}, "description": "A QR code that says the payment address."}},
)
def get_payment_code(edge: TheEdge, caller: TheCaller, alias: AliasPath) -> Response:
    """The QR code of a receiving address that is for anybody; once it is taken back, there is none."""
    if _kept(edge, caller, alias).audience is not None:
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
