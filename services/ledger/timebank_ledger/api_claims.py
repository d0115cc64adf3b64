"""Routes of claims: make one, look at them, confirm, dispute, withdraw, uphold.

The giver's side makes and withdraws; the receiver's side confirms and disputes; a broker decides a dispute. All of it
is judged by the rules of the book; here is only seen who may speak for which account.
Source: design page 3, "Claim"; PROTOCOL.md D1 to D7.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from timebank_contracts import entries as e
from timebank_contracts import http_answers
from timebank_contracts import http_claims as h
from timebank_contracts.errors import Refusal
from timebank_contracts.names import TRANSFER_PATTERN, parse_transfer
from timebank_contracts.tokens import Caller
from timebank_kit.cursors import CURSOR_CHARACTERS_MAX, make_cursor, read_cursor
from timebank_ledger import commands as c
from timebank_ledger.access import Forbidden, actor, check_account, may_see
from timebank_ledger.answers import only_entry, transfer_answer
from timebank_ledger.asked import command_head, confirmed_by
from timebank_ledger.claims import claim_answer, claim_now
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheDryRun, TheEdge, TheKey, needs, write
from timebank_ledger.replay import read_entry

router = APIRouter(prefix="/v1/claims", route_class=GuardedRoute, tags=["claims"])
ClaimPath = Annotated[str, Path(pattern=TRANSFER_PATTERN, description="The claim's id.")]
AccountQuery = Annotated[
    str | None, Query(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="Claims that name this account.")
]
AfterQuery = Annotated[
    str | None, Query(max_length=CURSOR_CHARACTERS_MAX, description="Cursor: `next` of the page before.")
]
LimitQuery = Annotated[int, Query(ge=1, le=h.CLAIMS_MAX, description="Claims in a page.")]
_READS = ("claims:write", "statements:read", "operate", "audit:read")
_SAID_MAX = 64


@router.post("", operation_id="makeClaim", status_code=201, openapi_extra=needs("claims:write", keyed=True))
async def make_claim(
    edge: TheEdge, caller: TheCaller, key: TheKey, body: h.NewClaim, dry_run: TheDryRun, response: Response
) -> h.Claim:
    """Say that you gave somebody help: it moves no minutes until they confirm it."""
    check_account(caller, body.giver)
    said = body.model_dump()
    head = command_head(caller, key, {"kind": "claim", "claim": body.model_dump(exclude_none=True)})
    entry = only_entry(await write(edge, c.MakeClaim(**head, **said), dry_run=dry_run))
    assert isinstance(entry, e.ClaimMadeEntry)
    response.headers["X-Position"] = str(entry.n + 1)
    return claim_answer(edge.identity, entry, entry)


@router.get("", operation_id="listClaims", openapi_extra=needs(*_READS))
def list_claims(
    edge: TheEdge,
    caller: TheCaller,
    account: AccountQuery = None,
    disputed: Annotated[bool | None, Query(description="Only those that are, or are not, disputed.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 100,
) -> h.Claims:
    """The claims that are not ended and that the caller may see, oldest first."""
    last = -1 if after is None else int(read_cursor("listClaims", after, place="[0-9]{1,16}"))
    with edge.writer.reading() as book:
        found = []
        for name, claim in book.claims.items():
            named = (claim.giver, claim.receiver)
            wanted = account is None or account in named
            if wanted and disputed in (None, claim.disputed) and any(may_see(caller, one) for one in named):
                position = parse_transfer(name).position
                if position > last:
                    found.append(position)
    page = sorted(found)[:limit]
    made = [_made(edge, position) for position in page]
    claims = [_now(edge, one) for one in made if one is not None]
    return h.Claims(claims=claims, next=make_cursor("listClaims", str(page[-1])) if len(found) > len(page) else None)


@router.get("/{claim}", operation_id="getClaim", openapi_extra=needs(*_READS))
def get_claim(edge: TheEdge, caller: TheCaller, claim: ClaimPath) -> h.Claim:
    """A claim as it stands: who may see neither account is told that it is unknown."""
    return _now(edge, _seen(edge, caller, claim))


@router.post(
    "/{claim}/confirmation",
    operation_id="confirmClaim",
    status_code=201,
    openapi_extra=needs("claims:write", keyed=True),
)
async def confirm_claim(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    claim: ClaimPath,
    body: h.NewConfirmation,
    dry_run: TheDryRun,
    response: Response,
) -> http_answers.Transfer:
    """Confirm a claim: the receiver pays the giver. The confirmation is the transfer."""
    made = await run_in_threadpool(_seen, edge, caller, claim)
    check_account(caller, made.data.receiver)
    head = command_head(caller, key, {"kind": "confirmation", "claim": claim} | body.model_dump(exclude_none=True))
    command = c.ConfirmClaim(
        **head, claim=claim, minutes=body.minutes, confirmed_by=confirmed_by(caller, body.confirmed_by)
    )
    entry = only_entry(await write(edge, command, dry_run=dry_run))
    response.headers["X-Position"] = str(entry.n + 1)
    return transfer_answer(edge.identity, entry)


@router.post("/{claim}/dispute", operation_id="disputeClaim", openapi_extra=needs("claims:write", keyed=True))
async def dispute_claim(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    claim: ClaimPath,
    body: h.NewDispute,
    dry_run: TheDryRun,
    response: Response,
) -> h.Claim:
    """Say that a claim is wrong: a broker decides it. What the town's rule confirmed may be disputed for 30 days."""
    made = await run_in_threadpool(_seen, edge, caller, claim)
    check_account(caller, made.data.receiver)
    head = command_head(caller, key, {"kind": "dispute", "claim": claim, "reason": body.reason})
    return await _ended(edge, c.DisputeClaim(**head, claim=claim, reason=body.reason), made, response, dry_run=dry_run)


