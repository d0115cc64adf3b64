"""Routes of claims: make one, look at them, confirm, dispute, withdraw, uphold.

The giver's side makes and withdraws; the receiver's side confirms and disputes; a broker decides a dispute. All of it
is judged by the rules of the book; here is only seen who may speak for which account.
Source: design page 3, "Claim"; PROTOCOL.md D1 to D12.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from timebank_contracts import entries as e
from timebank_contracts import http_answers
from timebank_contracts import http_claims as h
from timebank_contracts.errors import Refusal
from timebank_contracts.http import PayeeThere
from timebank_contracts.names import TRANSFER_PATTERN, parse_transfer
from timebank_contracts.state import Claim, SentClaim
from timebank_contracts.tokens import Caller
from timebank_kit.cursors import CURSOR_CHARACTERS_MAX, make_cursor, read_cursor
from timebank_ledger import commands as c
from timebank_ledger.access import Forbidden, actor, check_account, may_see
from timebank_ledger.answers import SAID_MAX, only_entry, transfer_answer
from timebank_ledger.api_transfers import asking_of
from timebank_ledger.asked import command_head, confirmed_by, new_alias
from timebank_ledger.claims import Begun, accounts_in, claim_answer, claim_now, confirmed_at
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheDryRun, TheEdge, TheKey, needs, try_all, write
from timebank_ledger.payer_tags import payer_tag
from timebank_ledger.replay import read_entry
from timebank_ledger.writer import Written

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


@router.post("", operation_id="makeClaim", status_code=201, openapi_extra=needs("claims:write", keyed=True))
async def make_claim(
    edge: TheEdge, caller: TheCaller, key: TheKey, body: h.NewClaim, dry_run: TheDryRun, response: Response
) -> h.Claim:
    """Say that you gave somebody help: it moves no minutes until they confirm it."""
    check_account(caller, body.giver)
    head = command_head(caller, key, {"kind": "claim", "claim": body.model_dump(exclude_none=True)})
    said = body.model_dump(exclude={"receiver"})
    if isinstance(body.receiver, str):
        written = await write(edge, c.MakeClaim(**head, **said, receiver=body.receiver), dry_run=dry_run)
    else:
        written = await _send_claim(edge, caller, head, said, body.receiver, dry_run=dry_run)
    entry = only_entry(written)
    assert isinstance(entry, e.ClaimMadeEntry | e.ClaimSentEntry)
    response.headers["X-Position"] = str(entry.n + 1)
    return claim_answer(edge.name_at, entry, entry)


async def _send_claim(
    edge: Edge, caller: Caller, head: dict[str, Any], said: dict[str, Any], receiver: PayeeThere, *, dry_run: bool
) -> Written:
    """A claim on another town, with an address of the giver for that town: one a month, made when it is needed."""
    if said.pop("agreed_minutes") is not None:
        raise Refusal("claim_mismatch", "A booking is of one town; a claim on another has no agreed minutes.")
    giver, month = said["giver"], edge.clock.now().date().isoformat()[:7]
    content = {"kind": "claim.address", "giver": giver, "peer": receiver.node, "month": month}
    key, digest = c.key_of("ledger/claims", f"{giver}/{receiver.node}/{month}"), c.digest_of(content)
    alias = new_alias(edge.tag_key, key=key, account=giver)
    address = c.IssueAlias(by=actor(caller), key=key, digest=digest, account=giver, alias=alias, audience=receiver.node)
    claim = c.SendClaim(**head, **said, giver_alias=alias, peer=receiver.node, receiver=receiver.alias)
    # What is refused leaves no address behind, and what was answered before needs none, whoever left since.
    [addressed, tried] = await try_all(edge, [address, claim])
    if isinstance(tried, Exception):
        missing = isinstance(tried, Refusal) and tried.code == "alias_unknown"
        raise addressed if missing and isinstance(addressed, Exception) else tried
    if dry_run or tried.repeated:
        return tried
    await write(edge, address)
    return await write(edge, claim)


@router.get("", operation_id="listClaims", openapi_extra=needs(*_READS))
def list_claims(
    edge: TheEdge,
    caller: TheCaller,
    account: AccountQuery = None,
    disputed: Annotated[bool | None, Query(description="Only those that are, or are not, disputed.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 100,
) -> h.Claims:
    """The claims that are not ended and that the caller may see, oldest first.

    What the rule confirmed and its receiver disputed is among them, for the receiver's side and for who decides it.
    """
    last = -1 if after is None else int(read_cursor("listClaims", after, place="[0-9]{1,16}"))
    with edge.writer.reading() as book:
        claims: list[Claim | SentClaim] = [*book.claims.values(), *book.sent_claims.values()]
        found = [
            claim.position
            for claim in claims
            if claim.position > last and disputed in (None, claim.disputed) and _is_for(caller, claim, account)
        ]
        for name, confirmed in book.rule_confirmed.items() if disputed is not False else ():
            seen = account in (None, confirmed.receiver) and may_see(caller, confirmed.receiver)
            if seen and confirmed.disputed and (position := parse_transfer(name).position) > last:
                found.append(position)
    page = sorted(found)[:limit]
    begun = [_begun(edge, position) for position in page]
    answers = [_now(edge, one) for one in begun if one is not None]
    return h.Claims(claims=answers, next=make_cursor("listClaims", str(page[-1])) if len(found) > len(page) else None)


def _is_for(caller: Caller, claim: Claim | SentClaim, account: str | None) -> bool:
    """Whether the caller sees one of a claim's accounts here, and it is of the account asked for, if one is."""
    named = (claim.giver, claim.receiver) if isinstance(claim, Claim) else (claim.giver,)
    return account in (None, *named) and any(may_see(caller, one) for one in named if one)


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
    begun = await run_in_threadpool(_seen, edge, caller, claim)
    receiver = _side(caller, accounts_in(begun)[1])
    head = command_head(caller, key, {"kind": "confirmation", "claim": claim} | body.model_dump(exclude_none=True))
    asking = asking_of(edge, caller, key)
    command = c.ConfirmClaim(
        **head,
        claim=claim,
        minutes=body.minutes,
        confirmed_by=confirmed_by(caller, body.confirmed_by),
        payer_tag=payer_tag(edge.tag_key, key=asking.hashed_key, account=receiver),
        expires_at=asking.expires_at,
    )
    entry = only_entry(await write(edge, command, dry_run=dry_run))
    response.headers["X-Position"] = str(entry.n + 1)
    return transfer_answer(edge.identity_at(entry.n), entry)


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
    _side(caller, accounts_in(made)[1])
    head = command_head(caller, key, {"kind": "dispute", "claim": claim, "reason": body.reason})
    return await _ended(edge, c.DisputeClaim(**head, claim=claim, reason=body.reason), made, response, dry_run=dry_run)


