"""Routes about agreed limits: a peer hands a proposal or its assent over; operators propose, assent, and look.

Source: PROTOCOL.md R10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from timebank_contracts import names
from timebank_contracts.agreements import AGREEMENT_BYTES_MAX
from timebank_contracts.amounts import LIMIT_MAX
from timebank_contracts.errors import Malformed
from timebank_contracts.tokens import Caller
from timebank_federation.agreements import Agreements, Standing, show_standing
from timebank_federation.door import TheCaller, TheDoor
from timebank_federation.ledger_client import LedgerRefused
from timebank_kit.idempotency import KEY_HEADER, check_key
from timebank_kit.openapi import needs
from timebank_kit.problem_answers import EdgeProblem
from timebank_kit.strict_json import StrictRoute

router = APIRouter(route_class=StrictRoute)
ENVELOPE: Final = {"type": "string", "format": "binary", "description": "A DSSE envelope of an agreement."}
PeerPath = Annotated[str, Path(pattern=names.NODE_PATTERN, description="The other town.")]


class NewProposal(BaseModel):
    """A limit that both towns shall agree on."""

    model_config = ConfigDict(extra="forbid", strict=True)
    peer: str = Field(pattern=names.NODE_PATTERN, examples=["barry"])
    limit: int = Field(ge=0, le=LIMIT_MAX, description="Minutes that either may owe the other.", examples=[3000])


@router.put(
    "/v1/limits/{peer}",
    operation_id="takeLimit",
    tags=["federation"],
    openapi_extra={
        **needs("federation", keyed=True),
        "security": [{"bearer": ["federation"]}, {"bearer": ["operate"]}],
        "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": ENVELOPE}}},
    },
)
async def take_limit(door: TheDoor, request: Request, caller: TheCaller, peer: PeerPath) -> dict[str, Any]:
    """A peer's proposal, or its assent, from the peer or as a file: signed by both, it counts here at once."""
    if "operate" not in caller.scopes and ("federation" not in caller.scopes or caller.issuer != peer):
        raise EdgeProblem("forbidden", "A peer hands over its own proposals only.")
    check_key(request.headers.get(KEY_HEADER))
    envelope = await request.body()
    if len(envelope) > AGREEMENT_BYTES_MAX:
        raise EdgeProblem("too_large", f"This route takes at most {AGREEMENT_BYTES_MAX} bytes.")
    return await _said(door, lambda agreements: agreements.take(envelope))


@router.get("/v1/federation/limits", operation_id="listLimits", tags=["operators"], openapi_extra=needs("operate"))
async def list_limits(door: TheDoor, caller: TheCaller) -> dict[str, Any]:
    """Proposals that wait for an assent, and agreements that count."""
    _check_operator(caller)
    return {"limits": await run_in_threadpool(door.agreements.listed)}


@router.post(
    "/v1/federation/limits",
    operation_id="proposeLimit",
    tags=["operators"],
    openapi_extra=needs("operate", keyed=True),
)
async def propose_limit(door: TheDoor, request: Request, caller: TheCaller, body: NewProposal) -> dict[str, Any]:
    """Propose a limit to a peer; it counts when the peer's operator has assented. The latest proposal stands."""
    _check_operator(caller)
    check_key(request.headers.get(KEY_HEADER))
    return await _said(door, lambda agreements: agreements.propose(body.peer, body.limit))


@router.post(
    "/v1/federation/limits/{peer}/assent",
    operation_id="assentLimit",
    tags=["operators"],
    openapi_extra=needs("operate", keyed=True),
)
async def assent_limit(door: TheDoor, request: Request, caller: TheCaller, peer: PeerPath) -> dict[str, Any]:
    """Assent to the peer's proposal that waits here: it counts here now, and there when it is handed over."""
    _check_operator(caller)
    check_key(request.headers.get(KEY_HEADER))
    return await _said(door, lambda agreements: agreements.assent(peer))


def _check_operator(caller: Caller) -> None:
    if "operate" not in caller.scopes:
        raise EdgeProblem("forbidden", "This needs the scope operate.")


async def _said(door: TheDoor, act: Callable[[Agreements], Standing]) -> dict[str, Any]:
    try:
        return show_standing(await run_in_threadpool(act, door.agreements))
    except Malformed as error:
        raise EdgeProblem("malformed", str(error)) from error
    except LedgerRefused as refused:
        raise EdgeProblem("registry_invalid", str(refused)) from refused
