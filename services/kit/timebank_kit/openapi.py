"""The OpenAPI document of an application: as it is served, committed and compared by a test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from timebank_contracts.http_answers import Problem
from timebank_contracts.problems import MEDIA_TYPE
from timebank_kit.idempotency import key_parameter


def needs(scope: str, *, keyed: bool = False) -> dict[str, Any]:
    """What a route says of itself that needs a token of this scope; `keyed`: an Idempotency-Key is demanded."""
    said: dict[str, Any] = {"security": [{"bearer": [scope]}]}
    return said | ({"parameters": [key_parameter()]} if keyed else {})


PUBLIC: dict[str, Any] = {"security": []}
"""What a route says of itself that anybody may call."""


def openapi_document(app: FastAPI, *, description: str, examples: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an application whose errors are all problem documents.

    Args:
        app: the application.
        description: of the whole.
        examples: by operation, what was asked and answered once; see `read_examples`.
    """
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=f"{description} Errors are RFC 9457 problems: decide by `code`.",
        routes=app.routes,
    )
    components = document.setdefault("components", {})
    scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token; see each route."}
    components["securitySchemes"] = {"bearer": scheme}
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    said = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= said.pop("$defs", {}) | {"Problem": said}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "A problem.", "content": content}
            _show(operation, (examples or {}).get(operation["operationId"], {}))
    return document


def _show(operation: dict[str, Any], example: Mapping[str, Any]) -> None:
    """Put an example where a reader looks for it: at the parameters, the body and the answer."""
    said = {**example.get("path", {}), **example.get("query", {})}
    for parameter in operation.get("parameters", []):
        if parameter["name"] in said:
            parameter["example"] = said[parameter["name"]]
    if "body" in example:
        for content in operation["requestBody"]["content"].values():
            content["example"] = example["body"]
    if "answer" in example:
        kind, content = next(iter(operation["responses"][example["status"]]["content"].items()))
        assert kind not in ("text/csv", "text/html"), "the first kind of an answer is the one that is asked for"
        content["example"] = example["answer"]


def read_examples(package: str) -> dict[str, Any]:
    """The examples of a room, from the file that stands in its package: a test tells them again and compares."""
    found: dict[str, Any] = json.loads(files(package).joinpath("examples.json").read_text("utf-8"))
    return found


def document_text(document: dict[str, Any]) -> str:
    """A document as it is committed: sorted, indented, ended by a line feed."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
