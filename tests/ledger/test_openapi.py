"""The committed document of the API is the one that is served."""

from __future__ import annotations

import json
from pathlib import Path

from tests.ledger.town_api import Town
from timebank_kit.openapi import document_text
from timebank_ledger.api import document

COMMITTED = Path(__file__).parents[2] / "contracts" / "openapi" / "ledger.json"


def test_the_committed_document_is_served() -> None:
    assert COMMITTED.read_text("utf-8") == document_text(document()), (
        "run: python -m timebank_ledger.openapi contracts/openapi/ledger.json"
    )


def test_anybody_reads_the_document(town: Town) -> None:
    assert town.http.get("/openapi.json").json() == json.loads(COMMITTED.read_text("utf-8"))


def test_operation_ids_are_unique_and_every_field_says_what_it_is() -> None:
    said = json.loads(document_text(document()))
    ids = [operation["operationId"] for path in said["paths"].values() for operation in path.values()]
    assert len(set(ids)) == len(ids)
    for name, schema in said["components"]["schemas"].items():
        for field, told in schema.get("properties", {}).items():
            known = {"description", "examples", "$ref", "anyOf", "oneOf", "items", "enum", "title", "const"}
            assert known & told.keys(), f"{name}.{field}"
    assert said["openapi"] == "3.1.0"
