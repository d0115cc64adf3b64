"""What a run of the benches works with: how much, where, and on which servers. Closed at the end, whatever happens."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.bench.processor import of_process
from deploy.bench.table import Figures
from deploy.servers.run import Servers

STORES = ("memory", "sqlite", "postgresql")


class BenchTrouble(Exception):
    """A bench cannot be run, or what it measured is not what it should have; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One run."""

    quick: bool
    only: str
    folder: Path
    servers: Servers
    figures: Figures

    def count(self, full: int, *, quick: int) -> int:
        """How many of something this run takes."""
        return quick if self.quick else full

    def wants(self, name: str) -> bool:
        """Whether `--only` lets this subject, such as `journal.sqlite`, run."""
        return fnmatch(name, self.only)

    def new_folder(self) -> Path:
        """An empty folder."""
        folder = self.folder / secrets.token_hex(4)
        folder.mkdir()
        return folder

    @contextmanager
    def journal_url(self, store: str) -> Iterator[str]:
        """The url of an empty journal in a store; what held it is removed afterwards."""
        if store == "postgresql":
            with self.database() as dsn:
                yield dsn
        else:
            yield "memory:" if store == "memory" else f"sqlite:{self.new_folder() / 'journal.db'}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The DSN of an empty database on a real PostgreSQL, dropped afterwards; raises `BenchTrouble`."""
        self.servers.start_database()
        if self.servers.database is None:
            raise BenchTrouble(self.servers.trouble["database"])
        name = f"bench_{secrets.token_hex(6)}"
        yield self.servers.database.create_database(name)
        self.servers.database.drop_database(name)

    def bootstrap(self) -> str:
        """`host:port` of a real Kafka; raises `BenchTrouble`."""
        self.servers.start_broker()
        if self.servers.broker is None:
            raise BenchTrouble(self.servers.trouble["broker"])
        return self.servers.broker.bootstrap

    def servers_cpu(self) -> dict[str, float]:
        """What broker and database have used of the machine so far, in seconds, where they are ours to look at."""
        servers = {"Kafka": self.servers.broker, "PostgreSQL": self.servers.database}
        pids = {name: getattr(server, "pid", None) for name, server in servers.items()}
        return {name: of_process(pid) for name, pid in pids.items() if pid is not None}


@contextmanager
def open_setting(*, quick: bool, only: str, figures: Figures) -> Iterator[Setting]:
    """A setting whose servers end and whose folders go with it.

    Args:
        quick: small counts, to see that everything runs.
        only: a pattern of subjects, such as `journal.*`.
        figures: where results go.
    """
    servers = Servers()
    try:
        with TemporaryDirectory(prefix="timebank-bench-") as folder:
            yield Setting(quick=quick, only=only, folder=Path(folder), servers=servers, figures=figures)
    finally:
        servers.stop()
