"""Every route that writes takes an Idempotency-Key, whatever the room: read from the three committed documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

OPENAPI = Path(__file__).parents[2] / "contracts" / "openapi"
WRITES = frozenset({"post", "put", "patch", "delete"})
EXEMPT: dict[str, dict[str, str]] = {
    "ledger.json": {
        "postTransfers": "each command of a batch has its own key",
        "uploadTransfers": "each line has its own key",
        "sayContradiction": "it writes nothing; what it stops is stopped however often it is said",
        "takeSegment": "a message's place in its stream is its key: it is decided once, whatever is sent again",
    },
    "directory.json": {
        "getToken": "OAuth 2.0 says how it is asked; a token is not kept",
        "resolvePayee": "a question: it is a POST so that no handle stands in a URL",
        "givePayee": "a question of a peer's node, whose address for the day is one",
    },
    "federation.json": {
        "addCheckpoint": "tlog-witness says how it is asked; the same checkpoint is cosigned again",
        "askPayee": "the same question, passed on",
    },
}
"""Operations that write without the header, and why each may."""


def operations(name: str) -> list[dict[str, Any]]:
    """The operations of a document that may write."""
    said = json.loads((OPENAPI / name).read_text("utf-8"))
    return [one for path in said["paths"].values() for method, one in path.items() if method in WRITES]


def is_keyed(operation: dict[str, Any]) -> bool:
    found = [one for one in operation.get("parameters", []) if one["name"] == "Idempotency-Key"]
    return len(found) == 1 and found[0]["in"] == "header" and found[0]["required"]


@pytest.mark.parametrize("name", sorted(EXEMPT))
def test_every_writing_route_demands_a_key(name: str) -> None:
    missing = {one["operationId"] for one in operations(name) if not is_keyed(one)}
    assert missing == EXEMPT[name].keys(), "write openapi_extra=needs(…, keyed=True), or say here why it may do without"


def test_all_documents_are_looked_at() -> None:
    assert {path.name for path in OPENAPI.glob("*.json")} == EXEMPT.keys()
