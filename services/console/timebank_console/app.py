"""The town at a glance: balances by kind, positions with peers, streams, checkpoint. An HTTP client of the ledger.

The page shows no person: accounts are counted by kind. It works without JavaScript.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from timebank_contracts.amounts import show_hours
from timebank_contracts.names import Identity
from timebank_contracts.problems import MEDIA_TYPE, problem
from timebank_kit.problem_answers import answer_problems

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_app(identity: Identity, ledger: httpx.Client, token: Callable[[], str], *, title: str) -> FastAPI:
    """The application.

    Args:
        identity: of the town.
        ledger: a client whose base URL is the ledger's.
        token: makes a bearer token that may read the town's reports.
        title: the town's name for people.
    """
    app = FastAPI(title="Timebank console", docs_url=None, redoc_url=None, openapi_url=None)
    answer_problems(app, {})
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
    )
    pages.filters["hours"] = show_hours

    def ask(path: str) -> httpx.Response:
        return ledger.get(path, headers={"Authorization": f"Bearer {token()}"}).raise_for_status()

    @app.get("/livez", operation_id="livez")
    def livez() -> dict[str, str]:
        return {"state": "alive"}

    @app.get("/readyz", operation_id="readyz")
    def readyz() -> JSONResponse:
        try:
            ask("/v1/trial-balance")
        except httpx.HTTPError:
            text = "The ledger does not answer, or does not let the console read; see its client and its addresses."
            return JSONResponse(problem("not_ready", text), status_code=503, media_type=MEDIA_TYPE)
        return JSONResponse({"state": "ready"})

    @app.get("/", operation_id="town", response_class=HTMLResponse)
    def town() -> HTMLResponse:
        try:
            seen: dict[str, Any] = {
                "trial": ask("/v1/trial-balance").json(),
                "checkpoint": ask("/checkpoint").text,
                "positions": ask("/v1/positions").json(),
            }
            # Asked last: a peer of the positions is always among the streams.
            seen["streams"] = {stream["peer"]: stream for stream in ask("/v1/streams").json()["streams"]}
        except httpx.HTTPError:
            page = pages.get_template("away.html").render(title=title)
            return HTMLResponse(page, status_code=503, headers={**HEADERS, "Retry-After": "5"})
        page = pages.get_template("town.html").render(title=title, identity=identity, **seen)
        return HTMLResponse(page, headers=HEADERS)

    return app
