"""From an exception to a problem: the ledger's own table, for every route and every command of a batch.

Source: design page 7, "Errors, four kinds"; RFC 9457.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError

from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.http import TAGS
from timebank_contracts.problems import problem
from timebank_kit.commit_loop import Doubt, QueueFull, Stopped
from timebank_kit.journal import JournalTrouble
from timebank_kit.key_set import KeysAway
from timebank_kit.problem_answers import ERRORS_MAX, EdgeProblem, Problem
from timebank_ledger.access import Forbidden, Unauthorised

MINUTES_FIELDS: Final = frozenset({"minutes", "given_minutes"})


def _database_away(_: Exception) -> Problem:
    return problem("writer_stopped", "The ledger's database does not answer now; come again later.")


def _invalid(error: RequestValidationError) -> Problem:
    return _fields_problem([_field_error(one["loc"], str(one["msg"])) for one in error.errors()[:ERRORS_MAX]])


PROBLEMS: Final[dict[type[Exception], Callable[[Any], Problem]]] = {
    EdgeProblem: lambda error: error.body,
    Refusal: lambda error: problem(error.code, error.detail),
    Malformed: lambda error: problem("malformed", str(error)),
    Unauthorised: lambda error: problem("unauthorised", str(error)),
    Forbidden: lambda error: problem("forbidden", str(error)),
    KeysAway: lambda error: problem("room_away", str(error)),
    QueueFull: lambda error: problem("queue_full", str(error)),
    Stopped: lambda error: problem("writer_stopped", str(error)),
    Doubt: lambda _: problem("outcome_unknown"),
    JournalTrouble: _database_away,
    SQLAlchemyError: _database_away,
    RequestValidationError: _invalid,
}
"""By kind of exception: the body of its problem."""


def problem_of(error: Exception) -> Problem:
    """The problem's body for an exception of one of these kinds."""
    return next(PROBLEMS[kind](error) for kind in type(error).__mro__ if kind in PROBLEMS)


def invalid_field(error: msgspec.ValidationError) -> Problem:
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
    path = path or ["command"]
    name = next((part for part in reversed(path) if not part.isdigit()), "")
    posted = name in ("postings", "given") and path[-1] == "1"
    code = "amount_out_of_range" if name in MINUTES_FIELDS or posted else "field_invalid"
    return {"field": ".".join(path), "code": code, "detail": text}


def _fields_problem(errors: list[dict[str, str]]) -> Problem:
    first = errors[0]
    return problem(first["code"], f"{first['field']}: {first['detail']}", errors=errors)
