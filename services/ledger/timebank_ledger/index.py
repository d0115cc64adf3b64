"""The index: a read model of the journal that may be dropped at any time and is rebuilt from it.

    accounts   account, position → kind                                 (what there was at a position)
    lines      account, position → minutes, time, type, transfer        (statements)
    outs       peer, generation, stream position → journal position, chain value    (what a peer pulls)
    subjects   transfer or claim → positions of what was said of it     (states of transfers and claims)

Its own position is committed with its rows. It is advanced on demand, and by a follower while the ledger is idle; a
changed version, another journal or a journal that is shorter makes it begin anew. It is never read by a rule.
Beside a SQLite journal it is a file of its own, so that it never holds the lock that the writer needs.
Source: design page 1, "Nothing is stored twice as truth".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import sqlalchemy as sa

from timebank_contracts import entries as e
from timebank_contracts.entry_reader import EntryReader
from timebank_contracts.figures import KindRow
from timebank_contracts.names import Identity
from timebank_contracts.rules_generations import number_of
from timebank_contracts.streams import StreamHead
from timebank_kit.journal import Journal, JournalTrouble
from timebank_ledger.index_rows import OPENED, RECOVERED, Began, Earlier, Rows, began_by, rows_of
from timebank_ledger.index_store import open_engine

VERSION: Final = 10
"""Raise it when a table or the meaning of a row changes: every index is then rebuilt."""
CHUNK_ENTRIES: Final = 1_024


_ID: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Ids sort by their bytes in every database."""
A = TypeVar("A")
_log = logging.getLogger(__name__)


class IndexTrouble(JournalTrouble):
    """The index cannot be opened; the text says what to do."""


class Line(NamedTuple):
    """What one entry did to one account."""

    position: int
    time: str
    type: str
    minutes: int
    transfer: str | None


class Standing(NamedTuple):
    """An account at a position of the journal; the balance in minutes."""

    account: str
    kind: str
    balance: int


class Out(NamedTuple):
    """A message of ours: stream position, journal position, chain value after it."""

    n: int
    position: int
    chain: bytes


