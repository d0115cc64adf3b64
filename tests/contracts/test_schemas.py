"""The committed JSON Schemas: generated from the types, and true of what the types read."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from contracts.vectors.paper_town import two_towns
from contracts.vectors.vectors_bytes import message_cases
from contracts.vectors.vectors_journal import tell_two_towns
from contracts.vectors.vectors_registry import make_first, sign
from timebank_contracts import canonical, dsse, segments
from timebank_contracts.schemas import make_schemas

FOLDER = Path(__file__).parents[2] / "contracts" / "schemas"
TOWNS = tell_two_towns()


def validator(name: str) -> Any:
    schema = json.loads((FOLDER / name).read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_committed_schemas_are_those_of_the_types() -> None:
    made = make_schemas()
    assert {path.name for path in FOLDER.iterdir()} == set(made)
    for name, text in made.items():
        assert (FOLDER / name).read_text("utf-8") == text, f"{name}: run python -m contracts.generate"


def test_the_module_prints_all_schemas() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "timebank_contracts.schemas"], capture_output=True, check=True, text=True
    )
    assert json.loads(run.stdout) == {name: json.loads(text) for name, text in make_schemas().items()}


def test_every_entry_and_message_of_two_towns_fits_its_schema() -> None:
    """PROTOCOL.md E1, E5."""
    entry, message = validator("entry.json"), validator("message.json")
    for town in TOWNS:
        for raw in town.journal:
            entry.validate(json.loads(raw))
        for sent in town.sent.values():
            for raw in sent:
                message.validate(json.loads(raw))


def test_statements_envelopes_and_registries_fit_their_schemas() -> None:
    """PROTOCOL.md S4, R1, G3."""
    aberdare, _, _, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 30)
    envelope = segments.parse_segment(aberdare.segment("barry")).envelope
    validator("envelope.json").validate(json.loads(envelope))
    validator("statement.json").validate(json.loads(dsse.open_payload(envelope, payload_type=segments.PAYLOAD_TYPE)))
    validator("envelope.json").validate(json.loads(sign(make_first(), 1, 2)))
    validator("registry.json").validate(json.loads(canonical.encode(make_first())))


IN_FORM_ONLY = {
    "a-blank",
    "a-byte-order-mark",
    "a-final-line-feed",
    "a-key-twice",
    "a-line-feed-after-a-name",
    "an-escape",
    "another-order",
    "minutes-a-float",
    "minutes-an-exponent",
    "too-large",
}
"""Malformed by their bytes: the value itself fits the schema, which cannot speak of bytes (or, in Python, of `$`)."""


@pytest.mark.parametrize("case", message_cases(), ids=lambda case: str(case["name"]))
def test_a_forged_message_that_is_json_fails_the_schema_or_only_the_form(case: Any) -> None:
    """PROTOCOL.md C3, E7."""
    try:
        value = json.loads(b64decode(case["bytes"]))
    except (ValueError, RecursionError):
        return
    fits = validator("message.json").is_valid(value)
    assert fits is (case["outcome"] == "valid" or case["name"] in IN_FORM_ONLY)
