"""What can go wrong, as one tree.

TimebankError
├── Refused            the town says no: `code` is stable, `detail` says what to do
│   ├── Unauthorised   401: the client or its token is not known there
│   ├── Forbidden      403: a scope or an account is missing
│   ├── NotFound       404
│   └── Invalid        400, 422: the request has another form; `errors` names the fields
├── Unavailable        no answer, or "come again later", until every try was used up; `key` repeats a command safely
├── Unexpected         an answer that is not the API's
└── SignatureInvalid   a webhook that the town did not send, or sent long ago
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class TimebankError(Exception):
    """Everything that this package raises, apart from its caller's own mistakes (`ValueError`, `TypeError`)."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a request."""

    field: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 9457) as the town sent it."""

    code: str
    status: int
    title: str = ""
    detail: str = ""
    errors: tuple[FieldError, ...] = ()


class Refused(TimebankError):
    """The town refused; it wrote nothing, and the same Idempotency-Key may be used again.

    Attributes:
        problem: the whole document.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.code}: {problem.detail or problem.title}")
        self.problem = problem

    @property
    def code(self) -> str:
        """The stable code, such as `floor`."""
        return self.problem.code

    @property
    def detail(self) -> str:
        """A sentence for a person."""
        return self.problem.detail or self.problem.title

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """The fields that are wrong, where the town names them."""
        return self.problem.errors


class Unauthorised(Refused):
    """The client, its secret or its token is not known there."""


class Forbidden(Refused):
    """The client was not granted the scope or the account."""


class NotFound(Refused):
    """There is no such account, transfer, claim or person."""


class Invalid(Refused):
    """The request has not the form that it must have."""


class Unavailable(TimebankError):
    """The town did not answer, or asked to come again later, as often as was tried.

    A command may have been written or not. Sending it again with the same `key` never does it twice.

    Attributes:
        key: the Idempotency-Key of a command, else None.
        problem: the last answer, if there was one.
    """

    def __init__(self, text: str, *, key: str | None = None, problem: Problem | None = None) -> None:
        super().__init__(text)
        self.key = key
        self.problem = problem


class Unexpected(TimebankError):
    """An answer that is not one of the API: another server, or a version that this client is too old for."""


class SignatureInvalid(TimebankError):
    """A webhook's signature or time is not right: answer 400 and do nothing."""


_BY_STATUS: dict[int, type[Refused]] = {
    400: Invalid,
    401: Unauthorised,
    403: Forbidden,
    404: NotFound,
    422: Invalid,
}


def refused(problem: Problem) -> Refused:
    """The exception of a problem, by its status."""
    return _BY_STATUS.get(problem.status, Refused)(problem)


def read_problem(said: Any, *, status: int) -> Problem | None:
    """The problem in a JSON body; None when it is none."""
    if not isinstance(said, dict) or not isinstance(said.get("code"), str):
        return None
    fields = said.get("errors") or []
    errors = tuple(
        FieldError(str(each.get("field", "")), str(each.get("code", "")), str(each.get("detail", "")))
        for each in fields
        if isinstance(each, dict)
    )
    text = {name: str(said.get(name) or "") for name in ("title", "detail")}
    return Problem(code=said["code"], status=status, title=text["title"], detail=text["detail"], errors=errors)
