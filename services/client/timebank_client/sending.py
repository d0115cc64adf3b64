"""Sending: the same request again until there is an answer to hand on, and what an answer means.

Clock, chance and sleep are parameters, so that a test waits for nothing.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import httpx
import msgspec

from timebank_client.errors import Problem, Unavailable, Unexpected, read_problem, refused
from timebank_client.retries import RETRIED_STATUSES, Retries, read_retry_after

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a client takes from the world; tests give their own."""

    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    """0 to 1. It spreads retries; nothing secret depends on it."""
    new_key: Callable[[], str] = field(default=lambda: uuid.uuid4().hex)
    """Makes an Idempotency-Key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Sends, and again when it may; `http`'s timeouts bound each try."""

    http: httpx.Client
    retries: Retries
    around: Surroundings

    def pause(self, tried: int, *, retry_after_seconds: float | None = None) -> float:
        """Wait as after so many tries; returns for how many seconds."""
        wait = self.retries.wait_seconds(tried, chance=self.around.chance(), retry_after_seconds=retry_after_seconds)
        self.around.sleep(wait)
        return wait

    def persistently(self, send: Callable[[], httpx.Response], *, key: str | None) -> httpx.Response:
        """Send until there is an answer to hand on; see `Retries`."""
        tried, waited = 0, 0.0
        while True:
            tried += 1
            problem, asked_seconds, cause = None, None, None
            try:
                answer = send()
            except httpx.TransportError as error:
                cause = error
                text = f"{type(error).__name__}: {error}"
            except httpx.DecodingError as error:
                raise Unexpected(f"The answer cannot be read: {error}.") from error
            else:
                if answer.status_code not in RETRIED_STATUSES:
                    return checked(answer)
                problem = problem_of(answer)
                text = problem.detail or problem.code
                asked_seconds = read_retry_after(answer.headers.get("Retry-After"), now=self.around.now())
            wait = self.retries.wait_seconds(tried, chance=self.around.chance(), retry_after_seconds=asked_seconds)
            if tried >= self.retries.tries_max or waited + wait > self.retries.total_seconds_max:
                raise Unavailable(f"No success in {tried} tries. {text}", key=key, problem=problem) from cause
            self.around.sleep(wait)
            waited += wait


def problem_of(answer: httpx.Response) -> Problem:
    """The problem that an answer holds; one of its status alone where a proxy answered in its own words."""
    try:
        found = read_problem(msgspec.json.decode(answer.content), status=answer.status_code)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if found is None:
        text = f"The server answered {answer.status_code} without a problem document."
        found = Problem(code=f"http_{answer.status_code}", status=answer.status_code, detail=text)
    return found


def checked(answer: httpx.Response) -> httpx.Response:
    """The answer, when it is a success; raises `Refused`, `Unexpected`."""
    if answer.is_success:
        return answer
    problem = problem_of(answer)
    if answer.is_client_error:
        raise refused(problem)
    raise Unexpected(f"{answer.status_code} {problem.code}: {problem.detail}")


def decoded(answer: httpx.Response, into: type[Answer]) -> Answer:
    """The answer as an object; raises `Unexpected`."""
    if into is bytes:
        return answer.content  # type: ignore[return-value] # mypy does not follow the comparison of types
    if into is type(None):
        return None
    try:
        return msgspec.json.decode(answer.content, type=into)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unexpected(f"The answer is not what the API documents: {error}.") from error
