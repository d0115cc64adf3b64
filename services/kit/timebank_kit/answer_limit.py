"""A connection to PostgreSQL whose every wait ends.

libpq bounds the connecting only. A server that is stopped, or behind a line that was cut without a word, neither
answers nor closes: without a bound its caller would wait for ever, and `statement_timeout` is kept by that server.
"""

from __future__ import annotations

from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

T = TypeVar("T")
INTERVAL_SECONDS = 0.1


class AnswerLimit(psycopg.Connection[Any]):
    """Raises `psycopg.OperationalError`, and is closed, when an answer takes longer than `answer_seconds`."""

    answer_seconds = 10.0

    @classmethod
    def connect(cls, conninfo: str = "", *, answer_seconds: float = answer_seconds, **options: Any) -> Self:  # type: ignore[override]  # one option more
        """As psycopg's; `answer_seconds` counts from then on."""
        connection = super().connect(conninfo, **options)
        connection.answer_seconds = answer_seconds
        return connection

    def wait(self, gen: PQGen[T], interval: float = INTERVAL_SECONDS, timeout: float | None = None) -> T:
        """As psycopg's, for `answer_seconds` where it says nothing shorter."""
        seconds = self.answer_seconds if timeout is None else min(timeout, self.answer_seconds)
        try:
            return super().wait(gen, interval, seconds)
        except psycopg.OperationalError as late:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            # The question is still under way there, so nothing more can be asked here.
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the server did not answer within {seconds:g} s") from late
