"""Errors over HTTP in one form: every exception of an application becomes a problem document (RFC 9457).

An application says which of its own exceptions is which problem; the framework's are known here. What was sent is never
repeated: a field is named only when the API's document names it, and its value never. Words are in the language that
the request asks for (`Accept-Language`), codes in none.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from timebank_contracts.problems import MEDIA_TYPE, problem
from timebank_contracts.problems_cy import in_welsh
from timebank_kit.language import choose_language

ERRORS_MAX: Final = 20
RETRY_AFTER_SECONDS: Final = 1
_FRAMEWORK: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 408: "too_slow"}
_log = logging.getLogger(__name__)

Problem = dict[str, Any]


class EdgeProblem(HTTPException):
    """A problem that the edge itself finds; `code` is one of `problems.STATUS`.

    The framework lets its own kind of exception pass where it reads a body, and no other.
    """

    def __init__(self, code: str, detail: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        self.body = problem(code, detail)
        super().__init__(status_code=self.body["status"], detail=self.body["detail"], headers=headers)


def answer_headers(request: Request) -> dict[str, str]:
    """Headers that the request's answer will carry, whether it is a problem or not: put some in."""
    state = request.state
    if not hasattr(state, "answer_headers"):
        state.answer_headers = {}
    found: dict[str, str] = state.answer_headers
    return found


def in_language(request: Request, body: Problem) -> tuple[Problem, str]:
    """A problem's body in the language that the request asks for, and what `Content-Language` says of it."""
    if choose_language(asked=None, accept=request.headers.get("accept-language")) != "cy":
        return body, "en"
    told = in_welsh(body)
    return told, "cy" if told["detail"] == told["title"] and "errors" not in told else "cy, en"


def answer_problem(body: Problem, more: Mapping[str, str] | None = None) -> Response:
    """A problem as a response, with the headers that its status asks for, and `more`."""
    headers = dict(more or {})
    if body["status"] == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if body["status"] == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    return Response(json.dumps(body), status_code=body["status"], media_type=MEDIA_TYPE, headers=headers)


def answer_problems(app: FastAPI, own: Mapping[type[Exception], Callable[[Any], Problem]]) -> None:
    """Answer every exception of an application with a problem document.

    Args:
        app: the application.
        own: its own exceptions, and how each becomes the body of a problem.
    """
    kinds: dict[type[Exception], Callable[[Any], Problem]] = {
        EdgeProblem: lambda error: error.body,
        RequestValidationError: _invalid,
        HTTPException: framework_problem,
        Exception: _bug,
        **own,
    }
    for kind, body_of in kinds.items():
        app.add_exception_handler(kind, _handler(body_of))


def _handler(body_of: Callable[[Any], Problem]) -> Callable[[Request, Exception], Coroutine[Any, Any, Response]]:
    # A function that is no coroutine would wait for one of the threads that read.
    async def handle(request: Request, error: Exception) -> Response:
        more = answer_headers(request)
        if isinstance(error, HTTPException):
            more |= error.headers or {}
        body, language = in_language(request, body_of(error))
        return answer_problem(body, more | {"Content-Language": language, "Vary": "Accept-Language"})

    return handle


def framework_problem(error: HTTPException) -> Problem:
    """The problem for what the framework found by itself: no such path, another method."""
    return problem(_FRAMEWORK.get(error.status_code, "malformed"))


def _bug(error: Exception) -> Problem:
    _log.error("bug at the edge", exc_info=error)
    return problem("internal")


def _invalid(error: RequestValidationError) -> Problem:
    found = [_field_error(one) for one in error.errors()[:ERRORS_MAX]]
    fields = ", ".join(dict.fromkeys(one["field"] for one in found))
    return problem(
        "field_invalid", f"These fields do not have the form that the API describes: {fields}.", errors=found
    )


def _field_error(error: Any) -> dict[str, str]:
    *_, last = path = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        # The name of an unknown field is the caller's text.
        last = "(a field that is not known here)"
    elif error["type"] == "json_invalid":
        path, last = ["body"], "body"
    path = [*path[:-1], last]
    field = ".".join(path[1:]) or path[0]
    return {"field": field, "code": "field_invalid", "detail": str(error["msg"])}
