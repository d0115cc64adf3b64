"""The receiver: what comes from peers is checked, handed to the ledger's writer, and repaired where it has a gap.

    record ── size, form, for us? ── signed by a key of the registry? ── POST /v1/segments ──▶ fresh: done
                     │                          │                                            ├▶ duplicate: dropped
                quarantine       newer registry: fetched, else held                          ├▶ gap: pull from the peer
                                       else: quarantine                                      └▶ stops, frozen: visible
Source: design page 1, steps 4 and 7; page 2; PROTOCOL.md S5 to S10.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from timebank_contracts.errors import Malformed
from timebank_contracts.names import Identity
from timebank_contracts.registry import RegisteredNode
from timebank_contracts.segments import (
    SEGMENT_BYTES_MAX,
    SEGMENT_MESSAGES_MAX,
    Segment,
    parse_segment,
)
from timebank_federation.broker import BrokerRecord, Inbox
from timebank_federation.intake import Intake, IntakeStopped, PullPauses
from timebank_federation.ledger_client import LedgerAway, LedgerClient, LedgerRefused, TakenSegment
from timebank_federation.peer_door import PeerDoor
from timebank_federation.quarantine import Quarantine
from timebank_federation.registries import Registries
from timebank_federation.registry_fetch import RegistryFetch
from timebank_federation.sender import Sender
from timebank_federation.stated import Stated
from timebank_kit.clock import Clock

PULLS_MAX: Final = 256
"""Segments pulled from a peer in one go."""
PULL_SECONDS_MAX: Final = 30.0
"""Time for one go: no peer waits for long behind another that answers slowly."""
HELD_MAX: Final = 64
"""Segments that wait for a newer registry, one for each sender."""
_JUDGED: Final = frozenset({"fresh", "duplicate", "gap", "stops", "frozen"})
_GOOD: Final = frozenset({"fresh", "duplicate", "gap", "stops", "recovering"})
PEERS_ASKED_MAX: Final = 16
"""Peers that are asked whether it is us, when nearly all that comes is bad."""
_log = logging.getLogger(__name__)


class Receiver:
    """One for a node; the threads that read the broker and that poll peers take turns.

    Args:
        identity: this node.
        ledger: the town's ledger.
        registries: who may sign.
        sender: is told what peers heard.
        door: the way to peers over HTTPS.
        quarantine: keeps what had no effect.
        clock: for pauses.
        on_registry: called after the ledger accepted a newer registry.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        ledger: LedgerClient,
        registries: Registries,
        sender: Sender,
        door: PeerDoor,
        quarantine: Quarantine,
        clock: Clock,
        on_registry: Callable[[], None] = lambda: None,
    ) -> None:
        self._identity = identity
        self._ledger = ledger
        self._registries = registries
        self._sender = sender
        self._door = door
        self.quarantine = quarantine
        self.stated = Stated(None)
        self._clock = clock
        self._on_registry = on_registry
        self._one_at_a_time = threading.RLock()
        self._waiting: deque[BrokerRecord] = deque()
        self._held: dict[str, bytes] = {}
        self._fetch = RegistryFetch(me=identity.node, registries=registries, door=door, clock=clock)
        self._handed_over = 0
        self._opened_at = clock.monotonic()
        self._spoke_at: dict[str, float] = {}
        """When each peer was last heard, or asked in vain."""
        self._pauses = PullPauses()
        self.intake = Intake()
        self.counts: Counter[str] = Counter()
        """Segments by outcome."""
        self.answers: Counter[str] = Counter()
        """What peers answered when they were asked: `good`, `bad`, `none`."""
        self.refused: Counter[str] = Counter()
        """Segments without effect by the peer whose good signature they bear."""
        self.waits_for_upgrade: set[str] = set()
        """Peers whose next message is of a type that this version does not know."""
        self.high: dict[str, int] = {}
        """What the ledger has applied of each peer's stream, as it last said."""
        self.registry_refused: str | None = None
        """Why the ledger does not accept the latest registry."""

    def step(self, inbox: Inbox, *, timeout_seconds: float) -> int:
        """Take what the broker has; returns how many records were taken.

        Raises:
            BrokerAway, LedgerAway: the caller's loop tries again, and the record that was not taken comes first.
            IntakeStopped: nothing is taken before this node is mended; likewise.
        """
        self._take_held()
        if not self._waiting and self.intake.reason is None:
            self._waiting.extend(inbox.poll(timeout_seconds=timeout_seconds))
        count = 0
        while self._waiting or self.intake.reason is not None:
            self._ask_whether_it_is_us()
            if not self._waiting:
                break
            raw = self._waiting[0].value
            try:
                outcome = self.take(raw)
                if outcome != "held":
                    self.intake.examined(raw, good=outcome in _GOOD)
            except LedgerAway:
                raise
            except Exception:
                # A bug must not hold up the records behind; the bytes are kept for whoever mends it.
                self._waiting.popleft()
                self.intake.examined(raw, good=False)
                self._put_away(raw[:SEGMENT_BYTES_MAX], "internal", "The node met a bug; see its log.")
                raise
            self._waiting.popleft()
            count += 1
        return count

    def take(self, raw: bytes) -> str:
        """Judge and enter one segment, and pull what is missing before or after it.

        Returns:
            The outcome: one of the ledger's, or `malformed`, `misdirected`, `unknown_peer`, `unsigned`, `held`.

        Raises:
            LedgerAway: the segment was not taken; take it again.
        """
        with self._one_at_a_time:
            self.hand_over_registries()
            outcome = self._take_one(raw)
            self.counts[outcome] += 1
        return outcome

    def _take_one(self, raw: bytes) -> str:
        try:
            segment = parse_segment(raw)
        except Malformed as error:
            return self._put_away(raw[:SEGMENT_BYTES_MAX], "malformed", str(error))
        statement = segment.statement
        if (statement.network, statement.to) != (self._identity.network, self._identity.node):
            return self._put_away(raw, "misdirected", "The segment is for another network or node.")
        peer = self._signer(segment)
        if isinstance(peer, str) and statement.registry > self._registries.version:
            return self._hold(statement.from_, raw)
        if isinstance(peer, str):
            if peer == "unsigned" and statement.registry < self._registries.version:
                self._sender.owe_statement(statement.from_)
            return self._put_away(raw, peer, "No key of the registry in force signed the segment.")
        self._fetch_registry(statement.registry)
        taken = self._enter(peer, segment, raw)
        if taken.outcome == "gap":
            missing = statement.first - taken.high - 1
            _log.warning("gap in a stream", extra={"peer": peer.node, "after": taken.high, "missing": missing})
            self._pull(peer, taken.high)
        elif taken.outcome == "stops":
            self._pull(peer, taken.high, limit=_before(taken))
        return taken.outcome

    def _enter(self, peer: RegisteredNode, segment: Segment, raw: bytes) -> TakenSegment:
        """Hand a segment of a registered peer to the writer, and take notice of what became of it."""
        self._spoke_at[peer.node] = self._clock.monotonic()
        self.stated.take(segment, peer)
        try:
            taken = self._ledger.take_segment(raw)
        except LedgerRefused as refused:
            taken = TakenSegment("refused", self.high.get(peer.node, 0), None, refused.code, str(refused))
        if taken.code == "peer_recovering":
            # This node is still putting back what it lost: the peer's messages are pulled when that is done.
            return taken._replace(outcome="recovering")
        self.high[peer.node] = taken.high
        heard = segment.statement.heard
        is_of_now = heard.generation == self._identity.generation
        if is_of_now and (taken.outcome in _JUDGED or taken.code == "stream_frozen"):
            known = taken.outcome == "duplicate" and segment.statement.count > 0
            self._sender.contact(peer.node, heard.n, known=known)
        if taken.outcome in ("unsigned", "refused", "frozen"):
            self.refused[peer.node] += 1
            self._put_away(raw, taken.code or taken.outcome, taken.detail or "")
            _log.warning("segment refused", extra={"peer": peer.node, "outcome": taken.outcome, "code": taken.code})
        if taken.outcome == "fresh":
            self.waits_for_upgrade.discard(peer.node)
        if taken.outcome == "stops" and not _before(taken):
            self.waits_for_upgrade.add(peer.node)
            _log.error("stream waits for an upgrade", extra={"peer": peer.node, "position": taken.position})
        return taken

    def _pull(self, peer: RegisteredNode, after: int, *, limit: int = SEGMENT_MESSAGES_MAX) -> None:
        """Take the peer's messages after a position from itself, unless its last answer was bad just now."""
        if not self._pauses.rests(peer.node, self._clock.monotonic()):
            self._pull_all(peer, after, limit)

    def _pull_all(self, peer: RegisteredNode, after: int, limit: int = SEGMENT_MESSAGES_MAX) -> bool | None:
        """Take what the peer has after a position, while it brings something new.

        Where a later message cannot be applied, those before it are taken first; then what stands there decides.

        Returns:
            Whether its last answer was good; None: it did not answer at all, or its stream is frozen.
        """
        until = self._clock.monotonic() + PULL_SECONDS_MAX
        good: bool | None = None
        for _ in range(PULLS_MAX):
            if limit < 1 or self._clock.monotonic() >= until:
                return good
            raw = self._door.segment_after(peer, to=self._identity, after=after, limit=limit)
            if raw is None:
                self.answers["none"] += 1
                return good
            taken = self._take_answer(peer, raw)
            good = taken is not None and taken.outcome in _GOOD
            self.answers["good" if good else "bad"] += 1
            self._pauses.answered(peer.node, good=good, now=self._clock.monotonic())
            if taken is not None and "stream_frozen" in (taken.code, f"stream_{taken.outcome}"):
                return None
            if taken is None or taken.outcome not in ("fresh", "stops"):
                return good
            after = taken.high
            limit = SEGMENT_MESSAGES_MAX if taken.outcome == "fresh" else _before(taken)
        return good

    def _take_answer(self, peer: RegisteredNode, raw: bytes) -> TakenSegment | None:
        """Enter what a peer answered; None: it is no segment of that peer."""
        try:
            segment = parse_segment(raw)
        except Malformed as error:
            self._put_away(raw[:SEGMENT_BYTES_MAX], "malformed", str(error))
            return None
        signer = self._signer(segment)
        if isinstance(signer, str) or signer.node != peer.node:
            self._put_away(raw, "unsigned", "A pulled segment is not signed by the peer that was asked.")
            return None
        # A network without a broker hears of a newer registry here, not only when it looks every five minutes.
        self._fetch_registry(segment.statement.registry)
        taken = self._enter(signer, segment, raw)
        self.counts["pulled"] += 1
        return taken

    def _ask_whether_it_is_us(self) -> None:
        """When nearly all that comes is bad: ask peers themselves. Raises `IntakeStopped`, `LedgerAway`."""
        was_stopped = self.intake.reason is not None
        if self.intake.is_due(self._clock.monotonic()):
            peers = self._open_peers()[:PEERS_ASKED_MAX]
            self.intake.answered([self._verdict_of(peer) for peer in peers], self._clock.monotonic())
            if was_stopped and self.intake.reason is None:
                _log.warning("intake goes on")
        if self.intake.reason is not None:
            if not was_stopped:
                _log.critical("intake stopped", extra={"reason": self.intake.reason})
            raise IntakeStopped(self.intake.reason)

    def _verdict_of(self, peer: RegisteredNode) -> bool | None:
        try:
            with self._one_at_a_time:
                return self._pull_all(peer, self._high_of(peer.node))
        except LedgerAway:
            raise
        except Exception:
            _log.exception("bug in a loop", extra={"loop": "intake"})
            return False

    def _open_peers(self) -> list[RegisteredNode]:
        registry = self._registries.latest
        nodes = () if registry is None else registry.nodes
        return [node for node in nodes if node.node != self._identity.node and node.state != "closed"]

    def poll_peers(self, *, silent_seconds: float = 0.0) -> int:
        """Ask every peer for what is new: the way of a network, or of a town, without a broker.

        Args:
            silent_seconds: only peers that were not heard for so long are asked.

        Returns:
            How many segments were pulled.

        Raises:
            LedgerAway: to be tried again.
        """
        with self._one_at_a_time:
            self._fetch.poll()
        self.hand_over_registries()
        self._take_held()
        before = self.counts["pulled"]
        for node in self._open_peers():
            spoke_at = self._spoke_at.get(node.node, self._opened_at)
            if self._clock.monotonic() - spoke_at < silent_seconds:
                continue
            with self._one_at_a_time:
                self._pull(node, self._high_of(node.node))
            self._spoke_at[node.node] = self._clock.monotonic()
        return self.counts["pulled"] - before

    def _high_of(self, peer: str) -> int:
        if peer not in self.high:
            for stream in self._ledger.streams()["streams"]:
                self.high[stream["peer"]] = stream["incoming"]["n"]
        return self.high.get(peer, 0)

    # The registry ------------------------------------------------------------------------------------------------

    def hand_over_registries(self) -> int:
        """Give the ledger the registry versions that it has not accepted yet; returns how many it took.

        A version that it refuses is not offered again before there is a newer one; `registry_refused` says why.

        Raises:
            LedgerAway: to be tried again.
        """
        with self._one_at_a_time:
            envelopes = self._registries.envelopes
            if len(envelopes) == self._handed_over:
                return 0
            accepted: int = self._ledger.streams()["registry"]["version"]
            count = 0
            self.registry_refused = None
            try:
                for version in range(accepted + 1, len(envelopes) + 1):
                    self._ledger.accept_registry(envelopes[version])
                    count += 1
            except LedgerRefused as refused:
                self.registry_refused = str(refused)
                _log.error("registry refused by the ledger", extra={"reason": str(refused)})
            if count:
                # A peer's next generation begins a stream of its own.
                self.high.clear()
                self._on_registry()
            self._handed_over = len(envelopes)
            return count

    def _signer(self, segment: Segment) -> RegisteredNode | str:
        """The registered node that signed; else `unknown_peer` or `unsigned`."""
        found = self._registries.signer_of(segment)
        if isinstance(found, str) and self._fetch_registry(segment.statement.registry):
            found = self._registries.signer_of(segment)
        return found

    def _fetch_registry(self, version: int) -> bool:
        """Ask peers for the versions that are missing here up to `version`; says whether one was accepted."""
        if not self._fetch.up_to(version):
            return False
        self.hand_over_registries()
        return True

    def _hold(self, sender: str, raw: bytes) -> str:
        """Keep a segment whose sender holds a newer registry, until it is here; the latest of each sender."""
        self._held.pop(sender, None)
        if len(self._held) >= HELD_MAX:
            del self._held[next(iter(self._held))]
        self._held[sender] = raw
        return "held"

    def _take_held(self) -> None:
        if not self._held or self._fetch.rests:
            return
        with self._one_at_a_time:
            for sender in list(self._held):
                raw = self._held.pop(sender)
                try:
                    self.take(raw)
                except LedgerAway:
                    self._held[sender] = raw
                    raise

    def _put_away(self, raw: bytes, code: str, detail: str) -> str:
        self.quarantine.put(raw, code=code, detail=detail)
        return code


def _before(taken: TakenSegment) -> int:
    """How many messages stand before the one that cannot be taken."""
    assert taken.position is not None
    return taken.position - taken.high - 1
