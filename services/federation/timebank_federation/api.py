"""What federation serves: segments to the peer that they are for, the registry to anybody, its state to operators.

Source: design page 2, "Transport"; PROTOCOL.md W4 to W6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode
from timebank_contracts.names import Identity
from timebank_contracts.tokens import Caller, Issuer, audience, verify_token
from timebank_federation.receiver import Receiver
from timebank_federation.registries import Registries
from timebank_federation.sender import Sender
from timebank_kit.clock import Clock

REGISTRY_TYPE = "application/vnd.dsse+json"


class _Denied(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


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
) -> FastAPI:
    """The application.

    Args:
        operators: the town's directory, which issues operators' tokens.
        metrics: what `/metrics` shows.
        trouble: why the service is not ready, or None (a broker that is away is no reason).
        directory: a client of the town's directory: this service is the town's one door to its peers.
    """
    app = FastAPI(title="Timebank federation", version="1", docs_url="/docs", redoc_url=None)

    def caller(authorization: Annotated[str | None, Header()] = None) -> Caller:
        if authorization is None or not authorization.startswith("Bearer "):
            raise _Denied(401, "unauthorised", "Send a bearer token.")
        issuers = {operators.name: operators}
        registry = registries.latest
        for node in registry.nodes if registry is not None else ():
            keys = tuple(b64_decode(key) for key in node.event_keys)
            issuers[node.node] = Issuer(node.node, keys, frozenset({"federation"}))
        try:
            return verify_token(
                authorization.removeprefix("Bearer "),
                issuers=issuers,
                audience=audience(identity.network, identity.node),
                now_seconds=int(clock.now().timestamp()),
            )
        except Malformed as error:
            raise _Denied(401, "unauthorised", str(error)) from error

    known = Depends(caller)

    @app.exception_handler(_Denied)
    def denied(_: Request, error: _Denied) -> JSONResponse:
        return _problem(error.status, error.code, error.detail)

    @app.get("/v1/streams/{sender_node}/{generation}/{to}", operation_id="getSegment", tags=["federation"])
    def get_segment(
        sender_node: str,
        generation: str,
        to: str,
        after: Annotated[int, Query(ge=0, le=2**53 - 1)],
        limit: Annotated[int, Query(ge=0, le=256)] = 256,
        asked_by: Caller = known,
    ) -> Response:
        """One segment with the messages after a position, cut and signed now. Scope `federation`, of the peer `to`."""
        if "federation" not in asked_by.scopes or asked_by.issuer != to:
            raise _Denied(403, "forbidden", "A peer reads its own stream only.")
        if (sender_node, generation) != (identity.node, identity.generation):
            return _problem(404, "stream_unknown", "This node serves its own streams of its present generation.")
        segment = sender.segment_after(to, after, limit=limit)
        if segment is None:
            return _problem(404, "stream_unknown", "There is no such stream, or it is shorter than that.")
        return Response(segment, media_type="application/octet-stream")

    @app.post("/v1/payees", operation_id="askPayee", tags=["federation"])
    async def ask_payee(request: Request) -> Response:
        """A peer's question for a member's receiving address, passed on to the directory, which judges the token."""
        body = await request.body()
        headers = {"Content-Type": "application/json", "Authorization": request.headers.get("authorization", "")}
        try:
            answer = await run_in_threadpool(directory.post, "/v1/payees", content=body, headers=headers)
        except httpx.HTTPError:
            return _problem(503, "not_ready", "The town's directory does not answer; come again.")
        return Response(answer.content, status_code=answer.status_code, media_type=answer.headers["content-type"])

    @app.get("/.well-known/timebank/registry/{version}", operation_id="getRegistry", tags=["public"])
    def get_registry(version: str) -> Response:
        """The network's registry, signed by its operators: a version number or `latest`. Public."""
        wanted = (
            registries.version
            if version == "latest"
            else int(version)
            if version.isascii() and version.isdigit()
            else 0
        )
        envelope = registries.envelope(wanted)
        if envelope is None:
            return _problem(404, "registry_unknown", f"This node holds versions 1 to {registries.version}.")
        return Response(envelope, media_type=REGISTRY_TYPE, headers={"X-Registry-Version": str(wanted)})

    @app.get("/v1/federation/state", operation_id="getFederationState", tags=["operators"])
    def get_state(asked_by: Caller = known) -> dict[str, Any]:
        """Streams, counts and quarantine of this node. Scope `operate`."""
        if "operate" not in asked_by.scopes:
            raise _Denied(403, "forbidden", "This needs the scope operate.")
        return {
            "broker_away": sender.broker_away,
            "registry": registries.version,
            "segments": dict(receiver.counts),
            "quarantined": len(receiver.quarantine.kept),
            "quarantine_given_up": receiver.quarantine.given_up,
            "peers": {
                name: {"head": peer.head.n, "sent": peer.outgoing.sent, "heard": peer.outgoing.heard}
                for name, peer in sender.peers.items()
            },
        }

    @app.get("/livez", operation_id="live", tags=["public"])
    def live() -> dict[str, str]:
        """The process answers. Public."""
        return {"status": "live"}

    @app.get("/readyz", operation_id="ready", tags=["public"])
    def ready() -> Response:
        """Whether streams are served; a broker that is away does not matter. Public."""
        why = trouble()
        if why is not None:
            return _problem(503, "not_ready", why)
        return JSONResponse({"status": "ready", "broker": "away" if sender.broker_away else "in use"})

    @app.get("/metrics", operation_id="metrics", tags=["public"])
    def get_metrics() -> Response:
        """Prometheus text. Public: no name and no amount of a person is in it."""
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    return app


def _problem(status: int, code: str, detail: str) -> JSONResponse:
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
