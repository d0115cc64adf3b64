"""A line whose weather a scenario chooses: cut, silent one way or both, slow, torn in the middle, corrupted.

A TCP stream has no holes: what is held back arrives when the weather is fair again, as after a partition.
Chance is seeded for each line.
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from tests.e2e.line import CHUNK_BYTES, Connection, Cut, Line, Passage

LOOK_SECONDS = 0.05
_ASKER = re.compile(rb"^[A-Z]+ /v1/(?:streams/[a-z0-9-]+/[a-z0-9-]+|limits)/([a-z0-9-]+)")
"""The town that asks a peer: it keeps its connection to itself."""


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What happens to each chunk of a connection; shares from 0 to 1."""

    refuses: bool = False
    """Connections are reset, and new ones are."""
    holds_questions: bool = False
    holds_answers: bool = False
    delay_seconds: float = 0.0
    bytes_per_second: int = 0
    """0: no bound."""
    torn_answers: float = 0.0
    """Half of the chunk arrives, then a reset."""
    lost_answers: float = 0.0
    """The server has done what was asked, the client gets a reset."""
    flipped_questions: float = 0.0
    flipped_answers: float = 0.0
    """A byte of the chunk is another one."""


FAIR = Weather()
CUT = Weather(refuses=True)
SILENT = Weather(holds_questions=True, holds_answers=True)


class FaultLine(Line):
    """A line that is fair until it is told otherwise.

    Args:
        server: host and port.
        seed: of its chance.
    """

    def __init__(self, server: tuple[str, int], *, seed: int = 0) -> None:
        self.chance = random.Random(seed)
        self._weather = FAIR
        self._askers: dict[str, Weather] = {}
        self._passages: WeakKeyDictionary[Connection, _Passage] = WeakKeyDictionary()
        super().__init__(server)

    def set(self, weather: Weather, *, asker: str | None = None) -> None:
        """From now on; with `asker`: for connections of that town alone."""
        if asker is None:
            self._weather = weather
        else:
            self._askers[asker] = weather
        for connection in self.connections:
            passage = self._passages.get(connection)
            if self.weather(None if passage is None else passage.asker).refuses:
                connection.end()

    def heal(self) -> None:
        """Fair weather for all."""
        self._askers = {}
        self.set(FAIR)

    def weather(self, asker: str | None) -> Weather:
        """Of connections of a town, None while it has not said which."""
        return self._askers.get(asker, self._weather) if asker is not None else self._weather

    def opened(self, connection: Connection) -> Passage:
        """A connection was opened."""
        passage = self._passages[connection] = _Passage(self, connection)
        if self._weather.refuses:
            raise Cut
        return passage


class _Passage:
    """What one connection passes."""

    def __init__(self, line: FaultLine, connection: Connection) -> None:
        self._line, self._client, self._ended = line, connection.client, connection.ended
        self.asker: str | None = None

    def to_server(self, data: bytes) -> bytes:
        if self.asker is None and (found := _ASKER.match(data)):
            self.asker = found[1].decode("ascii")
        while self._now().holds_questions:
            self._wait(LOOK_SECONDS)
        self._slow(len(data))
        return self._flipped(data, self._now().flipped_questions)

    def to_client(self, data: bytes) -> bytes:
        while self._now().holds_answers:
            self._wait(LOOK_SECONDS)
        weather = self._now()
        if self._happens(weather.lost_answers):
            raise Cut
        if self._happens(weather.torn_answers):
            self._client.sendall(data[: len(data) // 2])
            raise Cut
        self._slow(len(data))
        return self._flipped(data, weather.flipped_answers)

    def _now(self) -> Weather:
        weather = self._line.weather(self.asker)
        if weather.refuses or self._ended.is_set():
            raise Cut
        return weather

    def _happens(self, share: float) -> bool:
        return share > 0 and self._line.chance.random() < share

    def _flipped(self, data: bytes, share: float) -> bytes:
        if not self._happens(share):
            return data
        wrong = bytearray(data)
        wrong[self._line.chance.randrange(len(wrong))] ^= 1 << self._line.chance.randrange(8)
        return bytes(wrong)

    def _slow(self, size: int) -> None:
        weather = self._now()
        if weather.delay_seconds:
            self._wait(weather.delay_seconds)
        sent = 0
        while sent < size and self._now().bytes_per_second:
            rate = self._now().bytes_per_second
            piece = min(size - sent, max(1, int(rate * LOOK_SECONDS)), CHUNK_BYTES)
            self._wait(piece / max(1, rate))
            sent += piece

    def _wait(self, seconds: float) -> None:
        time.sleep(seconds)
        if self._ended.is_set():
            raise Cut
