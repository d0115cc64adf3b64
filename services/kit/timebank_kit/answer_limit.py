"""Connections to PostgreSQL whose every wait ends.

libpq bounds the connecting only. A server that is stopped, or behind a line that was cut without a word, neither
answers nor closes: without a bound its caller would wait for ever, and `statement_timeout` is kept by that server.
"""

from __future__ import annotations

import select
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.rows import tuple_row

T = TypeVar("T")
INTERVAL_SECONDS = 0.1
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 10
MORE_SECONDS = 2.0
"""An answer may take this much longer than the server's own `statement_timeout`, which the url's options may set."""
_OPTIONS = (
    f"-c lock_timeout=5000 -c statement_timeout={STATEMENT_SECONDS}000 -c idle_in_transaction_session_timeout=30000"
    " -c client_min_messages=warning"
)
_STATEMENT_TIMEOUT = "SELECT setting::integer FROM pg_settings WHERE name = 'statement_timeout'"


def bounded_parameters(dsn: str, *, application_name: str) -> dict[str, Any]:
    """The DSN's parameters with bounded waits; what the DSN itself says comes later and wins.

    Raises:
        ValueError: the DSN cannot be read.
    """
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.Error as error:
        raise ValueError("The PostgreSQL url cannot be read; write postgresql://user@host:port/database.") from error
    options = f"{_OPTIONS} {given.pop('options', None) or ''}".strip()
    return {"application_name": application_name, "connect_timeout": CONNECT_SECONDS, **given, "options": options}


class AnswerLimit(psycopg.Connection[Any]):
    """Raises `psycopg.OperationalError`, and is closed, when an answer takes longer than `answer_seconds`."""

    answer_seconds = STATEMENT_SECONDS + MORE_SECONDS

    def has_ended(self) -> bool:
        """Whether the server is known to have ended the session; asks this machine alone, and nobody waits."""
        session = self.pgconn
        if session.status != ConnStatus.OK:
            return True
        ready = select.poll()
        ready.register(session.socket, select.POLLIN)
        try:
            # Between two statements the server says nothing, but that it goes.
            if ready.poll(0):
                session.consume_input()
        except psycopg.Error:
            return True
        return session.status != ConnStatus.OK

    @classmethod
    def connect(cls, conninfo: str = "", **options: Any) -> Self:
        """As psycopg's; the session's own `statement_timeout`, if it has one, sets the bound."""
        connection = super().connect(conninfo, **options)
        with connection.cursor(row_factory=tuple_row) as cursor:
            milliseconds = cursor.execute(_STATEMENT_TIMEOUT).fetchall()[0][0]
        if not connection.autocommit:
            connection.rollback()
        if milliseconds:
            connection.answer_seconds = MORE_SECONDS + milliseconds / 1000
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
