"""JSON Schemas (2020-12) of what crosses a boundary, generated from the types that decode it. Pure.

    python -m timebank_contracts.schemas     prints all of them as one JSON object, by file name
    python -m contracts.generate             writes the files of `contracts/schemas/`

A schema says the form of a value; canonical form and sizes are PROTOCOL.md C1 to C5, and `apply` judges the rest.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from timebank_contracts import dsse, entries, equivocation, messages, registry, segments

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
TITLES: Final[dict[str, tuple[Any, str]]] = {
    "entry.json": (entries.AnyEntry, "An entry of a journal"),
    "envelope.json": (dsse.Envelope, "A DSSE envelope"),
    "equivocation.json": (equivocation.Evidence, "Evidence that a node said two things"),
    "message.json": (messages.AnyMessage, "A message from town to town"),
    "registry.json": (registry.Registry, "The payload of a registry's envelope"),
    "statement.json": (segments.SegmentStatement, "The payload of a segment's envelope"),
}
"""File name → type and title."""


def make_schemas() -> dict[str, str]:
    """The schema files: name → text, each ending with a line feed; the same code gives the same text."""
    return {name: _text(kind, title) for name, (kind, title) in TITLES.items()}


def _text(kind: Any, title: str) -> str:
    (schema,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    whole = {"$schema": DIALECT, "title": title, **schema, "$defs": components}
    return json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    print(json.dumps({name: json.loads(text) for name, text in make_schemas().items()}, indent=2))
