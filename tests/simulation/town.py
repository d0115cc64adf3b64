"""A simulated town's ledger: the writer's life, with the real `perform`, `take_segment`, `freeze` and `apply`.

    submit ─▶ queue ─▶ commit(batch) ─▶ disk ─▶ answers        crash ─▶ nothing but the disk ─▶ restart = replay

Everything except `disk` is memory. The order of acts is that of the ledger's `writer.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.simulation.disk import CommitUnknown, Crashed, Disk
from tests.simulation.rules import Rules
from tests.simulation.schedule import Schedule
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.accept import RolledBack, StopsAt
from timebank_contracts.book import apply
from timebank_contracts.errors import Breach, Malformed, Refusal
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_contracts.registry import Registry
from timebank_contracts.segments import parse_segment
from timebank_contracts.state import Book
from timebank_ledger import commands as c
from timebank_ledger.layer import layer_over
from timebank_ledger.peer_policy import change_peer
from timebank_ledger.peers import RULE, accept_registry, freeze
from timebank_ledger.recovery import is_of_the_past

BATCH_MAX = 64
PAST = "of the past"
"""What is judged of a segment that a peer handed back after state was lost."""
COMMIT_SECONDS = 0.002

Answer = list[bytes] | Exception
"""The committed entries of a command (none: nothing to write), or why there are none."""


@dataclass(slots=True)
class Job:
    """One thing the writer is asked for."""

    work: c.Command | bytes | Registry
    answer: Callable[[Answer], None]
    judged: object = None
    """What `take_segment` said of a segment."""


@dataclass(slots=True)
class Memory:
    """What a crash takes away; a pure function of the disk, besides the queue."""

    book: Book = field(default_factory=Book)
    tree: Tree = field(default_factory=Tree)
    keys: dict[str, int] = field(default_factory=dict)
    queue: list[Job] = field(default_factory=list)
    in_flight: dict[str, tuple[str | None, list[Callable[[Answer], None]]]] = field(default_factory=dict)
    commit_planned: bool = False


class Town:
    """One node's ledger on its simulated disk."""

    def __init__(self, schedule: Schedule, name: str, rules: Rules) -> None:
        self.schedule = schedule
        self.name = name
        self.rules = rules
        self.disk = Disk(atomic=rules.commits_whole_batches)
        self.memory = Memory()
        self.up = True
        self.stopped: str | None = None
        """Why the writer takes nothing any more (a proved rollback)."""
        self.on_old_disk = False
        """Restored from an old copy: nobody is served, and its operator waits for what the peers say."""
        self.is_gone = False
        """Closed for ever: its disk is lost, and nobody starts it again."""
        self.tags: dict[str, str] = {}
        """Payer's tag → the account that it names; outside the journal, from a key that was not lost."""
        self.registry_of: Callable[[int], Registry | None] = lambda version: None
        self.paused_until = 0.0
        self._held: list[Callable[[], None]] = []
        self.skew_seconds = 0.0
        self.lives = 0
        self.said: Callable[[Sequence[e.Entry]], None] = lambda entries: None
        """Told of committed entries, in order: what may be sent."""
        self.rebuilt: Callable[[Sequence[e.Entry]], None] = lambda entries: None
        """Told of all entries when memory was made anew from the disk."""
        self.grown: Callable[[Town], None] = lambda town: None
        """Told whenever the disk may hold more than before."""

    @property
    def book(self) -> Book:
        """The committed book."""
        return self.memory.book

    def name_of(self, position: int | None) -> str:
        """The id of what began, or would begin, within the town at a position."""
        me = self.book.identity if position is None or self.book.identity is None else self.book.identity_at(position)
        return f"{self.name}.{'g1' if me is None else me.generation}.{position}"

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Plan something that only this life of the process does; a pause delays it."""
        life = self.lives

        def due() -> None:
            if not self.up or self.lives != life:
                return
            if self.paused_until > self.schedule.now:
                self._held.append(due)
            else:
                act()

        self.schedule.after(seconds, due)

    def pause(self, seconds: float) -> None:
        """The process stands still, and wakes past every time-out."""
        self.paused_until = self.schedule.now + seconds
        self.schedule.after(seconds, self.wake)

    def wake(self, *, at_once: bool = False) -> None:
        """What was due during the pause happens now, in order."""
        if at_once:
            self.paused_until = self.schedule.now
        if self.paused_until <= self.schedule.now:
            held, self._held = self._held, []
            for due in held:
                due()

    # What the edges use ------------------------------------------------------------------------------------------

    def submit(self, work: c.Command | bytes | Registry, answer: Callable[[Answer], None]) -> None:
        """Park work until its commit; a town that is down or stopped says nothing."""
        if not self.up or self.stopped or self.on_old_disk:
            return
        memory = self.memory
        if isinstance(work, c.Command) and work.key is not None and self.rules.looks_keys_up:
            waiting = memory.in_flight.get(work.key)
            if waiting is not None:
                if waiting[0] == work.digest:
                    waiting[1].append(answer)
                else:
                    answer(Refusal("key_reused"))
                return
            if work.key in memory.keys:
                answer(self._earlier(work))
                return
            memory.in_flight[work.key] = (work.digest, [answer])
        memory.queue.append(Job(work, answer))
        self._plan_commit()

    def submit_segment(self, raw: bytes, take: Callable[[Answer, object], None]) -> None:
        """Park a segment; `take` gets the answer and what the segment was judged to be."""
        if self.up and not self.stopped:
            job = Job(raw, lambda answer: take(answer, job.judged))
            self.memory.queue.append(job)
            self._plan_commit()

    def _earlier(self, command: c.Command) -> Answer:
        assert command.key is not None
        raw = self.disk.entries[self.memory.keys[command.key]]
        return [raw] if e.decode_entry(raw).command == command.digest else Refusal("key_reused")

    def _plan_commit(self) -> None:
        if not self.memory.commit_planned:
            self.memory.commit_planned = True
            self.later(COMMIT_SECONDS, self._commit)

    # What the writer does ----------------------------------------------------------------------------------------

    def _commit(self) -> None:
        memory = self.memory
        memory.commit_planned = False
        batch, memory.queue = memory.queue[:BATCH_MAX], memory.queue[BATCH_MAX:]
        if memory.queue:
            self._plan_commit()
        time = self.schedule.wall(self.skew_seconds)
        written: list[e.Entry] = []
        answers: list[tuple[Job, Answer]] = []
        for job in batch:
            first = len(written)
            try:
                self._perform(job, time, written)
            except RolledBack as proof:
                self._stop(str(proof))
                return
            except (Refusal, Malformed, StopsAt, Breach) as error:
                answers.append((job, error))
                continue
            answers.append((job, [e.encode_entry(entry) for entry in written[first:]]))
        raws = [raw for _, answer in answers if isinstance(answer, list) for raw in answer]
        if not self.rules.answers_after_commit:
            self._answer(answers)
        if not self.rules.sends_after_commit:
            self.said(written)
        try:
            if raws:
                self.disk.append(raws)
        except Crashed:
            self.crash()
            return
        except CommitUnknown:
            self._rebuild()
            return
        self._remember(written, raws)
        if self.rules.answers_after_commit:
            self._answer(answers)

    def _perform(self, job: Job, time: str, written: list[e.Entry]) -> None:
        book, work = self.memory.book, job.work

        def cite(position: int) -> e.Entry | None:
            start = len(self.disk.entries)
            if position >= start:
                return written[position - start]
            return e.decode_entry(self.disk.entries[position])

        if isinstance(work, bytes) and book.previous is not None and is_of_the_past(book, parse_segment(work)):
            written += self._recover(work, time)
            job.judged = PAST
        elif isinstance(work, bytes):
            try:
                entries, job.judged = self.rules.take_segment(book, work, time=time, read=cite)
            except Breach as breach:
                written += freeze(book, work, breach, time=time)
                job.judged = breach
                return
            written += entries
        elif isinstance(work, Registry):
            registry = self.rules.read_registry(work)
            written += accept_registry(book, registry, own_limits={}, time=time, by=RULE)
        elif isinstance(work, c.ChangePeer):
            written += change_peer(book, work, self.registry_of(book.registry_version), time=time)
        else:
            written += self.rules.perform(book, work, time=time, cite=cite)

    def _recover(self, raw: bytes, time: str) -> list[e.Entry]:
        segment, found = parse_segment(raw), {}
        for message in map(m.decode_message, segment.messages):
            if isinstance(message, m.TransferSentMessage) and message.data.payer_tag in self.tags:
                found[message.data.transfer] = self.tags[message.data.payer_tag]
        # First on a layer: what is refused at its second message must not leave the first behind.
        self.rules.recover(layer_over(self.memory.book), segment, payers=found, time=time)
        return self.rules.recover(self.memory.book, segment, payers=found, time=time)

    def _remember(self, written: Sequence[e.Entry], raws: Sequence[bytes]) -> None:
        memory = self.memory
        for entry, raw in zip(written, raws, strict=True):
            memory.tree.append(leaf_hash(raw))
            if isinstance(entry.key, str):
                memory.keys[entry.key] = entry.n
        if self.rules.sends_after_commit:
            self.said(written)
        self.grown(self)

    def _answer(self, answers: list[tuple[Job, Answer]]) -> None:
        for job, answer in answers:
            key = job.work.key if isinstance(job.work, c.Command) else None
            waiting = self.memory.in_flight.pop(key, None) if key is not None else None
            for say in waiting[1] if waiting else [job.answer]:
                say(answer)

    # Crash and restart -------------------------------------------------------------------------------------------

    def crash(self) -> None:
        """The process dies."""
        self.schedule.note(f"{self.name} crashes at {len(self.disk.entries)}")
        self.up = False
        self.lives += 1
        self.memory = Memory()

    def restart(self) -> None:
        """A new process reads the journal; of a town that is gone there is none."""
        if self.is_gone:
            return
        self.schedule.note(f"{self.name} restarts at {len(self.disk.entries)}")
        self.up = True
        self.paused_until = 0.0
        self._rebuild()

    def _rebuild(self) -> None:
        self.lives += 1
        entries: list[e.Entry] = []
        self.memory = replayed(self.disk.entries, read=entries.append)
        if not self.rules.remembers_keys:
            self.memory.keys.clear()
        self.rebuilt(entries)
        self.grown(self)

    def _stop(self, reason: str) -> None:
        self.schedule.note(f"{self.name} stops")
        self._rebuild()
        self.stopped = reason


def replayed(raws: Sequence[bytes], *, read: Callable[[e.Entry], None] = lambda entry: None) -> Memory:
    """The memory that a journal gives; `read` is told of each entry."""
    memory = Memory()
    for raw in raws:
        entry = e.decode_entry(raw)
        apply(memory.book, entry, read=lambda position: e.decode_entry(raws[position]))
        read(entry)
        memory.tree.append(leaf_hash(raw))
        if isinstance(entry.key, str):
            memory.keys[entry.key] = entry.n
    return memory
