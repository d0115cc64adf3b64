"""The simulated network: inbox topics with all their faults, HTTPS between towns, links that fail one way.

A topic is a list of records. Whatever is done to it, towns must lose time only: the record is their journals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.simulation.schedule import Schedule

TOPIC_RECORDS_MAX = 20_000


@dataclass(slots=True)
class Weather:
    """Probabilities of what happens to one record or request; delays in seconds."""

    loss: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    produce_unknown: float = 0.0
    """The record is stored and the producer is told that it is not."""
    delay_seconds: float = 0.05
    straggle: float = 0.0
    """Comes up to two minutes late, so that records change places."""


class Unreachable(Exception):
    """The other end did not answer in time."""


class Network:
    """Topics, links and weather."""

    def __init__(self, schedule: Schedule, towns: list[str]) -> None:
        self.schedule = schedule
        self.weather = Weather()
        self.broker_up = True
        self.topics: dict[str, list[bytes]] = {town: [] for town in towns}
        self.seen: list[tuple[str, bytes]] = []
        """Every segment that was ever on the wire, with its receiver: what an attacker may replay."""
        self.cut_links: set[tuple[str, str]] = set()
        """(from, to): nothing passes this way; "broker" is an end like any town."""
        self.silenced: set[str] = set()
        """Towns that hear and say nothing: an operator looks at what a restored disk holds."""
        self.arrived: dict[str, Callable[[], None]] = {}

    def reaches(self, sender: str, receiver: str) -> bool:
        """Whether the link passes anything."""
        if "broker" in (sender, receiver) and not self.broker_up:
            return False
        return (sender, receiver) not in self.cut_links and sender not in self.silenced

    def produce(self, sender: str, receiver: str, segment: bytes) -> None:
        """Append a record to the receiver's inbox; raises `Unreachable`."""
        if not self.reaches(sender, "broker"):
            raise Unreachable
        schedule, weather = self.schedule, self.weather
        self.seen.append((receiver, segment))
        if not schedule.chance(weather.loss):
            copies = 2 if schedule.chance(weather.duplicate) else 1
            for _ in range(copies):
                record = self._damaged(segment)
                schedule.after(self._delay(), partial(self.store, receiver, record))
        if schedule.chance(weather.produce_unknown):
            raise Unreachable

    def store(self, receiver: str, record: bytes) -> None:
        """A record is in the topic; its reader is told."""
        topic = self.topics[receiver]
        if len(topic) < TOPIC_RECORDS_MAX:
            topic.append(record)
            self.arrived[receiver]()

    def forget(self, receiver: str, records: int) -> None:
        """The broker's retention takes the oldest records of an inbox, read or not."""
        del self.topics[receiver][:records]

    def ask(self, client: str, server: str, answer: Callable[[], list[bytes]], take: Callable[[bytes], None]) -> None:
        """An HTTPS request: `answer` runs at the server, `take` at the client for each segment of the response."""
        schedule = self.schedule

        def at_server() -> None:
            if not self.reaches(client, server):
                return
            segments = answer() if server not in self.silenced else []
            self.seen += [(client, segment) for segment in segments]
            if self.reaches(server, client) and not schedule.chance(self.weather.loss):
                for segment in segments:
                    record = self._damaged(segment)
                    schedule.after(self._delay(), partial(take, record))

        if not schedule.chance(self.weather.loss):
            schedule.after(self._delay(), at_server)

    def _delay(self) -> float:
        if self.schedule.chance(self.weather.straggle):
            return self.schedule.random.uniform(1.0, 120.0)
        return self.schedule.random.uniform(0.001, self.weather.delay_seconds)

    def _damaged(self, segment: bytes) -> bytes:
        if not self.schedule.chance(self.weather.corrupt):
            return segment
        place = self.schedule.random.randrange(len(segment))
        flipped = segment[place] ^ (1 << self.schedule.random.randrange(8))
        return segment[:place] + bytes([flipped]) + segment[place + 1 :]
