"""A simulated town's federation room: sends what `Outgoing` says, judges what comes, pulls what is missing.

It holds nothing that must survive: streams are read from the journal, the topic's position is a hint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import UNSET

from tests.simulation.network import Network, Unreachable
from tests.simulation.putting_back import PuttingBack, is_sent_by
from tests.simulation.registries import NETWORK, Registries
from tests.simulation.town import PAST, Answer, Town
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.accept import Duplicate, Fresh, Gap, StopsAt, Unsigned
from timebank_contracts.errors import Breach, Refusal
from timebank_contracts.names import Identity
from timebank_contracts.segments import Heard, cut, make_segment, parse_segment
from timebank_contracts.streams import StreamHead, chain_next, chain_start
from timebank_federation.outgoing import Outgoing

PULL_SECONDS = 30.0
PRODUCE_PAUSE_SECONDS_MAX = 30.0
LOOK_ROUNDS = 10
"""Of regular pulls, 300 s, until the next look for a newer registry."""
PULL_SEGMENTS_MAX = 4
READ_SECONDS = 0.01
READ_AGAIN_SECONDS = 5.0
READ_RECORDS_MAX = 64
SILENT_SECONDS = 90.0
"""A peer that said nothing for so long is polled: it may be cut off from the broker."""


@dataclass(slots=True)
class Stream:
    """What the journal says to one peer."""

    messages: list[bytes] = field(default_factory=list)
    chains: list[bytes] = field(default_factory=list)
    """Chain value after 0, 1, … messages."""
    wake_at: float = float("inf")


class Mail:
    """Sender and receiver of one town."""

    def __init__(self, town: Town, network: Network, registries: Registries) -> None:
        self.town = town
        self.network = network
        self.registries = registries
        self.schedule = town.schedule
        self.offices: dict[str, Mail] = {}
        """Every town's mail, for HTTPS."""
        self.streams: dict[str, Stream] = {}
        self.outgoing: dict[str, Outgoing] = {}
        self.position = 0
        """Next record of the own inbox."""
        self.hint = 0
        """What was last saved of it: may be old, and survives a crash."""
        self.quarantined = 0
        self.crash_after_produce = False
        self._pause_seconds = 0.0
        self._reading = False
        self._pulling: dict[str, bool] = {}
        """Peers that were asked within the last second → whether to ask once more."""
        self._last_from: dict[str, float] = {}
        self._rounds = 0
        self.putting_back = PuttingBack(self)
        town.said = self.said
        town.rebuilt = self.rebuilt
        town.registry_of = lambda version: registries.of_version(version) if version else None
        network.arrived[town.name] = self.read_soon

    @property
    def me(self) -> Identity:
        """The town in the network's names."""
        found = self.town.book.identity
        return Identity(NETWORK, self.town.name, "g1") if found is None else found

    # Following the journal ---------------------------------------------------------------------------------------

    def rebuilt(self, entries: Sequence[e.Entry]) -> None:
        """The process started: read the journal, and begin where `heard` is."""
        town, now = self.town, self.schedule.now
        self.streams, self.outgoing = {}, {}
        self.position, self._reading, self._pause_seconds = self.hint, False, 0.0
        self._pulling, self._last_from = {}, {}
        self._follow(entries)
        for name, peer in town.book.peers.items():
            self.outgoing[name] = self._outgoing(name, now)
            self.outgoing[name].heard_from(heard=peer.heard, now=now)
            self._wake(name, 0.0)
        self.read_soon()
        town.later(PULL_SECONDS, self._pull_regularly)

    def said(self, entries: Sequence[e.Entry]) -> None:
        """Committed entries: the streams grow, and fresh messages are due."""
        self._follow(entries)
        renewed = any(isinstance(entry, e.RegistryAcceptedEntry) for entry in entries)
        for name in self.town.book.peers:
            if name not in self.outgoing:
                self.outgoing[name] = self._outgoing(name, self.schedule.now)
            self._count(name)
            if renewed:
                self.outgoing[name].send_again()
            self._wake(name, 0.0)
            if not self.town.rules.sends_after_commit:
                self._send(name, self._stream(name).wake_at)

    def _outgoing(self, name: str, now: float) -> Outgoing:
        heard = self.town.book.peers[name].heard
        found = self.town.rules.outgoing(head=len(self._stream(name).messages), heard=heard, now=now)
        found.grew(head=len(self._stream(name).messages), open_transfers=self._open(name))
        return found

    def _count(self, name: str) -> None:
        self.outgoing[name].grew(head=len(self._stream(name).messages), open_transfers=self._open(name))

    def _open(self, name: str) -> int:
        return sum(found.peer == name for found in self.town.book.open_transfers.values())

    def _stream(self, name: str) -> Stream:
        if name not in self.streams:
            self.streams[name] = Stream()
        return self.streams[name]

    def _follow(self, entries: Sequence[e.Entry]) -> None:
        for entry in entries:
            if entry.out is not UNSET:
                message = m.decode_message(bytes(entry.out))
                if m.generation_in(message) == self.me.generation:
                    self._stream(message.subject).messages.append(bytes(entry.out))

    # Sending -----------------------------------------------------------------------------------------------------

    def _wake(self, name: str, seconds: float) -> None:
        stream = self._stream(name)
        at = self.schedule.now + seconds
        if at < stream.wake_at:
            stream.wake_at = at
            self.town.later(seconds, lambda: self._send(name, at))

    def _send(self, name: str, at: float) -> None:
        stream = self._stream(name)
        if stream.wake_at != at:
            return
        stream.wake_at = float("inf")
        outgoing, now = self.outgoing[name], self.schedule.now
        due = outgoing.due(now)
        if due is not None and not self.town.stopped:
            segment, until = self._cut(name, due.after, due.until)
            try:
                self.network.produce(self.town.name, name, segment)
            except Unreachable:
                self._pause_seconds = min(max(1.0, 2 * self._pause_seconds), PRODUCE_PAUSE_SECONDS_MAX)
                self._wake(name, self._pause_seconds)
                return
            self.schedule.note(f"{self.town.name} sends {due.why} {due.after}..{until} to {name}")
            if self.crash_after_produce:
                self.crash_after_produce = False
                self.town.crash()
                return
            if self._pause_seconds:
                self._pause_seconds = 0.0
                for other in self.outgoing.values():
                    other.broker_returned()
            outgoing.sent_segment(after=due.after, until=until, now=now)
        self._wake(name, max(0.001, outgoing.due_at(now) - now))

    def _cut(self, name: str, after: int, until: int) -> tuple[bytes, int]:
        """A segment signed now, and the position of its last message; chance re-cuts it shorter."""
        stream, town = self._stream(name), self.town
        count = cut(stream.messages[after:until])
        if count > 1 and self.schedule.chance(0.3):
            count = self.schedule.random.randint(1, count)
        messages = stream.messages[after : after + count]
        peer = town.book.peers[name]
        segment = make_segment(
            identity=self.me,
            to=name,
            after=StreamHead(after, self.chain(name, after)),
            messages=messages,
            heard=Heard(generation=peer.generation, n=peer.incoming.n, chain=peer.incoming.chain.hex()),
            registry=town.book.registry_version,
            size=town.memory.tree.size,
            root=town.memory.tree.root(),
            key=self.registries.signing_key(town.name, town.book.registry_version),
        )
        return segment, after + count

    def chain(self, name: str, after: int) -> bytes:
        """Chain value of the stream to a peer after so many messages."""
        stream = self._stream(name)
        if not stream.chains:
            me = self.me
            stream.chains.append(
                chain_start(network=me.network, sender=me.node, generation=me.generation, receiver=name)
            )
        while len(stream.chains) <= after:
            stream.chains.append(chain_next(stream.chains[-1], stream.messages[len(stream.chains) - 1]))
        return stream.chains[after]

    def answer_pull(self, name: str, generation: str, after: int, until: int | None) -> list[bytes]:
        """What this town serves to a peer: segments from `after` + 1 on, at least a statement."""
        if not self.town.up or self.town.stopped or name not in self.town.book.peers:
            return []
        if self.town.paused_until > self.schedule.now or not self.town.rules.answers_pulls:
            return []
        if generation != self.me.generation:
            # It has not heard of this generation: the statement tells it of the registry that names it.
            end = len(self._stream(name).messages)
            return [self._cut(name, end, end)[0]]
        end = len(self._stream(name).messages)
        end = end if until is None else min(end, until)
        if after > end:
            return []
        segments = []
        for _ in range(PULL_SEGMENTS_MAX):
            segment, after = self._cut(name, after, end)
            segments.append(segment)
            if after >= end:
                break
        return segments

    # Receiving ---------------------------------------------------------------------------------------------------

    def read_soon(self) -> None:
        """There may be records in the inbox."""
        if self.town.up and not self._reading:
            self._reading = True
            self.town.later(READ_SECONDS, self._read)

    def _read(self) -> None:
        self._reading = False
        if not self.network.reaches("broker", self.town.name):
            self._reading = True
            self.town.later(READ_AGAIN_SECONDS, self._read)
            return
        topic = self.network.topics[self.town.name]
        self.position = min(self.position, len(topic))
        records = topic[self.position : self.position + READ_RECORDS_MAX]
        self.position += len(records)
        if self.schedule.chance(0.2):
            self.hint = self.position
        for record in records:
            self.receive(record)
        if self.position < len(topic):
            self.read_soon()

    def receive(self, raw: bytes) -> None:
        """Give a segment, from the topic or pulled, to the writer; one of our own counts only where we asked for it."""
        if self.town.book.previous is not None and is_sent_by(self.town.name, raw):
            self.quarantined += 1
        else:
            self.hand_over(raw)

    def hand_over(self, raw: bytes) -> None:
        """To the writer."""
        self.town.submit_segment(raw, lambda answer, judged: self._judged(raw, answer, judged))

    def _judged(self, raw: bytes, answer: Answer, judged: object) -> None:
        if isinstance(answer, StopsAt):
            statement = parse_segment(raw).statement
            self.pull_soon(statement.from_, until=answer.position - 1)
            return
        if isinstance(answer, Exception):
            self.quarantined += 1
            if isinstance(answer, Unsigned):
                statement = parse_segment(raw).statement
                self._refused_key(statement.from_, statement.registry)
            elif isinstance(answer, Refusal):
                # A generation or a state may be what only a newer registry explains.
                statement = parse_segment(raw).statement
                self._compare_registry(statement.from_, statement.registry)
            return
        if isinstance(judged, Breach):
            return
        if judged is PAST:
            self.putting_back.took(parse_segment(raw).statement)
            return
        statement, now = parse_segment(raw).statement, self.schedule.now
        peer = statement.from_
        self._last_from[peer] = now
        self.outgoing[peer].heard_from(heard=statement.heard.n, now=now)
        if isinstance(judged, Fresh) or (isinstance(judged, Duplicate) and statement.count):
            self.outgoing[peer].owes_heard()
        if isinstance(judged, Gap):
            self.pull_soon(peer)
        self._compare_registry(peer, statement.registry)
        self._wake(peer, max(0.0, self.outgoing[peer].due_at(now) - now))

    def _refused_key(self, name: str, registry: int) -> None:
        if name in self.outgoing:
            self._compare_registry(name, registry)
            self.outgoing[name].owes_heard()
            self._wake(name, max(0.0, self.outgoing[name].due_at(self.schedule.now) - self.schedule.now))
            self.pull_soon(name)

    def _pull_regularly(self) -> None:
        away = self._pause_seconds > 0 or not self.network.reaches("broker", self.town.name)
        self.putting_back.step()
        self._look()
        for name in self.town.book.peers:
            if away or self.schedule.now - self._last_from.get(name, 0.0) > SILENT_SECONDS:
                self.pull_soon(name)
        self.town.later(PULL_SECONDS, self._pull_regularly)

    def pull_soon(self, name: str, *, until: int | None = None) -> None:
        """Ask a peer for what follows the applied position; one request a second, the last one is never forgotten."""
        if name not in self.offices or name == self.town.name:
            return
        if name in self._pulling:
            self._pulling[name] = True
            return
        self._pulling[name] = False
        self._pull(name, until)
        self.town.later(1.0, lambda: self._pull_again(name))

    def _pull_again(self, name: str) -> None:
        if self._pulling.pop(name):
            self.pull_soon(name)

    def _pull(self, name: str, until: int | None) -> None:
        me, peer = self.town.name, self.town.book.peers.get(name)
        if peer is not None:
            after, generation = peer.incoming.n, peer.generation
            office = self.offices[name]
            self.network.ask(me, name, lambda: office.answer_pull(me, generation, after, until), self.receive)

    def _look(self) -> None:
        """Now and then one peer is asked which registry it holds, whether it says anything or not."""
        self._rounds += 1
        names = list(self.town.book.peers)
        if names and self._rounds % LOOK_ROUNDS == 0:
            name = names[self._rounds // LOOK_ROUNDS % len(names)]
            self._compare_registry(name, self.offices[name].town.book.registry_version)

    def _compare_registry(self, name: str, version: int) -> None:
        """Fetch the registry from a peer that holds a newer one, version by version."""
        own = self.town.book.registry_version
        if not own < version <= self.registries.latest.version or name not in self.offices:
            return
        following = self.registries.of_version(own + 1)

        def accepted(answer: Answer) -> None:
            if not isinstance(answer, Exception):
                self._compare_registry(name, version)

        self.network.ask(
            self.town.name,
            name,
            lambda: [b"registry"] if self.offices[name].town.up else [],
            lambda _: self.town.submit(following, accepted),
        )
