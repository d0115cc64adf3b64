"""What federation serves: segments to the peer that they are for, the registry to anybody, its state to operators.

Source: design page 2, "Transport"; PROTOCOL.md W4 to W6; the served document is `contracts/openapi/federation.json`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final

import httpx
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry

from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.names import GENERATION_PATTERN, Identity
from timebank_contracts.problems import problem
from timebank_contracts.registry import REGISTRY_BYTES_MAX
from timebank_contracts.tokens import Issuer, Rejected
from timebank_federation.agreements import Agreements
from timebank_federation.api_limits import router as limits
from timebank_federation.api_witness import NOTE_TYPE
from timebank_federation.api_witness import router as witnesses
from timebank_federation.door import Door, TheCaller, TheDoor
from timebank_federation.ledger_client import LedgerAway
from timebank_federation.own_keys import KeyNotRegistered
from timebank_federation.receiver import Receiver
from timebank_federation.registries import Registries
from timebank_federation.sender import Sender
from timebank_federation.witness import Witness
from timebank_federation.witnessing import Witnessing
from timebank_kit.clock import Clock
from timebank_kit.idempotency import KEY_HEADER, check_key
from timebank_kit.key_set import KeysAway
from timebank_kit.metrics import CONTENT_TYPE, exposition
from timebank_kit.oidc import OutsideIssuer
from timebank_kit.openapi import PUBLIC, needs, openapi_document, read_examples
from timebank_kit.problem_answers import EdgeProblem, answer_problems
from timebank_kit.strict_json import JSON_TYPE, check_type
from timebank_kit.web import BodyLimit

REGISTRY_TYPE: Final = "application/vnd.dsse+json"
BODY_BYTES_MAX: Final = REGISTRY_BYTES_MAX
QUESTION_BYTES_MAX: Final = 65_536
_GENERATION = re.compile(GENERATION_PATTERN)
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_BYTES: Final[dict[str, object]] = {"application/octet-stream": {}}
_BINARY: Final = {"type": "string", "format": "binary"}

router = APIRouter()


def make_app(
    *,
    identity: Identity,
    sender: Sender,
    receiver: Receiver,
    registries: Registries,
    clock: Clock,
    operators: Issuer,
    metrics: CollectorRegistry,
    trouble: Callable[[], str | None],
    directory: httpx.Client,
    agreements: Agreements,
    witnessing: Witnessing,
    witness: Witness | None = None,
    outside: OutsideIssuer | None = None,
) -> FastAPI:
    """The application.

    Args:
        operators: the town's directory, which issues operators' tokens.
        metrics: what `/metrics` shows.
        trouble: why the service is not ready, or None (a broker that is away is no reason).
        agreements: limits that two towns agree on.
        witnessing: what witnesses cosigned of this node's log.
        witness: this node as a witness of others; None: it is none.
        directory: a client of the town's directory: this service is the town's one door to its peers.
        outside: an issuer that the town believes beside its directory.
    """
    app = _bare_app()
    app.state.door = Door(
        identity=identity,
        sender=sender,
        receiver=receiver,
        registries=registries,
        clock=clock,
        operators=operators,
        metrics=metrics,
        trouble=trouble,
        directory=directory,
        outside=outside,
        agreements=agreements,
        witnessing=witnessing,
    )
    app.state.witness = witness
    app.add_middleware(BodyLimit, bytes_max=BODY_BYTES_MAX)
    return app


def _bare_app() -> FastAPI:
    app = FastAPI(title="Timebank federation", version="1", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(router)
    app.include_router(limits)
    app.include_router(witnesses)
    answer_problems(
        app,
        {
            KeysAway: lambda error: problem("room_away", str(error)),
            Rejected: lambda error: problem("unauthorised", str(error)),
            KeyNotRegistered: lambda error: problem("not_ready", str(error)),
            Refusal: lambda error: problem(error.code, error.detail),
            LedgerAway: lambda _: problem("not_ready", "The town's ledger does not answer now; come again later."),
        },
    )
    return app


def document() -> dict[str, Any]:
    """The OpenAPI document, the same for every town."""
    return openapi_document(
        _bare_app(),
        description="One town's door to the other towns of its network.",
        examples=read_examples("timebank_federation"),
    )


@router.get(
    "/v1/streams/{sender_node}/{generation}/{to}",
    operation_id="getSegment",
    tags=["federation"],
    openapi_extra=needs("federation"),
    response_class=Response,
    responses={200: {"content": _BYTES, "description": "A segment."}},
)
def get_segment(
    door: TheDoor,
    caller: TheCaller,
    sender_node: str,
    generation: str,
    to: str,
    after: Annotated[int, Query(ge=0, le=2**53 - 1, description="Stream position of the last message had.")],
    limit: Annotated[int, Query(ge=0, le=256, description="Messages.")] = 256,
) -> Response:
    """One segment with the messages after a position, cut and signed now, for the peer `to` alone.

    To the sender of a stream that came here, what was kept of it after its generation was closed, then our last word.
    """
    is_its_own = caller.issuer == sender_node and to == door.identity.node
    if "federation" not in caller.scopes or not (caller.issuer == to or is_its_own):
        raise EdgeProblem("forbidden", "A peer reads its own streams only.")
    if (why := door.registries.fork) is not None:
        raise EdgeProblem("not_ready", why)
    if is_its_own:
        return _kept(door, sender_node, generation, after)
    if (sender_node, generation) != (door.identity.node, door.identity.generation):
        raise EdgeProblem("stream_unknown", "This node serves its own streams of its present generation.")
    segment = door.sender.segment_after(to, after, limit=limit)
    if segment is None:
        raise EdgeProblem("stream_unknown")
    return Response(segment, media_type="application/octet-stream")


def _kept(door: Door, peer: str, generation: str, after: int) -> Response:
    """What a peer that lost state sent here before; nothing of a generation that is not closed here."""
    if not _GENERATION.fullmatch(generation):
        raise EdgeProblem("stream_unknown")
    last_word = door.sender.last_word(peer, generation)
    if last_word is None:
        raise EdgeProblem("stream_unknown", f"Generation {generation} of {peer} is not closed here.")
    segment = door.sender.kept_after(peer, generation, after)
    return Response(segment or last_word, media_type="application/octet-stream")


@router.post(
    "/v1/payees",
    operation_id="askPayee",
    tags=["federation"],
    openapi_extra={
        **needs("federation"),
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    },
)
async def ask_payee(door: TheDoor, request: Request) -> Response:
    """A peer's question for a member's receiving address, passed on to the directory, which judges the token."""
    check_type(request, JSON_TYPE)
    body = await request.body()
    if len(body) > QUESTION_BYTES_MAX:
        raise EdgeProblem("too_large", f"This route takes at most {QUESTION_BYTES_MAX} bytes.")
    headers = {"Content-Type": "application/json", "Authorization": request.headers.get("authorization", "")}
    try:
        answer = await run_in_threadpool(door.directory.post, "/v1/payees", content=body, headers=headers)
    except httpx.HTTPError as error:
        raise EdgeProblem("not_ready", "The town's directory does not answer; come again later.") from error
    media_type = answer.headers.get("content-type", "application/octet-stream")
    return Response(answer.content, status_code=answer.status_code, media_type=media_type)


@router.get(
    "/.well-known/timebank/registry/{version}",
    operation_id="getRegistry",
    tags=["public"],
    openapi_extra=PUBLIC,
    response_class=Response,
    responses={200: {"content": {REGISTRY_TYPE: {}}, "description": "A signed registry document."}},
)
def get_registry(door: TheDoor, version: str) -> Response:
    """The network's registry, signed by its operators: a version number or `latest`."""
    envelopes = door.registries.envelopes
    wanted = len(envelopes) if version == "latest" else int(version) if _VERSION.fullmatch(version) else 0
    if wanted not in envelopes:
        raise EdgeProblem("registry_unknown", f"This node holds versions 1 to {len(envelopes)}.")
    return Response(envelopes[wanted], media_type=REGISTRY_TYPE, headers={"X-Registry-Version": str(wanted)})


