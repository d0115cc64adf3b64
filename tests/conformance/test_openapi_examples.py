"""The examples of the three documents are true: each was asked of a town on paper, and answered so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.documented import Json
from tests.rooms import DOCUMENTS
from tests.stories import STORIES, WITHOUT_TEXT, examples_file, examples_text

OPERATIONS = [(room, name) for room, documented in DOCUMENTS.items() for name in documented.operations]
BYTES = "application/octet-stream"


@pytest.mark.slow
@pytest.mark.parametrize("room", sorted(STORIES))
def test_the_town_answers_as_the_examples_say(room: str) -> None:
    """Status, kind and form of each answer are judged while the story is told."""
    assert examples_text(STORIES[room]()) == examples_file(room).read_text("utf-8"), "run: python -m tests.stories"


@pytest.mark.parametrize(("room", "name"), OPERATIONS)
def test_an_operation_shows_what_is_asked_and_answered(room: str, name: str) -> None:
    operation, missing = DOCUMENTS[room].operations[name], list[str]()
    assert name in json.loads(examples_file(room).read_text("utf-8")), f"tell it in tests/stories.py: {name}"
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path" and "example" not in parameter:
            missing.append(parameter["name"])
    missing += _without_example("body", operation.get("requestBody", {}).get("content", {}))
    for status, answer in operation["responses"].items():
        if status != "default" and name not in WITHOUT_TEXT:
            missing += _without_example(status, answer.get("content", {}))
    assert not missing


def _without_example(what: str, content: Json) -> list[str]:
    kind, said = next(iter(content.items()), (BYTES, {}))
    return [what] if "example" not in said and kind != BYTES and not kind.startswith("application/vnd.") else []


@pytest.mark.parametrize(("room", "name"), OPERATIONS)
def test_an_example_has_the_form_that_stands_beside_it(room: str, name: str) -> None:
    documented = DOCUMENTS[room]
    operation = documented.operations[name]
    contents: list[dict[str, Any]] = [operation.get("requestBody", {}).get("content", {})]
    contents += [answer.get("content", {}) for answer in operation["responses"].values()]
    for kind, said in (pair for content in contents for pair in content.items()):
        if "example" in said and said.get("schema", {}).get("format") != "binary":
            documented.check_value(said.get("schema", {}), said["example"], f"{name} {kind}")


def test_no_room_keeps_an_example_for_nothing() -> None:
    for room, documented in DOCUMENTS.items():
        assert json.loads(examples_file(room).read_text("utf-8")).keys() == documented.operations.keys()
