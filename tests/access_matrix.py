"""The routes of an OpenAPI document as requests that can really be sent, for the matrix of who may call what.

    document ── routes_of ──▶ Route (method, path, scopes, parameters, bodies) ── requests ──▶ Asked

What stands in a path, a query or a body is taken from the document: its examples, its bounds, its required fields.
Names that stand for something of the town (an account, a transfer) are bound by the test. A route that says no scope,
or names something that nobody bound, is no route that the matrix passes over: it fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

BODIES_MAX: Final = 24
OWN_ROLES: Final = frozenset({"payer", "giver", "account"})
"""Fields of a body in whose name the caller acts."""
OTHER_ROLES: Final = frozenset({"payee", "receiver", "heir"})
_HELD: Final = frozenset({"level", "path"})
"""Parameters of a path that stand for nothing that belongs to anybody."""
Json = Any


@dataclass(frozen=True)
class Route:
    """One operation of a document."""

    method: str
    path: str
    operation_id: str
    scopes: frozenset[str]
    """A token needs one of these; empty: anybody may call."""
    parameters: tuple[Mapping[str, Any], ...]
    body: Mapping[str, Any] | None
    """Its media type and schema."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def path_names(self) -> list[str]:
        return re.findall(r"\{([^}]+)\}", self.path)

    def has(self, name: str) -> bool:
        """Whether a parameter of this name is declared."""
        return any(parameter["name"] == name for parameter in self.parameters)

    def is_about_somebody(self, document: Json, *, bound: Mapping[str, str]) -> bool:
        """Whether it names something of the town that belongs to somebody: in its path, query or body."""
        named = {name for name in self.path_names if name not in _HELD}
        named |= {one["name"] for one in self.parameters if one["in"] == "query" and one["name"] in bound}
        fields = _fields(self._schema, document, depth=6)
        several = self.is_binary and self.body is not None and "json" in self.body["media"]
        return bool(named or several or fields & (OWN_ROLES | bound.keys()))

    @property
    def is_binary(self) -> bool:
        """Whether its body is bytes to the framework."""
        return self.body is not None and self.body["schema"].get("format") == "binary"

    @property
    def _schema(self) -> Json:
        return {} if self.body is None else self.body.get("schema", {})


@dataclass(frozen=True)
class Asked:
    """A request without its caller."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    """What the client is given: `json`, `content` or `data`, and headers of the body's own."""

    @property
    def options(self) -> dict[str, Any]:
        """For `httpx.Client.request`, but for the caller's headers."""
        headers = {**self.headers, **self.body.get("headers", {})}
        return {**self.body, "params": self.query, "headers": headers}

    @property
    def text(self) -> str:
        """All that the caller said."""
        return f"{self.path} {self.query} {self.body}"


def routes_of(document: Json) -> list[Route]:
    """Every operation; one that does not say who may call it fails here."""
    found = []
    for path, operations in document["paths"].items():
        for method, said in operations.items():
            assert "security" in said, f"{method} {path} does not say who may call it"
            scopes = frozenset(scope for way in said["security"] for scopes in way.values() for scope in scopes)
            assert bool(scopes) == bool(said["security"]), f"{method} {path} wants a token and names no scope"
            media, content = next(iter(said.get("requestBody", {}).get("content", {}).items()), (None, {}))
            found.append(
                Route(
                    method=method.upper(),
                    path=path,
                    operation_id=said["operationId"],
                    scopes=scopes,
                    parameters=tuple(said.get("parameters", ())),
                    body=None if media is None else content | {"media": media},
                )
            )
    return found


def requests_of(route: Route, document: Json, *, bound: Mapping[str, str], other: str) -> Iterator[Asked]:
    """Requests for a route, at most 24: the ones with the fewest fields first. Any of them may be against the rules.

    Args:
        route: of `document`.
        document: resolves references.
        bound: what a name stands for: in the path, in the query, and in a body's fields.
        other: the account on the other side of a body that names two.
    """
    path = route.path
    for name in route.path_names:
        assert name in bound, f"{route}: say in the test's seeds what {{{name}}} stands for"
        path = path.replace(f"{{{name}}}", bound[name])
    query = {
        one["name"]: bound[one["name"]] for one in route.parameters if one["in"] == "query" and one["name"] in bound
    }
    required = [one for one in route.parameters if one.get("required") and one["in"] in ("query", "header")]
    headers = {one["name"]: route.operation_id for one in required if one["in"] == "header"}
    query |= {
        one["name"]: str(_example(one["schema"], document))
        for one in required
        if one["in"] == "query" and one["name"] not in query
    }
    for body in islice(_bodies(route, document, bound, other), BODIES_MAX):
        yield Asked(route.method, path, query, headers, body)