class Index:
    """Reads and advances the index of one journal.

    Args:
        url: see `index_store.index_url`.
        journal: what is indexed.
        name: tells apart the journals of one database: letters, digits and `_`.
    """

    def __init__(self, url: str, journal: Journal, *, name: str) -> None:
        self._journal = journal
        self._lock = threading.RLock()
        self._engine = open_engine(url)
        self._file = self._engine.url.database if self._engine.dialect.name == "sqlite" else None
        metadata = sa.MetaData()
        self._metadata = metadata
        prefix = f"index_{name}_"
        self._meta = sa.Table(
            f"{prefix}meta",
            metadata,
            sa.Column("version", sa.Integer, nullable=False),
            sa.Column("position", sa.BigInteger, nullable=False),
            sa.Column("last_sha256", sa.Text, nullable=False),
        )
        self._accounts = sa.Table(
            f"{prefix}accounts",
            metadata,
            sa.Column("account", _ID, primary_key=True),
            sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("kind", sa.Text, nullable=False),
        )
        self._lines = sa.Table(
            f"{prefix}lines",
            metadata,
            sa.Column("account", sa.Text, primary_key=True),
            sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("time", sa.Text, nullable=False),
            sa.Column("type", sa.Text, nullable=False),
            sa.Column("minutes", sa.BigInteger, nullable=False),
            sa.Column("transfer", sa.Text),
            sqlite_with_rowid=False,  # the lines of an account lie together: sums are ten times as fast
        )
        self._outs = sa.Table(
            f"{prefix}outs",
            metadata,
            sa.Column("peer", sa.Text, primary_key=True),
            sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("position", sa.BigInteger, nullable=False),
            sa.Column("chain", sa.LargeBinary(32), nullable=False),
        )
        self._subjects = sa.Table(
            f"{prefix}subjects",
            metadata,
            sa.Column("subject", sa.Text, primary_key=True),
            sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("type", sa.Text, nullable=False),
        )
        self._position = 0
        self._heads: dict[str, StreamHead] = {}
        """By peer: our stream of the present generation."""
        self._began: list[Began] = []
        """The generations of this journal, in their order, as far as they are indexed."""
        self._reader = EntryReader()
        self.earlier = Earlier(self._read, self.sent_at, self.begun_at)
        """What was indexed before; one thread at a time indexes."""
        self.trouble: str | None = None
        """Why it could not follow the journal, when it tried last, and what to do."""
        self._doubtful = False
        """A chunk's commit failed: the database says how far the index is, not this object."""
        try:
            self._mending(self._open)
        except sa.exc.SQLAlchemyError as error:
            text = f"The index {self._file or 'in the database'} cannot be opened: {getattr(error, 'orig', error)}."
            raise IndexTrouble(f"{text} Check its path and rights, or delete it: it is rebuilt.") from error

    @property
    def position(self) -> int:
        """How many entries are indexed."""
        return self._position

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    # Advancing ---------------------------------------------------------------------------------------------------

    def advance_to(self, length: int) -> None:
        """Index the first `length` entries, in bounded chunks; returns at once when that is done already."""
        while self._position < length:
            if not self.advance_chunk(length):
                return

    def advance_chunk(self, length: int) -> int:
        """Index at most one chunk of what is missing up to `length`; returns how many entries it took."""
        with self._lock:
            try:
                taken = self._take_chunk(length)
            except (sa.exc.SQLAlchemyError, JournalTrouble) as error:
                why = str(getattr(error, "orig", error)).partition("\n")[0]
                self.trouble = f"The index does not follow the journal ({why}): make room on its disk, or see its log."
                raise
            self.trouble = None
            return taken

    def _take_chunk(self, length: int) -> int:
        if self._doubtful:
            self._open()
        count = min(CHUNK_ENTRIES, length - self._position)
        records = self._journal.read(self._position, count) if count > 0 else []
        if not records:
            return 0
        entries = self._reader.read([record.state for record in records])
        rows, heads, began = rows_of(entries, dict(self._heads), list(self._began), self.earlier)
        last = sha256(records[-1].state).hexdigest()
        self._mending(lambda: self._store(rows, self._position + len(records), last))
        self._position += len(records)
        self._heads, self._began = heads, began
        return len(records)

    def _store(self, rows: Rows, position: int, last_sha256: str) -> None:
        self._doubtful = True
        with self._engine.begin() as connection:
            for table, some in (
                (self._accounts, rows.accounts),
                (self._lines, rows.lines),
                (self._outs, rows.outs),
                (self._subjects, rows.subjects),
            ):
                if some:
                    connection.execute(table.insert(), some)
            moved = connection.execute(
                self._meta.update()
                .where(self._meta.c.position == self._position)
                .values(position=position, last_sha256=last_sha256)
            )
            if moved.rowcount != 1:
                raise IndexTrouble("another process advances this index: run one ledger only")
        self._doubtful = False

    def _mending(self, act: Callable[[], A]) -> A:
        """What `act` gives. A damaged file is removed and indexed anew as far as it was, and `act` is tried again."""
        try:
            return act()
        except sa.exc.DatabaseError as error:
            # A lock, or a file that cannot be opened, has a class of its own: that file may be good.
            if not self._file or type(error) is not sa.exc.DatabaseError:
                raise
            _log.warning("the index is damaged and made anew", extra={"position": self._position})
            position = self._position
            self._engine.dispose()
            for end in ("", "-wal", "-shm"):
                Path(self._file + end).unlink(missing_ok=True)
            self._open()
            self.advance_to(position)
            return act()

    def _read(self, position: int) -> e.Entry:
        return e.decode_entry(self._journal.read(position, 1)[0].state)

    def _open(self) -> None:
        with self._engine.begin() as connection:
            if not self._is_current(connection):
                self._metadata.drop_all(connection)
                self._metadata.create_all(connection)
                connection.execute(self._meta.insert().values(version=VERSION, position=0, last_sha256=""))
            self._position = int(connection.execute(sa.select(self._meta.c.position)).scalar_one())
            self._began = self._generations(connection)
            self._heads = {}
            c = self._outs.c
            present = number_of(self._began[-1].identity.generation) if self._began else 0
            last = sa.select(c.peer, sa.func.max(c.n)).where(c.generation == present).group_by(c.peer)
            for peer, n in connection.execute(last).all():
                found = c.peer == peer, c.generation == present, c.n == n
                chain = connection.execute(sa.select(self._outs.c.chain).where(*found)).scalar_one()
                self._heads[peer] = StreamHead(int(n), bytes(chain))
        self._doubtful = False

    def _generations(self, connection: sa.Connection) -> list[Began]:
        """Where each generation began, of the entries that are indexed."""
        c = self._subjects.c
        found = sa.select(c.position).where(c.subject == OPENED).order_by(c.position)
        return [began_by(self._read(int(row[0]))) for row in connection.execute(found).all()]

    def identity_at(self, position: int) -> Identity:
        """Under which identity the entry at a position that is indexed was written."""
        return next(began.identity for began in reversed(self._began) if began.position <= position)

    def _is_current(self, connection: sa.Connection) -> bool:
        present = set(sa.inspect(connection).get_table_names())
        if not present.issuperset(self._metadata.tables):
            return False
        kept = connection.execute(sa.select(self._meta)).one_or_none()
        if kept is None or kept.version != VERSION:
            return False
        if kept.position == 0:
            return True
        records = self._journal.read(kept.position - 1, 1)
        return bool(records) and sha256(records[0].state).hexdigest() == kept.last_sha256

    # Reading -----------------------------------------------------------------------------------------------------

    def balance_before(self, account: str, position: int) -> int:
        """Balance of an account, in minutes, after the first `position` entries."""
        c = self._lines.c
        total = sa.select(sa.func.coalesce(sa.func.sum(c.minutes), 0))
        return int(self._rows(total.where(c.account == account, c.position < position))[0][0])

    def turnover(self, account: str, *, start: int, stop: int) -> tuple[int, int]:
        """What an account was credited and what it paid at journal positions `start` to `stop` − 1: both 0 or more."""
        c = self._lines.c
        credited = sa.func.coalesce(sa.func.sum(sa.case((c.minutes > 0, c.minutes), else_=0)), 0)
        paid = sa.func.coalesce(sa.func.sum(sa.case((c.minutes < 0, -c.minutes), else_=0)), 0)
        found = sa.select(credited, paid).where(c.account == account, c.position >= start, c.position < stop)
        [row] = self._rows(found)
        return int(row[0]), int(row[1])

    def lines(self, account: str, *, start: int, stop: int, limit: int) -> list[Line]:
        """Up to `limit` lines of an account at journal positions `start` to `stop` − 1, in order."""
        c = self._lines.c
        found = (
            sa.select(c.position, c.time, c.type, c.minutes, c.transfer)
            .where(c.account == account, c.position >= start, c.position < stop, c.minutes != 0)
            .order_by(c.position)
            .limit(limit)
        )
        return [Line(*row) for row in self._rows(found)]

    def lines_of(self, accounts: Collection[str], *, start: int, stop: int, limit: int) -> list[tuple[str, Line]]:
        """Up to `limit` lines of some accounts, each with its account, in order of position, then of account."""
        c = self._lines.c
        found = (
            sa.select(c.account, c.position, c.time, c.type, c.minutes, c.transfer)
            .where(c.account.in_(sorted(accounts)), c.position >= start, c.position < stop)
            .order_by(c.position, c.account)
            .limit(limit)
        )
        return [(account, Line(*line)) for account, *line in self._rows(found)]

    def standings(self, position: int, *, after: str = "", limit: int) -> list[Standing]:
        """Up to `limit` accounts behind the id `after`, in order of id, as the first `position` entries leave them."""
        known = self._accounts.c
        accounts = (
            sa.select(known.account, known.kind)
            .where(known.position < position, known.account > after)
            .distinct()
            .order_by(known.account)
            .limit(limit)
            .subquery()
        )
        minutes = sa.func.coalesce(sa.func.sum(self._lines.c.minutes), 0)
        found = (
            sa.select(accounts.c.account, accounts.c.kind, minutes)
            .outerjoin(self._lines, (self._lines.c.account == accounts.c.account) & (self._lines.c.position < position))
            .group_by(accounts.c.account, accounts.c.kind)
            .order_by(accounts.c.account)
        )
        return [Standing(account, kind, int(balance)) for account, kind, balance in self._rows(found)]

    def kinds(self, position: int) -> list[KindRow]:
        """The town by kind of account, in order of kind, as the first `position` entries leave it: one question."""
        known, lines = self._accounts.c, self._lines.c
        accounts = sa.select(known.account, known.kind).where(known.position < position).distinct().subquery()
        sums = (
            sa.select(lines.account, sa.func.sum(lines.minutes).label("balance"))
            .where(lines.position < position)
            .group_by(lines.account)
            .subquery()
        )
        balance = sa.func.coalesce(sums.c.balance, 0)
        credit = sa.func.sum(sa.case((balance > 0, balance), else_=0))
        debit = sa.func.sum(sa.case((balance < 0, -balance), else_=0))
        found = (
            sa.select(accounts.c.kind, sa.func.count(), credit, debit)
            .outerjoin(sums, sums.c.account == accounts.c.account)
            .group_by(accounts.c.kind)
            .order_by(accounts.c.kind)
        )
        return [KindRow(kind, count, int(credit), int(debit)) for kind, count, credit, debit in self._rows(found)]

    def sent_at(self, peer: str, generation: str, n: int) -> int | None:
        """Journal position of the entry that sent, or recovered, our message at a position of that stream to a peer."""
        outs = self.outs(peer, after=n - 1, limit=1, generation=generation)
        return outs[0].position if outs and outs[0].n == n else None

    def begun_at(self, subject: str) -> int | None:
        """Position of the first entry that is kept about a claim or transfer from another town."""
        c = self._subjects.c
        first = sa.select(sa.func.min(c.position)).where(c.subject == subject, ~c.type.startswith(RECOVERED))
        return next((int(row[0]) for row in self._rows(first) if row[0] is not None), None)

    def outs(self, peer: str, *, after: int, limit: int, generation: str) -> list[Out]:
        """Up to `limit` messages to `peer` in a generation of ours after stream position `after`, in order."""
        c = self._outs.c
        chosen = c.peer == peer, c.generation == number_of(generation), c.n > after
        found = sa.select(c.n, c.position, c.chain).where(*chosen).order_by(c.n).limit(limit)
        return [Out(n, position, bytes(chain)) for n, position, chain in self._rows(found)]

    def outcome(self, transfer: str) -> int | None:
        """Journal position of the last entry that decided, ended or took back a transfer, if there is one."""
        c = self._subjects.c
        last = sa.select(sa.func.max(c.position)).where(c.subject == transfer, c.type.like("transfer.%"))
        position = self._rows(last)[0][0]
        return None if position is None else int(position)

    def said_of(self, subject: str, *, limit: int) -> list[tuple[int, str]]:
        """Position and type of the last `limit` entries about a transfer, claim or record, in order."""
        c = self._subjects.c
        found = sa.select(c.position, c.type).where(c.subject == subject).order_by(c.position.desc()).limit(limit)
        return [(int(position), kind) for position, kind in reversed(self._rows(found))]

    def noted(self, account: str, kind: str, *, after: int, limit: int) -> list[int]:
        """Positions, after one, of the entries of a type that concern an account: up to `limit`, in order."""
        c = self._lines.c
        chosen = c.account == account, c.type == kind, c.position > after
        found = sa.select(c.position).where(*chosen).order_by(c.position).limit(limit)
        return [int(row[0]) for row in self._rows(found)]

    def _rows(self, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
        def select() -> list[tuple[Any, ...]]:
            with self._engine.connect() as connection:
                return [tuple(row) for row in connection.execute(statement)]

        with self._lock:
            return self._mending(select)
