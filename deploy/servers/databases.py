"""What every PostgreSQL server here can do, however it was started: hold databases of their own for tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

_CONNECT_SECONDS = 5


class DatabaseServer(ABC):
    """A running server, known by the address of its maintenance database.

    A subclass says what `dsn` is.
    """

    @property
    @abstractmethod
    def dsn(self) -> str:
        """Of the maintenance database, with its password: never log it. Work belongs in a database of its own."""

    def dsn_of(self, database: str) -> str:
        """The address of `database` on this server."""
        if "://" not in self.dsn:
            return make_conninfo(self.dsn, dbname=database)
        return urlunsplit(urlsplit(self.dsn)._replace(path=f"/{database}"))

    def create_database(self, name: str) -> str:
        """Make an empty database. Returns: its address."""
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.dsn_of(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def answers(self) -> bool:
        """Whether a connection can be made now."""
        try:
            psycopg.connect(self.dsn, connect_timeout=_CONNECT_SECONDS).close()
        except psycopg.OperationalError:
            return False
        return True

    def version(self) -> str:
        """The server's own word, such as `17.10`."""
        with psycopg.connect(self.dsn, connect_timeout=_CONNECT_SECONDS) as connection:
            return connection.info.parameter_status("server_version") or "of unknown version"

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statement)
