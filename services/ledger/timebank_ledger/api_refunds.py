"""Routes of what comes after a transfer: giving it back to another town, and thanks.

Source: design page 2, "Refund"; page 10, "Thanks"; PROTOCOL.md T15, D13, D14.
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from msgspec import UNSET
from starlette.concurrency import run_in_threadpool

from timebank_contracts import entries as e
from timebank_contracts import http_answers
from timebank_contracts import http_claims as h
from timebank_contracts.errors import Refusal
from timebank_contracts.tokens import Caller
from timebank_kit.problem_answers import EdgeProblem
from timebank_ledger import commands as c
from timebank_ledger.access import Forbidden, actor, check_account, may_see
from timebank_ledger.answers import first_entry, only_entry, transfer_answer
from timebank_ledger.api_transfers import TransferPath, asking_of
from timebank_ledger.asked import command_head
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheDryRun, TheEdge, TheKey, needs, write
from timebank_ledger.payer_tags import payer_tag

router = APIRouter(prefix="/v1/transfers", route_class=GuardedRoute, tags=["transfers"])


@router.post(
    "/{transfer}/refund",
    operation_id="refundTransfer",
    status_code=201,
    openapi_extra=needs("transfers:write", keyed=True),
)
async def refund_transfer(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    transfer: TransferPath,
    body: h.NewRefund,
    response: Response,
    dry_run: TheDryRun,
) -> http_answers.Transfer:
    """Give minutes that came from another town back, all or a part: they go to whoever paid them there."""
    began = await run_in_threadpool(_began, edge, caller, transfer)
    if not isinstance(began, e.TransferReceived):
        raise Refusal("transfer_unknown", "Only a transfer from another town is refunded; see its reversal here.")
    assert began.postings is not UNSET
    payer = "pot" if body.from_pot else began.postings[1][0]
    if not body.from_pot:
        check_account(caller, payer)
    elif actor(caller).kind not in ("broker", "operator"):
        raise Forbidden("A broker or operator lets the pot give minutes back.")
    asking = asking_of(edge, caller, key)
    head = asking.head({"kind": "refund", "transfer": transfer} | body.model_dump(exclude_none=True))
    command = c.RefundTransfer(
        **head,
        transfer=transfer,
        position=began.n,
        minutes=body.minutes,
        payer=payer,
        payer_tag=payer_tag(edge.tag_key, key=asking.hashed_key, account=payer),
        expires_at=asking.expires_at,
    )
    entry = only_entry(await write(edge, command, dry_run=dry_run))
    response.headers["X-Position"] = str(entry.n + 1)
    return transfer_answer(edge.identity, entry)


@router.post(
    "/{transfer}/thanks",
    operation_id="thankForTransfer",
    status_code=201,
    openapi_extra=needs("transfers:write", "claims:write", keyed=True),
)
async def thank_for_transfer(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    transfer: TransferPath,
    body: h.NewThanks,
    response: Response,
    dry_run: TheDryRun,
) -> h.Thanks:
    """Thank for a transfer, once from each side, within 90 days; words of thanks are the directory's."""
    began = await run_in_threadpool(_began, edge, caller, transfer)
    side = _side(caller, began, body.side)
    head = command_head(caller, key, {"kind": "thanks", "transfer": transfer, "side": side})
    command = c.GiveThanks(**head, transfer=transfer, side=side, position=began.n)
    entry = only_entry(await write(edge, command, dry_run=dry_run))
    response.headers["X-Position"] = str(entry.n + 1)
    return h.Thanks(transfer=transfer, side=side, time=entry.time, position=entry.n)


def _began(edge: Edge, caller: Caller, transfer: str) -> e.Entry:
    """The entry that began a transfer here, for who sees one of its accounts; raises `transfer_unknown`."""
    entry = first_entry(edge, transfer)
    if entry is None or entry.postings is UNSET or not any(may_see(caller, account) for account, _ in entry.postings):
        raise Refusal("transfer_unknown")
    return entry


Side = Literal["payer", "payee"]


def _side(caller: Caller, began: e.Entry, said: Side | None) -> Side:
    """The side for which the caller thanks.

    Raises:
        EdgeProblem: `field_invalid` when the caller speaks for both sides and says none, `forbidden` for neither.
    """
    assert began.postings is not UNSET
    sides: list[Side] = []
    for account, minutes in began.postings:
        side: Side = "payer" if minutes < 0 else "payee"
        if ":" not in account and side not in sides and caller.may_use(account):
            sides.append(side)
    if said is not None:
        sides = [side for side in sides if side == said]
    if not sides:
        raise EdgeProblem("forbidden", "The token speaks for no account of that side.")
    if len(sides) > 1:
        raise EdgeProblem("field_invalid", "side: say for which side you thank: payer or payee.")
    return sides[0]
