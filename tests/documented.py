"""Whether an answer is one that the API's document promises: its status, its kind of content, and its form.

An error may be documented by `default` alone, and then it is a problem document whose code and status are in the one
table. A success stands under its own status.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import httpx
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # the package has no types

from timebank_contracts.problems import MEDIA_TYPE, STATUS

Json = Any


class Documented:
    """The promises of one OpenAPI document.

    Args:
        document: of OpenAPI 3.1, so its schemas are of JSON Schema 2020-12.
    """

    def __init__(self, document: Json) -> None:
        self.document = document
        self._validators: dict[str, Draft202012Validator] = {}

    @cached_property
    def operations(self) -> dict[str, Json]:
        """By operationId, each with its method and path."""
        return {
            said["operationId"]: said | {"method": method.upper(), "path": path}
            for path, methods in self.document["paths"].items()
            for method, said in methods.items()
        }

    def check(self, operation: Json, answer: httpx.Response) -> None:
        """Raise `AssertionError` for an answer that the operation does not promise."""
        status, kind = answer.status_code, answer.headers.get("content-type", "").partition(";")[0].strip()
        told = f"{operation['operationId']}: {status} {kind} {answer.content[:500]!r}"
        assert status != 500, f"a bug: {told}"
        promised = operation["responses"].get(str(status))
        if promised is None:
            assert status >= 400, f"no such success is documented: {told}"
            promised = operation["responses"]["default"]
        if status >= 400:
            problem = answer.json()
            assert kind == MEDIA_TYPE, f"no problem document: {told}"
            assert STATUS[problem["code"]] == problem["status"] == status, f"not by the table: {told}"
        content = promised.get("content")
        if content is None:
            assert not answer.content, f"a body where none is documented: {told}"
            return
        assert kind in content, f"documented are {sorted(content)}: {told}"
        if kind.endswith("json") and not kind.endswith("ndjson"):
            self.check_value(content[kind].get("schema", {}), answer.json(), told)

    def check_value(self, schema: Json, value: Json, told: str) -> None:
        """Raise `AssertionError` when a value is not as a schema of the document says."""
        name = json.dumps(schema, sort_keys=True)
        if name not in self._validators:
            whole = {"allOf": [schema], "components": self.document.get("components", {})}
            self._validators[name] = Draft202012Validator(whole)
        errors = [f"{error.json_path}: {error.message}" for error in self._validators[name].iter_errors(value)]
        assert not errors, f"not of the documented form: {errors[:5]} {told}"
