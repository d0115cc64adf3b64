"""The town at a glance: balances by kind, positions with peers, streams, checkpoint. An HTTP client of the ledger.

The page shows no person: accounts are counted by kind. It works without JavaScript.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from timebank_contracts.amounts import show_hours
from timebank_contracts.names import Identity

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:",
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
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
    )
    pages.filters["hours"] = show_hours

    def ask(path: str) -> Any:
        answer = ledger.get(path, headers={"Authorization": f"Bearer {token()}"})
        answer.raise_for_status()
        return answer.json() if "json" in answer.headers["content-type"] else answer.text

    @app.get("/", operation_id="town", response_class=HTMLResponse)
    def town() -> HTMLResponse:
        try:
            seen = {
                "trial": ask("/v1/trial-balance"),
                "positions": ask("/v1/positions"),
                "streams": ask("/v1/streams"),
                "checkpoint": ask("/checkpoint"),
            }
        except httpx.HTTPError:
            page = pages.get_template("away.html").render(title=title)
            return HTMLResponse(page, status_code=503, headers=HEADERS)
        page = pages.get_template("town.html").render(title=title, identity=identity, **seen)
        return HTMLResponse(page, headers=HEADERS)

    return app
