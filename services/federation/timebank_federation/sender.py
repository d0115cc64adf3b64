"""The sender: follows the journal of its town, and keeps every peer's inbox up to date.

    journal ── entry with `out` ──▶ kept per peer ── due? cut, sign, send ──▶ the peer's topic

First try, retry and restart are one path: read the journal from where it was read to, send what is due. What a peer
heard comes back in the statements of its own segments (`contact`). A peer without a broker asks for `segment_after`,
and gets what the journal holds at that moment.
Source: design page 1, steps 3 and 6; page 2; PROTOCOL.md S11 to S13.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import UNSET

from timebank_contracts.checkpoint import Checkpoint, parse_checkpoint
from timebank_contracts.keys import SigningKey
from timebank_contracts.names import Identity, inbox_topic
from timebank_contracts.rules_generations import number_of
from timebank_contracts.segments import SEGMENT_MESSAGES_MAX, Heard, cut, make_segment
from timebank_contracts.streams import StreamHead, chain_next, chain_start
from timebank_federation.broker import BrokerAway, Outbox, TopicAway
from timebank_federation.ledger_client import LedgerClient
from timebank_federation.outgoing import Due, Outgoing
from timebank_federation.outline import Outline, decode_outline
from timebank_federation.own_keys import KeyNotRegistered
from timebank_kit.clock import Clock

KEPT_MESSAGES_MAX = 8_192
CHECKPOINT_SECONDS = 1.0
BROKER_PAUSE_SECONDS_FIRST = 1.0
BROKER_PAUSE_SECONDS_MAX = 30.0
"""Pauses double: an attempt may take long, and while it lasts the journal is not followed."""
SEGMENTS_AT_ONCE_MAX = 64
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Kept:
    """A message of our stream, and the chain value before it."""

    position: int
    before: bytes
    message: bytes


class _Pause(NamedTuple):
    until: float
    """Monotonic seconds."""
    seconds: float


@dataclass(slots=True)
class PeerStreams:
    """Both streams of a peer as the sender knows them."""

    generation: str
    outgoing: Outgoing
    head: StreamHead
    incoming: StreamHead
    endings: dict[str, StreamHead]
    """Closed generation of the peer → what was applied of its stream."""
    kept: deque[_Kept] = field(default_factory=lambda: deque(maxlen=KEPT_MESSAGES_MAX))
    contact_at: datetime | None = None
    """When a validly signed segment of the peer came last."""


class Sender:
    """One for a node; `step` is called by one thread, `follow`, `contact` and `segment_after` by any.

    Args:
        ledger: the town's ledger.
        outbox: the way to the broker, None for a network without one.
        event_key: gives the key in force that signs statements; None: there is none now.
        registry_version: tells the version held at the moment.
        clock: for repetition.
    """

    def __init__(
        self,
        *,
        ledger: LedgerClient,
        outbox: Outbox | None,
        event_key: Callable[[], SigningKey | None],
        registry_version: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._key = event_key
        self._signed_with: bytes | None = None
        self._registry_version = registry_version
        self._clock = clock
        self._lock = threading.RLock()
        self._checkpoint: tuple[float, Checkpoint] | None = None
        self._pauses: dict[str, _Pause] = {}
        self._is_loaded = False
        self.identity: Identity | None = None
        self.position = -1
        self.registry = 0
        """The version that the journal had accepted when the streams were loaded."""
        self.ended: Counter[str] = Counter()
        """Transfers to other towns that ended since the start: `settled`, `returned`."""
        self.peers: dict[str, PeerStreams] = {}

    @property
    def broker_away(self) -> bool:
        """Whether the last attempt to send to some peer met no broker, or not its topic."""
        return bool(self._pauses)

    @property
    def has_key(self) -> bool:
        """Whether the registry in force names an event key of this node."""
        return self._key() is not None

    def load(self) -> None:
        """Begin, or begin again, from what the ledger says of its streams. Raises `LedgerAway`."""
        said = self._ledger.streams()
        with self._lock:
            self.identity = Identity(**said["identity"])
            self.position = said["position"] - 1
            self.registry = said["registry"]["version"]
            for stream in said["streams"]:
                self._load_peer(stream)
            self._is_loaded = True

    def _load_peer(self, stream: dict[str, Any]) -> None:
        known = self.peers.get(stream["peer"])
        head = StreamHead(stream["outgoing"]["n"], bytes.fromhex(stream["outgoing"]["chain"]))
        incoming = StreamHead(stream["incoming"]["n"], bytes.fromhex(stream["incoming"]["chain"]))
        # What the peer said since its last segment with news is in no entry of the journal.
        heard = max(stream["heard"], min(head.n, known.outgoing.heard if known is not None else 0))
        outgoing = Outgoing(head=head.n, heard=heard, now=self._clock.monotonic())
        outgoing.grew(head=head.n, open_transfers=stream["open_transfers"])
        endings = {
            ending["generation"]: StreamHead(ending["n"], bytes.fromhex(ending["chain"]))
            for ending in stream.get("endings", ())
        }
        loaded = PeerStreams(stream["generation"], outgoing, head, incoming, endings)
        loaded.contact_at = None if known is None else known.contact_at
        self.peers[stream["peer"]] = loaded

    def step(self, *, wait_seconds: float) -> int:
        """Read what is new in the journal, waiting for it up to the time given, and send what is due.

        Returns:
            How many segments were sent.

        Raises:
            LedgerAway: to be tried again by the caller's loop.
        """
        self.follow(wait_seconds=wait_seconds)
        return self.send_due()

    def follow(self, *, wait_seconds: float) -> int:
        """Read what is new in the journal; returns how many entries. Raises `LedgerAway`."""
        if not self._is_loaded:
            self.load()
        raws = self._ledger.journal_after(self.position, wait_seconds=wait_seconds)
        count = 0
        with self._lock:
            for raw in raws:
                entry = decode_outline(raw)
                # Another thread may have followed, or loaded, meanwhile: each entry counts once, and none is left out.
                if entry.n == self.position + 1:
                    self._follow(entry)
                    count += 1
        return count

    def _follow(self, entry: Outline) -> None:
        self.position = entry.n
        try:
            if _changes_streams(entry) or (entry.type == "peer.changed" and entry.peer not in self.peers):
                self.load()
            else:
                self._count(entry)
        except BaseException:
            # Nothing may stay half counted: the next step begins from what the ledger says.
            self._is_loaded = False
            raise

    def _count(self, entry: Outline) -> None:
        if entry.in_ is not UNSET and entry.type != "message.recovered":
            peer = self.peers[entry.peer]
            chain = chain_next(peer.incoming.chain, bytes(entry.in_))
            peer.incoming = StreamHead(peer.incoming.n + 1, chain)
            peer.outgoing.owes_heard()
            if entry.type in ("transfer.settled", "transfer.returned"):
                self.ended[entry.type.removeprefix("transfer.")] += 1
                peer.outgoing.grew(head=peer.head.n, open_transfers=peer.outgoing.open - 1)
        if entry.out is not UNSET:
            raw = bytes(entry.out)
            peer = self.peers[entry.peer]
            position = peer.head.n + 1
            peer.kept.append(_Kept(position, peer.head.chain, raw))
            peer.head = StreamHead(position, chain_next(peer.head.chain, raw))
            now_open = peer.outgoing.open + (entry.type == "transfer.sent")
            peer.outgoing.grew(head=position, open_transfers=now_open)

    def send_due(self) -> int:
        """Send every segment that is due now; returns how many."""
        if self._outbox is None or not self._has_key():
            return 0
        count = 0
        for name, peer in list(self.peers.items()):
            pause = self._pauses.get(name)
            if pause is not None and self._clock.monotonic() < pause.until:
                continue
            # A peer gets at most so many segments in one go: no peer waits behind another's backlog.
            for _ in range(SEGMENTS_AT_ONCE_MAX):
                due = peer.outgoing.due(self._clock.monotonic())
                if due is None:
                    break
                try:
                    self._send(name, peer, due)
                except TopicAway as away:
                    self._rest([name], away)
                    break
                except BrokerAway as away:
                    self._rest(self.peers, away)
                    return count
                count += 1
        return count

    def _has_key(self) -> bool:
        """Whether a key is in force; what an earlier one signed and nobody heard is signed anew."""
        key = self._key()
        if key is not None and key.public != self._signed_with:
            with self._lock:
                if self._signed_with is not None:
                    for peer in self.peers.values():
                        peer.outgoing.send_again()
                self._signed_with = key.public
        return key is not None

    def _rest(self, names: Iterable[str], away: BrokerAway) -> None:
        """Try these peers again after a pause, which doubles."""
        now = self._clock.monotonic()
        for name in list(names):
            last = self._pauses.get(name)
            seconds = BROKER_PAUSE_SECONDS_FIRST if last is None else min(2 * last.seconds, BROKER_PAUSE_SECONDS_MAX)
            self._pauses[name] = _Pause(now + seconds, seconds)
            if last is None:
                _log.warning("broker away", extra={"peer": name, "reason": str(away)})

    def _send(self, name: str, peer: PeerStreams, due: Due) -> None:
        assert self.identity is not None
        assert self._outbox is not None
        segment, until = self._cut(name, peer, due)
        now = self._clock.monotonic()
        self._outbox.send(inbox_topic(self.identity.network, name), key=self.identity.node, value=segment)
        with self._lock:
            peer.outgoing.sent_segment(after=due.after, until=until, now=now)
            if self._pauses.pop(name, None) is not None:
                _log.info("broker back", extra={"peer": name})
                peer.outgoing.broker_returned()

    def _cut(self, name: str, peer: PeerStreams, due: Due) -> tuple[bytes, int]:
        """The next segment for what is due, and the position of its last message."""
        if due.until == due.after:
            with self._lock:
                return self._sign(name, peer, peer.head, []), due.until
        after, messages = self._messages(name, peer, due.after, due.until - due.after)
        messages = messages[: cut(messages)]
        return self._sign(name, peer, after, messages), after.n + len(messages)

    def _messages(self, name: str, peer: PeerStreams, after: int, limit: int) -> tuple[StreamHead, list[bytes]]:
        limit = min(limit, SEGMENT_MESSAGES_MAX)
        with self._lock:
            kept = peer.kept
            if kept and kept[0].position <= after + 1 <= kept[-1].position:
                at = after + 1 - kept[0].position
                found = [kept[index] for index in range(at, min(at + limit, len(kept)))]
                return StreamHead(after, found[0].before), [item.message for item in found]
        chain, messages = self._ledger.messages_after(name, after, limit=limit)
        return StreamHead(after, chain), messages

    def kept_after(self, name: str, generation: str, after: int) -> bytes | None:
        """A segment that came from a peer's closed generation, byte for byte; None: nothing came after the position.

        Raises:
            LedgerAway: come again.
        """
        return self._ledger.kept_after(name, generation, after)

    def last_word(self, name: str, generation: str) -> bytes | None:
        """What we applied of a closed generation of a peer, signed now; None: it is not closed here, or unknown.

        Raises:
            LedgerAway, KeyNotRegistered: come again.
        """
        self.follow(wait_seconds=0)
        with self._lock:
            peer, me = self.peers.get(name), self.identity
            if peer is None or me is None or number_of(generation) >= number_of(peer.generation):
                return None
            # Of a generation that never spoke to us nothing happened.
            start = chain_start(network=me.network, sender=name, generation=generation, receiver=me.node)
            ending = peer.endings.get(generation, StreamHead(0, start))
            heard = Heard(generation=generation, n=ending.n, chain=ending.chain.hex())
            return self._sign(name, peer, peer.head, [], heard=heard)

    def _sign(
        self, name: str, peer: PeerStreams, after: StreamHead, messages: list[bytes], *, heard: Heard | None = None
    ) -> bytes:
        assert self.identity is not None
        key = self._key()
        if key is None:
            raise KeyNotRegistered("The registry in force names no event key of this node.")
        checkpoint = self._latest_checkpoint()
        incoming = peer.incoming
        present = Heard(generation=peer.generation, n=incoming.n, chain=incoming.chain.hex())
        return make_segment(
            identity=self.identity,
            to=name,
            after=after,
            messages=messages,
            heard=present if heard is None else heard,
            # Never a later one than `heard` is by: a reader takes the heard of a closed generation for the last one.
            registry=min(self.registry, self._registry_version()),
            size=checkpoint.size,
            root=checkpoint.root,
            key=key,
        )

    def _latest_checkpoint(self) -> Checkpoint:
        now = self._clock.monotonic()
        if self._checkpoint is None or now - self._checkpoint[0] >= CHECKPOINT_SECONDS:
            text = self._ledger.checkpoint().decode().partition("\n\n")[0] + "\n"
            self._checkpoint = (now, parse_checkpoint(text))
        return self._checkpoint[1]

    def contact(self, name: str, heard: int, *, known: bool) -> None:
        """A validly signed segment of the peer says what it heard; `known`: it brought nothing new with it."""
        with self._lock:
            peer = self.peers.get(name)
            if peer is not None:
                peer.contact_at = self._clock.now()
                peer.outgoing.heard_from(heard=min(heard, peer.head.n), now=self._clock.monotonic())
                if known:
                    peer.outgoing.owes_heard()

    def owe_statement(self, name: str) -> None:
        """The peer signs with a key that is not in force here: our next statement tells it which registry is."""
        with self._lock:
            peer = self.peers.get(name)
            if peer is not None:
                peer.outgoing.owes_heard()

    def segment_after(self, name: str, after: int, *, limit: int) -> bytes | None:
        """A segment with the messages after a position, for a peer that asks; None for an unknown peer or position.

        Raises:
            LedgerAway, KeyNotRegistered: come again.
        """
        self.follow(wait_seconds=0)
        peer = self.peers.get(name)
        if peer is None or after > peer.head.n:
            return None
        if after == peer.head.n or limit < 1:
            with self._lock:
                return self._sign(name, peer, peer.head, [])
        head, messages = self._messages(name, peer, after, limit)
        return self._sign(name, peer, head, messages[: cut(messages)])


def _changes_streams(entry: Outline) -> bool:
    """Whether a registry came, a peer's generation ended, what we lost came back, or what was sent to a closed peer."""
    if entry.type in ("registry.accepted", "peer.generation_closed", "segment.recovered", "stream.recovered"):
        return True
    return entry.type == "transfer.returned" and entry.in_ is UNSET
