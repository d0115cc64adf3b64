"""JSON as a route takes it: UTF-8, bounded in size and depth, no name twice, no NaN. For every room.

    body ── bounds ──▶ text ── strict ──▶ value ──▶ the route's model

What is read leniently is read differently by two programs, and one of them is wrong about what was asked.
Source: RFC 8259, sections 4, 6 and 8.1; RFC 7493.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec
from fastapi import Request, Response
from fastapi.routing import APIRoute

from timebank_kit.problem_answers import EdgeProblem

JSON_BYTES_MAX: Final = 65_536
JSON_DEPTH_MAX: Final = 16
JSON_TYPE: Final = "application/json"
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""A string that does not end takes all the rest, and nothing is tried twice: the cost is one pass, whatever is sent."""


class StrictRequest(Request):
    """Reads JSON within bounds: size, depth, no key twice, no NaN."""

    async def json(self) -> Any:
        return parse_json(await self.body())


class StrictRoute(APIRoute):
    """A route whose JSON is read by `StrictRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def check_type(request: Request, media_type: str) -> None:
    """Raise `malformed` when a body is said to be of another type; for routes that read their body's bytes."""
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != media_type:
        raise EdgeProblem("malformed", f"This route takes another kind of body: Content-Type: {media_type}.")


def parse_json(raw: bytes, *, bytes_max: int = JSON_BYTES_MAX) -> Any:
    """The value of a JSON body; raises `EdgeProblem` (`too_large`, `malformed`)."""
    check_bounds(raw, bytes_max=bytes_max)
    try:
        return strict_json(raw)
    except (ValueError, RecursionError) as error:
        raise EdgeProblem("malformed", f"The body is not JSON as this route takes it: {error}.") from error


def check_bounds(raw: bytes, *, bytes_max: int) -> None:
    """Raise `EdgeProblem` when a body has too many bytes or is nested too deeply."""
    if len(raw) > bytes_max:
        raise EdgeProblem("too_large", f"This route takes at most {bytes_max} bytes.")
    if raw.count(b"[") + raw.count(b"{") <= JSON_DEPTH_MAX:
        return
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(raw):
        if found[0] in (b"[", b"{"):
            depth += 1
            if depth > JSON_DEPTH_MAX:
                raise EdgeProblem("too_large", f"JSON is nested at most {JSON_DEPTH_MAX} deep.")
        elif found[0] in (b"]", b"}"):
            depth -= 1


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


_decoder: Final = json.JSONDecoder(object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
"""Given text and not bytes: of bytes it would guess an encoding, and let halves of surrogates pass."""


def strict_json(raw: bytes) -> Any:
    """The value of JSON in UTF-8, no key twice, no NaN; raises `ValueError` or `RecursionError`."""
    try:
        value = msgspec.json.decode(raw)
        if msgspec.json.encode(value) == raw:
            # Written again it is the same, so nothing was dropped: what most programs send, in a fifth of the time.
            return value
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        pass  # the words of a refusal are those of the reader below
    return _decoder.decode(raw.decode("utf-8"))
