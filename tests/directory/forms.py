"""What tests ask of a directory, and the one form in which it refuses."""

from __future__ import annotations

from typing import Any

import httpx

from tests.federation.towns import FederatedTown
from timebank_contracts.problems import MEDIA_TYPE, STATUS

NEW: dict[str, Any] = {"handle": "mair", "name": "Mair"}


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem in the one form."""
    body = answer.json()
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert {"type", "title", "detail"} <= body.keys()
    assert body["status"] == answer.status_code == STATUS[body["code"]]
    return answer.status_code, body["code"]


def enrol(town: FederatedTown, **changes: Any) -> httpx.Response:
    return town.http.post("/v1/members", json={**NEW, **changes}, headers=town.headers("operate"))


def resolve(town: FederatedTown, handle: str, node: str) -> httpx.Response:
    question = {"handle": handle, "node": node}
    return town.http.post("/v1/payees/resolve", json=question, headers=town.headers("transfers:write"))