@router.get(
    "/v1/cosigned",
    operation_id="getCosigned",
    tags=["public"],
    openapi_extra=PUBLIC,
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "A signed note with cosignatures."}},
)
def get_cosigned(door: TheDoor) -> Response:
    """The checkpoint of this town's log that most witnesses cosigned, the newest of such, with their lines."""
    note = door.witnessing.cosigned()
    if note is None:
        raise EdgeProblem("not_found", "No witness has cosigned this log yet.")
    return Response(note, media_type=NOTE_TYPE, headers={"Cache-Control": "no-cache"})


@router.put(
    "/v1/federation/registry",
    operation_id="putRegistry",
    tags=["operators"],
    openapi_extra={
        **needs("operate", keyed=True),
        "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": _BINARY}}},
    },
)
async def put_registry(door: TheDoor, request: Request, caller: TheCaller) -> dict[str, Any]:
    """Take the registry's next version from an operator; peers fetch it from here. The one in force changes nothing."""
    if "operate" not in caller.scopes:
        raise EdgeProblem("forbidden", "This needs the scope operate.")
    check_key(request.headers.get(KEY_HEADER))
    envelope = await request.body()
    return await run_in_threadpool(_take_registry, door, envelope)


def _take_registry(door: Door, envelope: bytes) -> dict[str, Any]:
    try:
        registry = door.registries.add(envelope)
    except Malformed as error:
        raise EdgeProblem("registry_invalid", str(error)) from error
    door.receiver.hand_over_registries()
    refused = door.receiver.registry_refused
    return {"version": registry.version, "sha256": registry.sha256, "refused_by_ledger": refused}


