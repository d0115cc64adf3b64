"""The ledger's HTTP application: every route, guarded; every error, a problem document.

Reading order: `edge.py`, `api_transfers.py`, `api_accounts.py`, `api_statements.py`, `api_peers.py`, `api_log.py`.
Source: design page 3, "HTTP API"; the served document is `contracts/openapi/ledger.json`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from threading import BoundedSemaphore
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from timebank_contracts.http_answers import Readiness
from timebank_kit.clock import Clock
from timebank_kit.metrics import CONTENT_TYPE
from timebank_kit.openapi import openapi_document, read_examples
from timebank_kit.problem_answers import EdgeProblem, answer_problems
from timebank_kit.web import BodyLimit
from timebank_ledger import (
    api_accounts,
    api_aliases,
    api_bulk,
    api_claims,
    api_edits,
    api_feed,
    api_log,
    api_money,
    api_peers,
    api_refunds,
    api_statements,
    api_transfers,
    api_webhooks,
    api_witnessed,
)
from timebank_ledger.access import Access
from timebank_ledger.batch import BATCH_BYTES_MAX
from timebank_ledger.edge import Edge, GuardedRoute, TheEdge, public
from timebank_ledger.index import Index
from timebank_ledger.metrics import CountAnswers, Metrics
from timebank_ledger.problem_answers import PROBLEMS
from timebank_ledger.publication import Publication
from timebank_ledger.settings import Settings
from timebank_ledger.short_way import ShortWay
from timebank_ledger.webhook_store import WebhookStore
from timebank_ledger.writer import Writer

API_VERSION = "1"
router = APIRouter(route_class=GuardedRoute, tags=["node"])
ROUTERS = (
    api_transfers.router,
    api_bulk.router,
    api_claims.router,
    api_money.router,
    api_refunds.router,
    api_accounts.router,
    api_aliases.router,
    api_edits.router,
    api_statements.router,
    api_feed.router,
    api_webhooks.router,
    api_peers.router,
    api_log.router,
    api_witnessed.router,
    router,
)


def make_app(
    *,
    writer: Writer,
    access: Access,
    index: Index,
    settings: Settings,
    clock: Clock,
    tag_key: bytes,
    random_bytes: Callable[[int], bytes],
    webhooks: WebhookStore,
) -> FastAPI:
    """The application of one town's ledger.

    Args:
        writer: owns the journal; until its first entry is written, routes answer `node_not_opened`.
        access: judges tokens.
        index: of the same journal.
        settings: limits of the edge.
        clock: for tokens, expiry and ages.
        tag_key: the town's secret that makes payer tags, 32 bytes.
        random_bytes: gives receiving addresses; `secrets.token_bytes` but for tests and the demo.
        webhooks: what clients subscribed to.
    """
    app = _bare_app()
    app.state.edge = Edge(
        writer=writer,
        access=access,
        index=index,
        publication=Publication(writer.journal, writer.tail),
        settings=settings,
        clock=clock,
        tag_key=tag_key,
        random_bytes=random_bytes,
        webhooks=webhooks,
    )
    app.state.metrics = Metrics(writer, index, webhooks)
    [plain] = (
        one for one in api_transfers.router.routes if isinstance(one, GuardedRoute) and one.name == "post_transfer"
    )
    app.state.uploads = BoundedSemaphore(api_bulk.UPLOADS_MAX)
    short = ShortWay(app.framework, owner=app, route=plain)
    bounded = BodyLimit(short, bytes_max=BATCH_BYTES_MAX, streams=frozenset({api_bulk.PATH}))
    app.front = CountAnswers(bounded, metrics=app.state.metrics)
    return app


class LedgerApp(FastAPI):
    """The framework's application behind our own layers: its own take a tenth of a plain transfer's time."""

    front: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.front or self.framework)(scope, receive, send)

    async def framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is behind the front."""
        await super().__call__(scope, receive, send)


def _bare_app() -> LedgerApp:
    app = LedgerApp(
        title="Timebank ledger",
        version=API_VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for routes in ROUTERS:
        app.include_router(routes)
    answer_problems(app, PROBLEMS)
    return app


@cache
def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the API, the same for every town."""
    return openapi_document(
        _bare_app(),
        description="One town's ledger. Minutes are whole numbers, hashes hex, times UTC.",
        examples=read_examples("timebank_ledger"),
    )


@router.get("/livez", operation_id="isAlive", openapi_extra=public())
async def is_alive() -> dict[str, str]:
    """The process answers."""
    return {"state": "alive"}


@router.get("/readyz", operation_id="isReady", openapi_extra=public())
async def is_ready(edge: TheEdge) -> Readiness:
    """Commands are taken; else a problem says why not, and reading goes on. A broker that is away is no reason."""
    reason = edge.writer.loop.reason
    if reason is not None:
        raise EdgeProblem("writer_stopped", reason)
    if not edge.length:
        raise EdgeProblem("writer_stopped", "The journal is empty; `timebank node init` writes its first entries.")
    trouble = [text for text in (edge.writer.checkpoints.trouble, edge.index.trouble) if text is not None]
    return Readiness(state="ready", entries=edge.length, trouble=trouble)


@router.get(
    "/metrics",
    operation_id="getMetrics",
    openapi_extra=public(),
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text."}},
)
def get_metrics(request: Request) -> Response:
    """Counters and gauges, without anything personal."""
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.text(), media_type=CONTENT_TYPE)


@router.get("/openapi.json", operation_id="getOpenapi", openapi_extra=public())
def get_openapi_document() -> dict[str, Any]:
    """This document."""
    return document()