@router.post("/{claim}/withdrawal", operation_id="withdrawClaim", openapi_extra=needs("claims:write", keyed=True))
async def withdraw_claim(
    edge: TheEdge, caller: TheCaller, key: TheKey, claim: ClaimPath, dry_run: TheDryRun, response: Response
) -> h.Claim:
    """Take a claim back: the giver's side, also while it is disputed."""
    made = await run_in_threadpool(_seen, edge, caller, claim)
    check_account(caller, made.data.giver)
    head = command_head(caller, key, {"kind": "withdrawal", "claim": claim})
    return await _ended(edge, c.EndClaim(**head, claim=claim, how="withdrawn"), made, response, dry_run=dry_run)


@router.post(
    "/{claim}/upholding", operation_id="upholdClaim", openapi_extra=needs("claims:write", "operate", keyed=True)
)
async def uphold_claim(
    edge: TheEdge, caller: TheCaller, key: TheKey, claim: ClaimPath, dry_run: TheDryRun, response: Response
) -> h.Claim:
    """Decide a dispute for the claim: it stands as before. (Against it: withdraw it, or reverse its transfer.)"""
    made = await run_in_threadpool(_seen, edge, caller, claim)
    if actor(caller).kind not in ("broker", "operator"):
        raise Forbidden("A broker or operator decides a dispute.")
    head = command_head(caller, key, {"kind": "upholding", "claim": claim})
    return await _ended(edge, c.EndClaim(**head, claim=claim, how="upheld"), made, response, dry_run=dry_run)


async def _ended(
    edge: Edge, command: c.Command, made: e.ClaimMadeEntry, response: Response, *, dry_run: bool
) -> h.Claim:
    entry = only_entry(await write(edge, command, dry_run=dry_run))
    response.headers["X-Position"] = str(entry.n + 1)
    return claim_answer(edge.identity, made, entry)


def _now(edge: Edge, made: e.ClaimMadeEntry) -> h.Claim:
    index = edge.indexed()
    with edge.writer.reading() as book:
        return claim_now(edge.identity, book, made, said=lambda claim: index.said_of(claim, limit=_SAID_MAX))


def _seen(edge: Edge, caller: Caller, claim: str) -> e.ClaimMadeEntry:
    """The entry that made a claim that the caller may see; raises `claim_unknown`."""
    name = parse_transfer(claim)
    identity = edge.identity
    if name.peer is not None or (name.node, name.generation) != (identity.node, identity.generation):
        raise Refusal("claim_unknown")
    made = _made(edge, name.position) if name.position < edge.length else None
    if made is None or not any(may_see(caller, account) for account in (made.data.giver, made.data.receiver)):
        raise Refusal("claim_unknown")
    return made


def _made(edge: Edge, position: int) -> e.ClaimMadeEntry | None:
    entry = read_entry(edge.writer.journal, position)
    return entry if isinstance(entry, e.ClaimMadeEntry) else None
