"""Intake: when nearly everything that comes is bad, is it what comes, or is it us?

    the last 100 distinct records ── 95 bad? ──▶ ask the peers at their own addresses
        ├▶ one answers what is good here:      it is somebody's rubbish; go on
        ├▶ two (or the only one) what is bad:  it is us; stop, and ask again later
        └▶ nobody answers:                     nothing is known; go on

Whoever can write to the topic can fill it with rubbish under any name, so records alone never stop intake; what a peer
answers at the address that the registry names is its own. While intake is stopped the records stay in the topic.
Pure: who asks, and how, is the receiver's. Decision record 0011.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

EXAMINED_MIN: Final = 100
"""Distinct records that are looked back upon, all of them judged since intake began or went on."""
BAD_MIN: Final = 95
"""So many of them bad are nearly all."""
ASK_SECONDS: Final = 30.0
"""Between two rounds of asking peers."""
PEERS_BAD_MIN: Final = 2
"""So many peers must answer with what is bad here; where there is one peer only, it."""
PAUSE_SECONDS_FIRST: Final = 5.0
PAUSE_SECONDS_MAX: Final = 30.0
"""A peer whose own answer was bad is not asked for so long; short enough that all is well within a minute of a mend."""


class IntakeStopped(Exception):
    """Nothing is taken from the broker, for this node finds bad what its peers hold to be good; the text says so."""


class Intake:
    """Judges the share of bad records; times are monotonic seconds."""

    def __init__(self) -> None:
        self._last: deque[bytes | None] = deque(maxlen=EXAMINED_MIN)
        """Hashes of bad records, None for a good one: the same bytes again say nothing new."""
        self._good = 0
        self._ask_at = 0.0
        self.reason: str | None = None
        """Why intake is stopped."""

    def examined(self, raw: bytes, *, good: bool) -> None:
        """Take notice of what became of a record of the topic."""
        digest = None if good else sha256(raw).digest()
        if digest is not None and digest in self._last:
            return
        if len(self._last) == EXAMINED_MIN and self._last[0] is None:
            self._good -= 1
        self._last.append(digest)
        self._good += good

    def is_due(self, now: float) -> bool:
        """Whether peers are to be asked now."""
        nearly_all_bad = len(self._last) == EXAMINED_MIN and EXAMINED_MIN - self._good >= BAD_MIN
        return (nearly_all_bad or self.reason is not None) and now >= self._ask_at

    def answered(self, verdicts: Sequence[bool | None], now: float) -> None:
        """Take what the peers' own answers were found to be: good, bad, or None for no answer."""
        self._ask_at = now + ASK_SECONDS
        if True in verdicts:
            self.reason = None
            self._last.clear()
            self._good = 0
        elif verdicts and verdicts.count(False) >= min(PEERS_BAD_MIN, len(verdicts)):
            self.reason = (
                f"Of the last {EXAMINED_MIN} records, and of what {verdicts.count(False)} peers answer themselves, "
                "nearly all are bad here: look at this node's registry, version and ledger. The records wait."
            )


class _Pause(NamedTuple):
    until: float
    seconds: float


class PullPauses:
    """Whom not to ask now, since its own answer was bad; times are monotonic seconds."""

    def __init__(self) -> None:
        self._pauses: dict[str, _Pause] = {}

    def rests(self, peer: str, now: float) -> bool:
        """Whether the peer is not to be asked now."""
        pause = self._pauses.get(peer)
        return pause is not None and now < pause.until

    def answered(self, peer: str, *, good: bool, now: float) -> None:
        """A good answer ends the pause, a bad one doubles it, up to its bound."""
        last = self._pauses.pop(peer, None)
        if not good:
            seconds = PAUSE_SECONDS_FIRST if last is None else min(2 * last.seconds, PAUSE_SECONDS_MAX)
            self._pauses[peer] = _Pause(now + seconds, seconds)