def _bodies(route: Route, document: Json, bound: Mapping[str, str], other: str) -> Iterator[dict[str, Any]]:
    if route.body is None:
        yield {}
        return
    media, schema = route.body["media"], route.body["schema"]
    if route.is_binary and "json" in media:
        # Several transfers in one body: the document says so in words.
        item = {"payer": bound["account"], "payee": {"account": other}, "minutes": 5, "purpose": "gift", "key": "1"}
        text = json.dumps([item]) if media == "application/json" else json.dumps(item) + "\n"
        yield {"content": text.encode(), "headers": {"Content-Type": media}}
    elif media == "application/json":
        examples = [one["value"] for one in route.body.get("examples", {}).values()]
        examples += [route.body["example"]] if "example" in route.body else []
        for value in [*examples, *_variants(schema, document)]:
            yield {"json": _bind(value, bound, other)}
    elif media == "application/x-www-form-urlencoded":
        examples = [route.body["example"]] if "example" in route.body else []
        for value in [*examples, *_variants(schema, document)]:
            yield {"data": value}
    else:
        yield {"content": b"{}\n", "headers": {"Content-Type": media}}


def _variants(schema: Json, document: Json) -> Iterator[Json]:
    """Values of a schema: what is required; another word of a closed set; one field more; all fields; lists of one."""
    schema = _resolved(schema, document)
    for alternative in schema.get("anyOf") or schema.get("oneOf") or [schema]:
        found = _resolved(alternative, document)
        fields = {name: _resolved(one, document) for name, one in found.get("properties", {}).items()}
        least = _example(found, document)
        yield least
        if not isinstance(least, dict):
            continue
        for name in least:
            yield from ({**least, name: word} for word in fields[name].get("enum", ())[:4] if word != least[name])
            if fields[name].get("type") == "array" and isinstance(least[name][0], dict):
                yield from ({**least, name: [one]} for one in _variants(fields[name]["items"], document))
        more = {name: _example(one, document) for name, one in fields.items() if name not in least}
        yield from ({**least, name: value} for name, value in more.items())
        yield {**least, **more}


def _example(schema: Json, document: Json, depth: int = 8) -> Json:
    """One value of a schema."""
    assert depth, "a schema that goes on for ever has no example here"
    schema = _resolved(schema, document)
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    for name in ("example", "const", "default"):
        if schema.get(name) is not None:
            return schema[name]
    alternatives = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if alternatives:
        return next(_example(one, document, depth - 1) for one in alternatives if one.get("type") != "null")
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {})
        return {name: _example(fields[name], document, depth - 1) for name in schema.get("required", ())}
    if kind == "array":
        if "prefixItems" in schema:
            return [_example(one, document, depth - 1) for one in schema["prefixItems"]]
        return [_example(schema["items"], document, depth - 1)] * max(1, schema.get("minItems", 1))
    return {"integer": schema.get("minimum", 1), "number": 1, "boolean": False}.get(
        kind, "x" * schema.get("minLength", 1)
    )


def _resolved(schema: Json, document: Json) -> Json:
    while "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        # What stands beside a reference, such as an example, counts more.
        schema = {**document["components"]["schemas"][name], **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def _bind(value: Json, bound: Mapping[str, str], other: str, role: str = "") -> Json:
    """The same value about what is bound: in the caller's own roles the owner, in the others somebody else."""
    if isinstance(value, dict):
        return {
            name: _bind(one, bound, other, name if name != "account" or role not in OTHER_ROLES else role)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_bind(one, bound, other, role) for one in value]
    if not isinstance(value, str):
        return value
    if role in OTHER_ROLES:
        return other
    if role in OWN_ROLES:
        return bound["account"]
    return bound.get(role, value)


def _fields(schema: Json, document: Json, depth: int) -> set[str]:
    """The names of all fields that a schema has, at any depth up to `depth`."""
    if not depth:
        return set()
    schema = _resolved(schema, document)
    parts = [
        *schema.get("anyOf", ()),
        *schema.get("oneOf", ()),
        *schema.get("allOf", ()),
        *schema.get("prefixItems", ()),
    ]
    parts += [schema["items"]] if "items" in schema else []
    found = set(schema.get("properties", ()))
    for part in [*parts, *schema.get("properties", {}).values()]:
        found |= _fields(part, document, depth - 1)
    return found
