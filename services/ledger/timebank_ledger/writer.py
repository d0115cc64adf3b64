"""The writer: the one thread that owns the book and appends to the journal.

    submit ─▶ queue ─▶ commit(batch): perform each on a layer ─▶ encode ─▶ append, one fsync ─▶ settle ─▶ answer all

What gathered during the last commit is the next batch. A refused command writes nothing. A batch is performed on a
layer over the book (`layer.py`) and settles when the journal has it: readers see committed state at every moment, and
wait neither for a commit nor for a database that is away. On doubt about the database the journal's tail is read back
before a further command is taken: the batch is there, and settles, or it is not. A bug, a second writer, or what a peer
proves to be a rollback stops the writer for good, and reading goes on.
Source: design page 3, "Writer"; page 2, "Rollback and generations".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import islice
from typing import Any

from timebank_contracts import entries as e
from timebank_contracts.accept import RolledBack
from timebank_contracts.book import Book, Read
from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.keys import SigningKey
from timebank_contracts.moments import show_time
from timebank_contracts.registry import Registry, open_registry
from timebank_kit.clock import Clock
from timebank_kit.commit_loop import CommitLoop, Doubt, Halt, Stopped, Unwritten
from timebank_kit.journal import Journal, JournalTrouble, KeyTaken, NoRoom, PositionTaken, StoreAway, TailMissing
from timebank_kit.tail import Tail
from timebank_ledger import commands as c
from timebank_ledger.checkpoints import Checkpoints
from timebank_ledger.clock_guard import ClockGuard, ClockWrong, check_start
from timebank_ledger.committed import Batch, Committed, NotOurs
from timebank_ledger.head import WAYS_OUT, HeadFile, HeadNotWritten, JournalBehindHead
from timebank_ledger.keys import Keys, keys_of
from timebank_ledger.layer import layer_over
from timebank_ledger.peer_policy import change_peer
from timebank_ledger.peers import accept_registry
from timebank_ledger.propose import perform
from timebank_ledger.replay import JournalDamaged, read_entry
from timebank_ledger.snapshot import SnapshotFile, Unsound, read_back, take
from timebank_ledger.trial import Trial
from timebank_ledger.written import Outcome, Written, enter_segment, repeated

__all__ = ["Outcome", "Writer", "Written"]

_log = logging.getLogger(__name__)


_Parked = c.Command | tuple[c.Command, ...] | Trial
_Answer = Written | Exception


class Writer:
    """Owns the journal's book.

    Args:
        journal: storage; its content is replayed before the first command.
        clock: gives the time of entries.
        log_key: signs checkpoints.
        head: remembers the greatest published size and root outside the database.
        snapshot: spares the start most of the replay.
        registry: the latest registry that is held; it counts when it is the one that the journal accepted.
        queue_limit: commands that may wait.
        clock_confirmed: an operator says that the clock is right although it stands far ahead of the last entry.

    Raises:
        JournalDamaged: the journal is not one that these rules could have written.
        JournalBehindHead: the journal is shorter than, or differs from, what was published.
        ClockWrong: the clock stands behind the last entry, or far ahead of it.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        clock: Clock,
        log_key: SigningKey,
        head: HeadFile,
        snapshot: SnapshotFile | None = None,
        registry: Registry | None = None,
        queue_limit: int = 8192,
        clock_confirmed: bool = False,
        on_stop: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.journal = journal
        self.clock = clock
        self.tail = Tail(0)
        self._keys = Keys(journal)
        self._registries = {} if registry is None else {registry.sha256: registry}
        self._head = head
        self.checkpoints = Checkpoints(head=head, log_key=log_key)
        self.snapshot = snapshot or SnapshotFile(None)
        self.rolled_back = False
        """A peer proved that this journal lost what it had."""
        self._on_stop = on_stop
        self._queue_limit = queue_limit
        self._lock = threading.RLock()
        self._doubted: Batch | None = None
        """The journal may have it or not."""
        self._state = Committed()
        self._batch = self._state.begin()
        self._broken = False
        """The book is half changed, which only a bug can leave behind: nobody reads it until it is rebuilt."""
        self._read_back()
        check_start(now=clock.now(), last_entry=self._state.book.time, confirmed=clock_confirmed)
        self._guard = ClockGuard(now=clock.now(), monotonic=clock.monotonic())
        self.loop: CommitLoop[_Parked, Any] = CommitLoop(
            commit=self._commit,
            recover=self._recover,
            look=self._look,
            queue_limit=queue_limit,
            name="ledger-writer",
        )

    # What the edges use ------------------------------------------------------------------------------------------

    def submit(self, command: c.Command) -> Future[Written]:
        """Park a command until its commit.

        Returns:
            A future of what was written, or what the same key wrote before; it raises `Refusal` (`key_reused` among
            them) or `Malformed` when nothing was.

        Raises:
            QueueFull, Stopped: nothing was taken; say so to the caller and let them come again.
        """
        return self.loop.submit(command)

    def submit_many(self, commands: Sequence[c.Command]) -> Future[list[Written | Exception]]:
        """Park commands together: they are committed in one batch, and one future has all answers, in order.

        Each is written or refused by itself; `Exception` is what `submit` would raise for it. This costs the threads
        that wait a tenth of as many futures.

        Raises:
            QueueFull, Stopped: none was taken.
        """
        return self.loop.submit(tuple(commands), weight=min(len(commands), self._queue_limit))

    def submit_trial(self, commands: Sequence[c.Command]) -> Future[list[Written | Exception]]:
        """What `submit_many` would answer in this place of the queue; nothing is written, and no key is used up.

        Args:
            commands: any but a peer's segment, which is no command of a caller's.

        Raises:
            QueueFull, Stopped: nobody knows now what it would answer.
        """
        weight = max(1, min(len(commands), self._queue_limit))
        return self.loop.submit(Trial(tuple(commands)), weight=weight)

    @contextmanager
    def reading(self) -> Iterator[Book]:
        """The committed book, to read from and not to keep; raises `Stopped` while a bug has left none."""
        with self._lock:
            if self._broken:
                raise Stopped(self.loop.reason or "The journal is being read back.")
            yield self._state.book

    def checkpoint(self, *, fresh: bool = False) -> bytes:
        """The latest signed checkpoint: see `Checkpoints.latest`.

        Raises:
            HeadNotWritten: there is none yet, or not of the present size, and none can be noted (a full disk).
        """
        with self.reading() as book:
            return self.checkpoints.latest(book.me.origin, self._state.tree, now=self.clock.monotonic(), fresh=fresh)

    def keep_snapshot(self) -> bool:
        """Write what is committed now as the snapshot; returns whether it was done.

        The writer waits only while the state is copied; the file is written without its lock.

        Raises:
            Stopped: a bug has left no book.
            JournalTrouble, Unsound: as `SnapshotFile.store`.
        """
        if self.snapshot.path is None:
            return False
        with self.reading() as book:
            taken = take(book, self._state.tree, self._head)
        return self.snapshot.store(taken, self.journal)

    def close(self) -> None:
        """Let the parked commands be committed, then stop."""
        self.loop.close()
        # A halted writer may know less than the process that goes on, and leaves what is kept beside the journal alone.
        if self._state.book.identity is not None and not self._broken and self.loop.state != "halted":
            try:
                self.checkpoint(fresh=True)
            except HeadNotWritten as trouble:
                _log.warning("the last checkpoint was not published", extra={"reason": str(trouble)})
            if self.snapshot.size != self._state.tree.size:
                try:
                    self.keep_snapshot()
                except (JournalTrouble, Unsound) as trouble:
                    _log.warning("the last snapshot was not written", extra={"reason": str(trouble)})

    # What the writer's thread does -------------------------------------------------------------------------------

    def _commit(self, batch: Sequence[_Parked]) -> list[Any]:
        commands = [one for parked in batch for one in (parked if isinstance(parked, tuple) else (parked,))]
        try:
            answers = iter(self._write(commands))
        except Doubt:
            raise
        except Exception:
            # The loop halts: nothing more is written, and what was written goes on being read.
            self._keep_reads()
            raise
        return [list(islice(answers, len(one))) if isinstance(one, tuple) else next(answers) for one in batch]

    def _write(self, commands: Sequence[c.Command | Trial]) -> list[_Answer | list[_Answer]]:
        asked, time = keys_of(commands), self._time()
        known = self._keys.before(asked)
        answers = self._perform_all(commands, known, time)
        if found := self._keys.look([key for key in asked if key not in known]):
            answers = self._perform_all(commands, found, time)
        try:
            self._append(self._batch)
        except KeyTaken:
            answers = self._perform_all(commands, self._keys.look(asked), time)
            self._append(self._batch, looked=True)
        return answers

    def _perform_all(
        self, commands: Sequence[c.Command | Trial], earlier: dict[str, e.Entry], time: str
    ) -> list[_Answer | list[_Answer]]:
        """Perform a batch on a layer of its own; `earlier` knows what its keys wrote, and learns what they write."""
        answers: list[_Answer | list[_Answer]] = []
        batch = self._batch = self._state.begin()
        for command in commands:
            try:
                if isinstance(command, Trial):
                    answers.append(self._try(command, earlier, time))
                    continue
                written = repeated(command, earlier) or self._perform(batch.book, command, time, self._cite)
            except (Refusal, Malformed) as refusal:
                answers.append(refusal)
                continue
            except RolledBack as proof:
                self._on_stop(str(proof))
                self.rolled_back = True
                dropped = f"Nothing is written, {len(batch.records)} entries were dropped, reading goes on."
                raise Halt(f"{proof} {dropped} {WAYS_OUT}") from proof
            except JournalTrouble as trouble:
                raise Unwritten(f"The journal cannot be read: {trouble}") from trouble
            answers.append(written)
            for entry in () if written.repeated else written.entries:
                key = batch.add(entry)
                if key is not None:
                    earlier[key] = entry
        return answers

    def _append(self, batch: Batch, *, looked: bool = False) -> None:
        """Write a batch; raises `KeyTaken` when a key of it was not new, unless all were `looked` for."""
        if not batch.records:
            return
        try:
            self.journal.append(batch.records)
        except KeyTaken as taken:
            if not looked:
                raise
            raise Unwritten(str(taken)) from taken
        except (PositionTaken, TailMissing) as other:
            raise self._halted(
                f"{other} Another process writes this journal, or it was replaced: run one only."
            ) from other
        except (NoRoom, StoreAway) as surely:
            raise Unwritten(str(surely)) from surely
        except JournalTrouble as trouble:
            self._doubted = batch
            raise Doubt(f"The commit's outcome is unknown: {trouble}") from trouble
        self._settle(batch)

    def _settle(self, batch: Batch) -> None:
        """The journal has the batch: so has the book, and the tree."""
        with self._lock:
            self._broken = True
            self._state.settle(batch)
            self._broken = False
        self.tail.publish(self._state.tree.size)

    def _halted(self, reason: str) -> Halt:
        self._on_stop(reason)
        return Halt(reason)

    def _time(self) -> str:
        now = self.clock.now()
        try:
            self._guard.check(now=now, monotonic=self.clock.monotonic())
        except ClockWrong as wrong:
            raise self._halted(str(wrong)) from wrong
        return show_time(now)

    def _try(self, trial: Trial, earlier: dict[str, e.Entry], time: str) -> list[_Answer]:
        """Answer what would be written, from a layer over the book that nobody sees again."""
        book, known = layer_over(self._batch.book), dict(earlier)
        first, tried = book.n, list[e.Entry]()
        answers: list[_Answer] = []

        def cite(position: int) -> e.Entry | None:
            return tried[position - first] if position >= first else self._cite(position)

        for command in trial.commands:
            try:
                assert not isinstance(command, c.TakeSegment), "a segment is no command of a caller's"
                written = repeated(command, known) or self._perform(book, command, time, cite)
            except (Refusal, Malformed) as refusal:
                answers.append(refusal)
                continue
            except JournalTrouble:
                raise
            except Exception as bug:
                # Nothing but the layer can be wrong now: the town goes on, and whoever asked is told.
                _log.critical("a dry run met a bug", exc_info=bug)
                return answers + [bug] * (len(trial.commands) - len(answers))
            answers.append(written)
            if not written.repeated:
                tried += written.entries
                known |= {entry.key: entry for entry in written.entries if isinstance(entry.key, str)}
        return answers

    def _perform(self, book: Book, command: c.Command, time: str, cite: Read) -> Written:
        if isinstance(command, c.TakeSegment):
            return enter_segment(book, command, time=time, read=cite)
        if isinstance(command, c.AcceptRegistry):
            previous = self._registry_in_force(book)
            registry = open_registry(command.envelope, previous=previous)
            entries = accept_registry(
                book,
                registry,
                own_limits=dict(command.own_limits),
                time=time,
                by=command.by,
                key=command.key,
                digest=command.digest,
            )
            if book is self._batch.book:
                self._registries = {one.sha256: one for one in (previous, registry) if one is not None}
            return Written(entries=entries)
        if isinstance(command, c.ChangePeer):
            return Written(entries=change_peer(book, command, self._registry_in_force(book), time=time))
        return Written(entries=perform(book, command, time=time, cite=cite))

    def _registry_in_force(self, book: Book) -> Registry | None:
        """The document that the book names: after a doubt, too, the next version follows what was really written."""
        if book.registry_version and book.registry_sha256 not in self._registries:
            raise Refusal(
                "registry_invalid",
                f"Version {book.registry_version} is in force here and its document is not held: put it back into the "
                "registry folder and start the node again.",
            )
        return self._registries.get(book.registry_sha256)

    def _cite(self, position: int) -> e.Entry | None:
        return self._batch.entry(position) or read_entry(self.journal, position)

    def _look(self) -> None:
        """In an idle moment: is the journal still there, and does nobody else write it?"""
        try:
            self._is_written()
        except JournalTrouble as trouble:
            raise Unwritten(f"The journal cannot be read: {trouble}") from trouble

    def _is_written(self) -> bool:
        try:
            return self._state.is_written(self._doubted, self.journal)
        except NotOurs as wrong:
            raise self._halted(str(wrong)) from wrong

    def _recover(self) -> None:
        self.journal.reopen()
        written = self._is_written()
        if written and self._doubted is not None:
            self._settle(self._doubted)
        self._doubted = None

    def _keep_reads(self) -> None:
        if not self._broken:
            return
        try:
            self._read_back()
        except (JournalDamaged, JournalBehindHead, JournalTrouble) as wrong:
            _log.critical("the journal cannot be read back", extra={"reason": str(wrong)})

    def _read_back(self) -> None:
        """Make book and tree what the journal says. The lock is free meanwhile: readers are told at once to wait."""
        book, tree = read_back(self.journal, head=self._head, snapshot=self.snapshot)
        found = Committed.of(book, tree, self.journal)
        with self._lock:
            self._state = found
            self._doubted = None
            self._broken = False
        self.tail.publish(tree.size)
