"""From an exception to a problem document: one place, for every route and every command of a batch.

Source: design page 7, "Errors, four kinds"; RFC 9457.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.http import TAGS
from timebank_contracts.problems import MEDIA_TYPE, problem
from timebank_kit.commit_loop import Doubt, QueueFull, Stopped
from timebank_kit.journal import JournalTrouble
from timebank_ledger.access import Forbidden, Unauthorised

ERRORS_MAX: Final = 20
MINUTES_FIELDS: Final = frozenset({"minutes", "given_minutes"})
_log = logging.getLogger(__name__)


class EdgeProblem(HTTPException):
    """A problem that the edge itself finds; `code` is one of `problems.STATUS`."""

    def __init__(self, code: str, detail: str = "", *, errors: list[dict[str, str]] | None = None) -> None:
        self.body = problem(code, detail, errors=errors)
        super().__init__(status_code=self.body["status"], detail=self.body["detail"])


_FRAMEWORK: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 408: "too_slow"}


def problem_of(error: Exception) -> dict[str, Any]:
    """The problem's body for an exception; one that is not known is a bug: `internal`."""
    if isinstance(error, EdgeProblem):
        return error.body
    if isinstance(error, Refusal):
        return problem(error.code, error.detail)
    if isinstance(error, Malformed):
        return problem("malformed", str(error))
    if isinstance(error, Unauthorised):
        return problem("unauthorised", str(error))
    if isinstance(error, Forbidden):
        return problem("forbidden", str(error))
    if isinstance(error, QueueFull):
        return problem("queue_full", str(error))
    if isinstance(error, Stopped):
        return problem("writer_stopped", str(error))
    if isinstance(error, Doubt):
        return problem("outcome_unknown")
    if isinstance(error, JournalTrouble | SQLAlchemyError):
        return problem("writer_stopped", "The ledger's database does not answer now; come again later.")
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        return problem(_FRAMEWORK.get(error.status_code, "malformed"))
    return problem("internal")


def _invalid(error: RequestValidationError) -> dict[str, Any]:
    found = [_field_error(one["loc"], str(one["msg"])) for one in error.errors()[:ERRORS_MAX]]
    return _fields_problem(found)


def invalid_field(error: msgspec.ValidationError) -> dict[str, Any]:
    """The problem's body for what msgspec says of one command: its message ends in the field's path."""
    text, _, path = str(error).partition(" - at `$")
    place = path.rstrip("`").replace("[", ".").replace("]", "")
    loc: list[str | int] = [part for part in place.split(".") if part]
    if not loc and "field `" in text:
        loc = [text.split("field `")[1].rstrip("`")]
    return _fields_problem([_field_error(tuple(loc), text)])


def _field_error(loc: tuple[str | int, ...] | list[str | int], text: str) -> dict[str, str]:
    path = [str(part) for part in loc if part not in TAGS]
    if path and path[0] in ("body", "query", "path"):
        path = path[1:] or [path[0]]
    name = next((part for part in reversed(path) if not part.isdigit()), "")
    posted = name in ("postings", "given") and path[-1] == "1"
    code = "amount_out_of_range" if name in MINUTES_FIELDS or posted else "field_invalid"
    return {"field": ".".join(path), "code": code, "detail": text}


def _fields_problem(errors: list[dict[str, str]]) -> dict[str, Any]:
    first = errors[0]
    return problem(first["code"], f"{first['field']}: {first['detail']}", errors=errors)


def answer(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """A problem as a response, with the headers that its status asks for."""
    more = dict(headers or {})
    if body["status"] == 503:
        more["Retry-After"] = "1"
    if body["status"] == 401:
        more["WWW-Authenticate"] = "Bearer"
    return Response(json.dumps(body), status_code=body["status"], media_type=MEDIA_TYPE, headers=more)


async def _answer_problem(request: Request, error: Exception) -> Response:
    body = problem_of(error)
    if body["code"] == "internal":
        _log.error("bug at the edge", exc_info=error, extra={"method": request.method})
    headers = error.headers if isinstance(error, HTTPException) and error.headers else None
    return answer(body, dict(headers) if headers else None)


def answer_problems(app: FastAPI) -> None:
    """Answer every exception of an application with a problem document."""
    kinds: list[type[Exception]] = [
        Refusal,
        Malformed,
        Unauthorised,
        Forbidden,
        QueueFull,
        Stopped,
        Doubt,
        JournalTrouble,
        SQLAlchemyError,
        RequestValidationError,
        HTTPException,
        Exception,
    ]
    for kind in kinds:
        app.add_exception_handler(kind, _answer_problem)