@router.get(
    "/v1/federation/state", operation_id="getFederationState", tags=["operators"], openapi_extra=needs("operate")
)
def get_state(door: TheDoor, caller: TheCaller) -> dict[str, Any]:
    """Streams, counts and quarantine of this node."""
    if "operate" not in caller.scopes:
        raise EdgeProblem("forbidden", "This needs the scope operate.")
    receiver, quarantine = door.receiver, door.receiver.quarantine
    return {
        "broker_away": door.sender.broker_away,
        "registry": door.registries.version,
        "registry_forked": door.registries.fork,
        "registry_refused": receiver.registry_refused,
        "intake_stopped": receiver.intake.reason,
        "waits_for_upgrade": sorted(receiver.waits_for_upgrade),
        "segments": dict(receiver.counts),
        "quarantined": len(quarantine.kept),
        "quarantine_given_up": quarantine.given_up,
        "witnessing": door.witnessing.state(),
        "peers": {
            name: {
                "head": peer.head.n,
                "sent": peer.outgoing.sent,
                "heard": peer.outgoing.heard,
                "unheard": peer.head.n - peer.outgoing.heard,
                "applied": peer.incoming.n,
                "last_contact": None if peer.contact_at is None else peer.contact_at.isoformat(),
            }
            for name, peer in list(door.sender.peers.items())
        },
    }


@router.get("/livez", operation_id="isAlive", tags=["node"], openapi_extra=PUBLIC)
def is_alive() -> dict[str, str]:
    """The process answers."""
    return {"state": "alive"}


@router.get("/readyz", operation_id="isReady", tags=["node"], openapi_extra=PUBLIC)
def is_ready(door: TheDoor) -> JSONResponse:
    """Whether streams are served and peers heard; a broker that is away does not matter."""
    why = door.trouble()
    if why is not None:
        raise EdgeProblem("not_ready", why)
    return JSONResponse({"state": "ready", "broker": "away" if door.sender.broker_away else "in use"})


@router.get(
    "/metrics",
    operation_id="getMetrics",
    tags=["node"],
    openapi_extra=PUBLIC,
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text."}},
)
def get_metrics(door: TheDoor) -> Response:
    """Counters and gauges, without anything personal."""
    return Response(exposition(door.metrics), media_type=CONTENT_TYPE)


@router.get("/openapi.json", operation_id="getOpenapi", tags=["node"], openapi_extra=PUBLIC)
def get_openapi_document() -> dict[str, Any]:
    """This document."""
    return document()
