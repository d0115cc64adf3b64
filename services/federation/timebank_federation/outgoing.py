"""What is due to a peer: the state machine of a sender, without I/O and without a clock (seconds are passed in).

Fresh messages go at once. What was not heard 30 seconds after it was sent is sent again from heard + 1, then with pauses
doubling to 10 minutes; any segment from that peer, and a broker that comes back, resets the doubling. While anything is
unheard or unanswered a statement without messages goes every 60 s, else every hour: without it the last record of a
quiet stream, once lost, is lost for ever. What a peer sent is acknowledged within 5 s, so that it need not repeat.
Source: design page 2, "Stream, segment, acknowledgement"; PROTOCOL.md S11 to S13.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

REPEAT_SECONDS_FIRST: Final = 30.0
REPEAT_SECONDS_MAX: Final = 600.0
STATEMENT_SECONDS_BUSY: Final = 60.0
STATEMENT_SECONDS_QUIET: Final = 3600.0
ACKNOWLEDGE_SECONDS: Final = 5.0


class Due(NamedTuple):
    """Send messages from `first` to `last` (stream positions); `last` = `first` − 1: a statement without messages."""

    first: int
    last: int


@dataclass(slots=True)
class Outgoing:
    """One peer's stream as its sender sees it. Positions from 1; all times in monotonic seconds."""

    peer: str
    head: int = 0
    """The stream's last message."""
    sent: int = 0
    """The last message that was sent at least once."""
    heard: int = 0
    """The last message that the peer says it applied."""
    unanswered: int = 0
    """Transfers of ours that the peer has not decided."""
    repeat_seconds: float = REPEAT_SECONDS_FIRST
    repeat_at: float | None = None
    statement_at: float = 0.0
    acknowledge_at: float | None = None

    def grew(self, head: int) -> None:
        """The journal holds messages up to `head` now."""
        self.head = max(self.head, head)

    def contact(self, heard: int, *, applied: bool, now: float) -> None:
        """A segment came from the peer: it heard up to `heard`; `applied` says that it brought something new."""
        self.heard = max(self.heard, min(heard, self.head))
        self.sent = max(self.sent, self.heard)
        self._reset(now)
        if applied and self.acknowledge_at is None:
            self.acknowledge_at = now + ACKNOWLEDGE_SECONDS

    def broker_back(self, now: float) -> None:
        """The way to the peer is open again: repeat soon."""
        self.repeat_seconds = REPEAT_SECONDS_FIRST
        self.repeat_at = now if self.heard < self.sent else None
        self.statement_at = min(self.statement_at, now)

    def due(self, now: float) -> Due | None:
        """What to send now, if anything; the caller cuts it, and reports with `was_sent`."""
        if self.sent < self.head:
            return Due(self.sent + 1, self.head)
        if self.repeat_at is not None and now >= self.repeat_at and self.heard < self.sent:
            return Due(self.heard + 1, self.sent)
        if self.acknowledge_at is not None and now >= self.acknowledge_at:
            return Due(self.head + 1, self.head)
        if now >= self.statement_at:
            return Due(self.head + 1, self.head)
        return None

    def was_sent(self, due: Due, last: int, *, now: float) -> None:
        """The segment for `due` went out, cut after message `last`."""
        repeated = due.last >= due.first and due.first <= self.sent
        self.sent = max(self.sent, last)
        self.acknowledge_at = None
        if self.heard < self.sent and (self.repeat_at is None or now >= self.repeat_at):
            self.repeat_at = now + self.repeat_seconds
        if repeated and last >= due.last:
            self.repeat_seconds = min(self.repeat_seconds * 2, REPEAT_SECONDS_MAX)
            self.repeat_at = now + self.repeat_seconds
        busy = self.heard < self.head or self.unanswered > 0
        self.statement_at = now + (STATEMENT_SECONDS_BUSY if busy else STATEMENT_SECONDS_QUIET)

    def wakes_at(self) -> float:
        """The next moment at which something may be due without news."""
        times = [self.statement_at]
        times += [moment for moment in (self.repeat_at, self.acknowledge_at) if moment is not None]
        return min(times)

    def _reset(self, now: float) -> None:
        self.repeat_seconds = REPEAT_SECONDS_FIRST
        self.repeat_at = now + REPEAT_SECONDS_FIRST if self.heard < self.sent else None
        if self.heard < self.head:
            self.statement_at = min(self.statement_at, now + STATEMENT_SECONDS_BUSY)
