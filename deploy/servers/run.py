"""The servers of one run of tests or benches: each started at most once, by whoever needs it first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import ServerMissing, ServerTrouble
from .find import Broker, Database, find_broker, find_database


@dataclass
class Servers:
    """A broker and a database, or the sentence why there is none.

    `lines` tells a person which ran; `trouble` holds what went wrong, by role.
    """

    broker: Broker | None = None
    database: Database | None = None
    lines: dict[str, str] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)

    def start_broker(self) -> None:
        """Start the broker unless that was tried; look at `broker` and `trouble`."""
        if self.broker is None and "broker" not in self.trouble:
            self._note("broker", self._find_broker)

    def start_database(self) -> None:
        """Start the database unless that was tried; look at `database` and `trouble`."""
        if self.database is None and "database" not in self.trouble:
            self._note("database", self._find_database)

    def report(self) -> list[str]:
        """One line for each role."""
        return [f"{role}: {self.lines.get(role, 'not started: no test needs one')}" for role in ("broker", "database")]

    def stop(self) -> None:
        """End what was started here."""
        for server in (self.broker, self.database):
            if server is not None:
                server.stop()
        self.broker = self.database = None

    def _find_broker(self) -> str:
        self.broker, line = find_broker()
        return line

    def _find_database(self) -> str:
        self.database, line = find_database()
        return line

    def _note(self, role: str, find: Callable[[], str]) -> None:
        try:
            self.lines[role] = find()
        except (ServerMissing, ServerTrouble) as error:
            self.trouble[role] = str(error)
            self.lines[role] = f"MISSING. {error}"
