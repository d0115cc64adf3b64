"""When to send what to one peer: the sender's state machine, without bytes, clock or network.

    journal grew ──▶ fresh messages, at once
    `heard` lags ──▶ the same messages again, from heard + 1: after 30 s, 60 s, … 10 min
    nothing said ──▶ a statement without messages: every 60 s while anything is unheard or unanswered, else hourly

It holds stream positions only; the caller asks `due`, fetches the messages (live tail or journal), cuts them
(`segments.cut`), hands the segment over and reports `sent_segment`. First try, retry and restart are one path: after a
restart everything beyond `heard` is fresh again, and one statement says that this node is back.
Without repetition and statements the last record of a quiet stream, once lost, is lost for ever.
Source: design page 2, "Stream, segment, acknowledgement"; PROTOCOL.md S11.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

REPEAT_SECONDS_FIRST: Final = 30.0
REPEAT_SECONDS_MAX: Final = 600.0
REPEAT_MESSAGES_MAX: Final = 4_096
"""One repetition goes so far; a peer that lacks more sees the gap and pulls."""
STATEMENT_SECONDS_BUSY: Final = 60.0
"""Between two segments to the peer while anything is unheard or unanswered."""
STATEMENT_SECONDS_QUIET: Final = 3_600.0


class Due(NamedTuple):
    """What to send now: the messages `after` + 1 to `until`, or as many of them as fit into one segment.

    `until` = `after`: a statement without messages, at the head of the stream.
    """

    after: int
    until: int
    why: Literal["fresh", "repeat", "statement"]


class Outgoing:
    """The stream to one peer, as its sender sees it. Stream positions count from 1; 0 is "none yet".

    Args:
        head: position of the last committed message to the peer.
        heard: what the peer said that it applied of them; the book's value after a restart.
        now: monotonic seconds.
    """

    __slots__ = ("_owed", "_pause_seconds", "_repeating", "_said_at", "_waiting_since", "head", "heard", "open", "sent")

    def __init__(self, *, head: int, heard: int, now: float) -> None:
        assert 0 <= heard <= head
        self.head = head
        self.heard = heard
        self.sent = heard
        """Position up to which messages were handed to the transport since the start, or heard without that."""
        self.open = 0
        """Transfers to the peer that it has not decided."""
        self._owed = False
        self._said_at: float | None = None
        self._waiting_since = now
        self._pause_seconds = REPEAT_SECONDS_FIRST
        self._repeating: tuple[int, int] | None = None

    # What the caller tells ---------------------------------------------------------------------------------------

    def grew(self, *, head: int, open_transfers: int) -> None:
        """The committed journal has messages up to `head`, and so many transfers to the peer are not decided."""
        assert head >= 0
        assert open_transfers >= 0
        self.head = max(self.head, head)
        self.open = open_transfers

    def owes_heard(self) -> None:
        """The peer lacks a statement of ours: its messages were applied here, or came once more, or were refused.

        Refused means signed by a key that is not in force here: our statement tells the peer which registry is.
        """
        self._owed = True

    def heard_from(self, *, heard: int, now: float) -> None:
        """A segment with a valid signature came from the peer, with or without messages.

        Args:
            heard: what it says that the peer applied of our stream; a value older than the last is no news.
            now: monotonic seconds.
        """
        self._pause_seconds = REPEAT_SECONDS_FIRST
        if heard > self.heard:
            self.heard = heard
            self.sent = max(self.sent, heard)
            self.head = max(self.head, heard)
            self._waiting_since = now
            self._repeating = None

    def send_again(self) -> None:
        """What was sent and not heard is fresh once more: the own event key changed, and it must be signed anew."""
        self.sent = self.heard
        self._repeating = None

    def broker_returned(self) -> None:
        """The broker can be reached again: what lags is repeated without the long pause."""
        self._pause_seconds = REPEAT_SECONDS_FIRST

    def sent_segment(self, *, after: int, until: int, now: float) -> None:
        """The messages `after` + 1 to `until` were handed to the transport, in a segment that says what we heard.

        What could not be handed over is not reported: it stays due, and the caller's loop backs off.

        Args:
            after: as in `Due`.
            until: the last message of the segment; `after` when it has none.
            now: monotonic seconds.
        """
        self._owed = False
        self._said_at = now
        if until > self.sent:
            if self.heard >= self.sent:
                self._waiting_since = now
            self.sent = until
        elif until > after:
            _, end = self._repeating or (after, self._repetition_end())
            self._repeating = (until, end)
            if until >= end:
                self._repeating = None
                self._waiting_since = now
                self._pause_seconds = min(2 * self._pause_seconds, REPEAT_SECONDS_MAX)

    # What is due -------------------------------------------------------------------------------------------------

    def due(self, now: float) -> Due | None:
        """What to send at `now` (monotonic seconds), one segment's worth; None: nothing before `due_at`."""
        if self.heard < self.sent and now >= self._waiting_since + self._pause_seconds:
            after, end = self._repeating or (self.heard, self._repetition_end())
            return Due(after, end, "repeat")
        if self.sent < self.head:
            return Due(self.sent, self.head, "fresh")
        if self._said_at is None or now >= self._said_at + self._statement_seconds():
            return Due(self.head, self.head, "statement")
        return None

    def due_at(self, now: float) -> float:
        """Monotonic seconds when something is due if nothing else happens first; `now` when it is due already."""
        if self.sent < self.head or self._said_at is None:
            return now
        at = self._said_at + self._statement_seconds()
        if self.heard < self.sent:
            at = min(at, self._waiting_since + self._pause_seconds)
        return max(now, at)

    def _repetition_end(self) -> int:
        return min(self.sent, self.heard + REPEAT_MESSAGES_MAX)

    def _statement_seconds(self) -> float:
        busy = self.heard < self.head or self.open > 0 or self._owed
        return STATEMENT_SECONDS_BUSY if busy else STATEMENT_SECONDS_QUIET