@router.post("/{claim}/withdrawal", operation_id="withdrawClaim", openapi_extra=needs("claims:write", keyed=True))
async def withdraw_claim(
    edge: TheEdge, caller: TheCaller, key: TheKey, claim: ClaimPath, dry_run: TheDryRun, response: Response
) -> h.Claim:
    """Take a claim back: the giver's side, also while it is disputed."""
    made = await run_in_threadpool(_seen, edge, caller, claim)
    _side(caller, accounts_in(made)[0])
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


async def _ended(edge: Edge, command: c.Command, made: Begun, response: Response, *, dry_run: bool) -> h.Claim:
    entry = only_entry(await write(edge, command, dry_run=dry_run))
    response.headers["X-Position"] = str(entry.n + 1)
    confirmed = None
    if isinstance(made, e.ClaimMadeEntry) and not isinstance(entry, e.ClaimWithdrawn):
        # What the rule confirmed may be disputed, and is confirmed all the same.
        confirmed = await run_in_threadpool(_confirmed_before, edge, made, entry.n)
    return claim_answer(edge.name_at, made, entry, confirmed_at=confirmed)


def _confirmed_before(edge: Edge, made: e.ClaimMadeEntry, position: int) -> int | None:
    index = edge.indexed()
    return confirmed_at(
        edge.name_at,
        edge.name_at(made.n),
        before=position,
        said=lambda subject: index.said_of(subject, limit=SAID_MAX),
        read=lambda at: read_entry(edge.writer.journal, at),
    )


def _side(caller: Caller, account: str | None) -> str:
    """The account of the side that the caller speaks for; raises `Forbidden` when it is not theirs, or not here."""
    if account is None:
        raise Forbidden("The other town's side does this, there.")
    check_account(caller, account)
    return account


def _now(edge: Edge, begun: Begun) -> h.Claim:
    index = edge.indexed()
    with edge.writer.reading() as book:
        return claim_now(edge.name_at, book, begun, said=lambda claim: index.said_of(claim, limit=SAID_MAX))


def _seen(edge: Edge, caller: Caller, claim: str) -> Begun:
    """The entry that began a claim that the caller may see; raises `claim_unknown`."""
    name, node = parse_transfer(claim), edge.identity.node
    position: int | None = None
    if name.peer is None:
        is_there = name.position < edge.length and edge.name_at(name.position) == claim
        position = name.position if is_there else None
    elif name.node == node:
        position = edge.indexed().sent_at(name.peer, name.generation, name.position)
    elif name.peer == node:
        position = edge.indexed().begun_at(claim)
    begun = None if position is None else _begun(edge, position)
    if begun is None or not any(may_see(caller, account) for account in accounts_in(begun) if account is not None):
        raise Refusal("claim_unknown")
    return begun


def _begun(edge: Edge, position: int) -> Begun | None:
    entry = read_entry(edge.writer.journal, position)
    if isinstance(entry, e.MessageRecoveredEntry) and not isinstance(entry.data.account, str):
        return None  # Another message, or a claim whose giver is lost.
    return entry if isinstance(entry, Begun) else None
