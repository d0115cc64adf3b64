"""The client covers the API: each operation has its method here, or a reason why a partner needs none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import timebank_client
from timebank_client import answers
from timebank_client.routes import ROUTES

ROOT = Path(__file__).parents[2]
SOURCES = "".join(path.read_text("utf-8") for path in Path(timebank_client.__file__).parent.glob("*.py"))
OPERATES = "the town's operator does it, with the console or the command"
BETWEEN = "towns ask each other, and a node its own rooms"
AUDITS = "auditors read exported logs, or follow the log with their own tools"
WATCHES = "monitoring asks it, without a client"
NOT_FOR_PARTNERS = {
    "acceptRegistry": OPERATES,
    "changeConsent": OPERATES,
    "enrolMember": OPERATES,
    "enrolOrganisation": OPERATES,
    "erasePerson": OPERATES,
    "changePeer": OPERATES,
    "getCheckpoint": AUDITS,
    "getEntryBundle": AUDITS,
    "getAccountState": "an account's own answer has it; this one is for editing",
    "getJournalText": "a treasurer or auditor takes it as a file",
    "getLimits": "an account's own answer has them; this one is for editing",
    "getMetrics": WATCHES,
    "getOpenapi": "a developer reads it",
    "getPublicKey": "services verify tokens with it, clients do not",
    "getTile": AUDITS,
    "givePayee": BETWEEN,
    "isAlive": WATCHES,
    "isReady": WATCHES,
    "listPeople": OPERATES,
    "listPositions": OPERATES,
    "listStreams": BETWEEN,
    "openAccount": OPERATES,
    "readJournal": AUDITS,
    "readKept": BETWEEN,
    "readMessages": BETWEEN,
    "sayContradiction": BETWEEN,
    "setAccountState": OPERATES,
    "setLimits": OPERATES,
    "setPolicy": OPERATES,
    "takeSegment": BETWEEN,
    "thawStream": OPERATES,
}


def documents() -> list[dict[str, Any]]:
    folder = ROOT / "contracts" / "openapi"
    return [json.loads((folder / name).read_text("utf-8")) for name in ("ledger.json", "directory.json")]


def operations() -> dict[str, tuple[str, str]]:
    found = {}
    for document in documents():
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if isinstance(operation, dict) and "operationId" in operation:
                    found[operation["operationId"]] = (method.upper(), path)
    return found


def test_each_operation_has_a_method_or_a_reason() -> None:
    known = operations()
    assert set(ROUTES) <= set(known), "the client asks what the API does not offer"
    assert sorted(set(known) - set(ROUTES) - set(NOT_FOR_PARTNERS)) == []
    assert sorted(set(NOT_FOR_PARTNERS) - set(known)) == [], "a reason for nothing"
    assert not set(NOT_FOR_PARTNERS) & set(ROUTES)


@pytest.mark.parametrize("operation", ROUTES)
def test_an_operation_is_asked_at_its_own_path_and_used(operation: str) -> None:
    assert ROUTES[operation] == operations()[operation]
    assert len(re.findall(rf'"{operation}"', SOURCES)) >= 2, "it stands in the table and nowhere else"


def schemas() -> dict[str, dict[str, Any]]:
    return {name: schema for document in documents() for name, schema in document["components"]["schemas"].items()}


NAMES = {"Balance": "BalanceThen", "StatementPage": "Statement", "EventPage": "Events"}
"""Where the client's name of an answer is another than the API's."""


ANSWERS = [each for each in msgspec.Struct.__subclasses__() if each.__module__ == answers.__name__]
TWO_FORMS = {"Payee": ("PayeeHere", "PayeeThere"), "Webhook": ("WebhookMade", "Webhook")}


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.__name__)
def test_each_field_of_an_answer_is_one_that_the_api_gives(kind: type[msgspec.Struct]) -> None:
    name = kind.__name__
    forms = [schemas()[form] for form in TWO_FORMS.get(name, (NAMES.get(name, name),))]
    for field in msgspec.structs.fields(kind):
        assert any(field.encode_name in form["properties"] for form in forms), field.name
        if field.required:
            assert all(field.encode_name in form.get("required", []) for form in forms), f"{field.name} may be missing"
