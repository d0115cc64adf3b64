"""The receiver: what comes from peers is checked, handed to the ledger's writer, and repaired where it has a gap.

    record ── size, form, for us? ── signed by a key of the registry? ── POST /v1/segments ──▶ fresh: done
                     │                          │                                            ├▶ duplicate: dropped
                quarantine                 quarantine                                        ├▶ gap: pull from the peer
                                                                                             └▶ stops, frozen: visible
Source: design page 1, steps 4 and 7; page 2; PROTOCOL.md S5 to S10.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import httpx

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode
from timebank_contracts.names import Identity
from timebank_contracts.registry import RegisteredNode
from timebank_contracts.segments import SEGMENT_BYTES_MAX, Segment, is_signed_by, parse_segment
from timebank_federation.broker import BrokerAway, Inbox
from timebank_federation.ledger_client import LedgerAway, LedgerClient, TakenSegment
from timebank_federation.quarantine import Quarantine
from timebank_federation.registries import Registries
from timebank_federation.sender import Sender

PULLS_MAX = 256
"""Segments pulled from a peer in one go."""
_log = logging.getLogger(__name__)


class PeerDoor(Protocol):
    """How a peer is asked over HTTPS."""

    def segment_after(self, peer: RegisteredNode, *, to: Identity, after: int, limit: int) -> bytes | None:
        """The peer's segment after a position, or None when it does not answer."""

    def registry(self, peer: RegisteredNode, version: int) -> bytes | None:
        """The peer's registry document of a version, or None."""


class Receiver:
    """One for a node; the threads that read the broker and that poll peers take turns.

    Args:
        identity: this node.
        ledger: the town's ledger.
        registries: who may sign.
        sender: is told what peers heard.
        door: the way to peers over HTTPS.
        quarantine: keeps what had no effect.
        on_registry: called after a newer registry was accepted.
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
        on_registry: Callable[[], None] = lambda: None,
    ) -> None:
        self._identity = identity
        self._ledger = ledger
        self._registries = registries
        self._sender = sender
        self._door = door
        self.quarantine = quarantine
        self._on_registry = on_registry
        self._one_at_a_time = threading.RLock()
        self.counts: Counter[str] = Counter()
        """Segments by outcome."""
        self.high: dict[str, int] = {}
        """What the ledger has applied of each peer's stream, as it last said."""

    def step(self, inbox: Inbox, *, timeout_seconds: float) -> int:
        """Take what the broker has; returns how many records came.

        Raises:
            BrokerAway, LedgerAway: the caller's loop tries again; nothing is lost.
        """
        records = inbox.poll(timeout_seconds=timeout_seconds)
        for record in records:
            self.take(record.value)
        return len(records)

    def take(self, raw: bytes) -> str:
        """Judge and enter one segment, and pull what is missing before or after it.

        Returns:
            The outcome: one of the ledger's, or `malformed`, `misdirected`, `unknown_peer`, `unsigned`.

        Raises:
            LedgerAway: the segment was not taken; take it again.
        """
        with self._one_at_a_time:
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
        if isinstance(peer, str):
            if peer == "unsigned" and statement.registry < self._registries.version:
                self._sender.owe_statement(statement.from_)
            return self._put_away(raw, peer, "No key of the registry in force signed the segment.")
        if statement.registry > self._registries.version:
            self._fetch_registry(statement.registry)
        taken = self._ledger.take_segment(raw)
        self.high[peer.node] = taken.high
        if taken.outcome in ("fresh", "duplicate", "gap"):
            self._sender.contact(
                peer.node, statement.heard.n, known=taken.outcome == "duplicate" and statement.count > 0
            )
        if taken.outcome == "gap":
            self._pull(peer, taken.high)
        elif taken.outcome == "stops":
            self._stop_before(peer, taken)
        elif taken.outcome not in ("fresh", "duplicate"):
            self._put_away(raw, taken.code or taken.outcome, taken.detail or "")
            _log.warning("segment refused", extra={"peer": peer.node, "outcome": taken.outcome, "code": taken.code})
        return taken.outcome

    def _signer(self, segment: Segment) -> RegisteredNode | str:
        for attempt in range(2):
            registry = self._registries.latest
            peer = None if registry is None else registry.find(segment.statement.from_)
            if peer is not None and is_signed_by(segment.envelope, tuple(b64_decode(key) for key in peer.event_keys)):
                return peer
            if attempt or not self._fetch_registry(segment.statement.registry):
                return "unknown_peer" if peer is None else "unsigned"
        return "unsigned"

    def _fetch_registry(self, version: int) -> bool:
        """Ask every peer for the versions that are missing here up to `version`; says whether one was accepted."""
        before = self._registries.version
        registry = self._registries.latest
        for node in registry.nodes if registry is not None else ():
            if node.node == self._identity.node:
                continue
            while self._registries.version < version:
                envelope = self._door.registry(node, self._registries.version + 1)
                if envelope is None:
                    break
                try:
                    self._registries.add(envelope)
                except Malformed as error:
                    _log.warning("registry refused", extra={"peer": node.node, "reason": str(error)})
                    break
                self._ledger.accept_registry(envelope)
                self._on_registry()
        return self._registries.version > before

    def _pull(self, peer: RegisteredNode, after: int, *, upto: int | None = None) -> None:
        """Take the peer's messages after a position from itself, while they bring something new."""
        for _ in range(PULLS_MAX):
            limit = 256 if upto is None else min(256, upto - after)
            if limit < 1:
                return
            raw = self._door.segment_after(peer, to=self._identity, after=after, limit=limit)
            if raw is None:
                return
            try:
                segment = parse_segment(raw)
            except Malformed as error:
                self._put_away(raw[:SEGMENT_BYTES_MAX], "malformed", str(error))
                return
            if segment.statement.from_ != peer.node or self._signer(segment) != peer:
                self._put_away(raw, "unsigned", "A pulled segment is not signed by the peer that was asked.")
                return
            taken = self._ledger.take_segment(raw)
            self.counts["pulled"] += 1
            self.high[peer.node] = taken.high
            if taken.outcome in ("fresh", "duplicate", "gap"):
                self._sender.contact(peer.node, segment.statement.heard.n, known=False)
            if taken.outcome == "frozen":
                self._put_away(raw, taken.code or "frozen", taken.detail or "")
            if taken.outcome != "fresh":
                return
            after = taken.high

    def _stop_before(self, peer: RegisteredNode, taken: TakenSegment) -> None:
        """A later message cannot be applied: take those before it, then what stands there decides."""
        assert taken.position is not None
        if taken.position > taken.high + 1:
            self._pull(peer, taken.high, upto=taken.position - 1)
            self._pull(peer, self.high[peer.node])
        else:
            _log.error("stream waits for an upgrade", extra={"peer": peer.node, "position": taken.position})

    def poll_peers(self) -> int:
        """Ask every peer for what is new: the way of a network without a broker. Returns segments that were fresh."""
        registry = self._registries.latest
        before = self.counts["pulled"]
        for node in registry.nodes if registry is not None else ():
            if node.node != self._identity.node and node.state != "closed":
                with self._one_at_a_time:
                    self._pull(node, self._high_of(node.node))
        return self.counts["pulled"] - before

    def _high_of(self, peer: str) -> int:
        if peer not in self.high:
            for stream in self._ledger.streams()["streams"]:
                self.high[stream["peer"]] = stream["incoming"]["n"]
        return self.high.get(peer, 0)

    def _put_away(self, raw: bytes, code: str, detail: str) -> str:
        self.quarantine.put(raw, code=code, detail=detail)
        return code if code in ("malformed", "misdirected", "unknown_peer", "unsigned") else "refused"


class HttpDoor:
    """Asks peers over HTTPS.

    Args:
        http: a client without a base URL; its time-outs are bounded.
        token: makes a node token for a peer: audience → text.
    """

    def __init__(self, http: httpx.Client, token: Callable[[str], str]) -> None:
        self._http = http
        self._token = token

    def segment_after(self, peer: RegisteredNode, *, to: Identity, after: int, limit: int) -> bytes | None:
        path = f"/v1/streams/{peer.node}/{peer.generation}/{to.node}"
        headers = {"Authorization": f"Bearer {self._token(f'{to.network}/{peer.node}')}"}
        return self._get(peer, path, params={"after": after, "limit": limit}, headers=headers)

    def registry(self, peer: RegisteredNode, version: int) -> bytes | None:
        return self._get(peer, f"/.well-known/timebank/registry/{version}", params={}, headers={})

    def _get(self, peer: RegisteredNode, path: str, *, params: dict[str, int], headers: dict[str, str]) -> bytes | None:
        try:
            answer = self._http.get(f"{peer.url.rstrip('/')}{path}", params=params, headers=headers)
        except httpx.HTTPError as error:
            _log.info("peer does not answer", extra={"peer": peer.node, "reason": type(error).__name__})
            return None
        return answer.content if answer.status_code == 200 else None


__all__ = ["BrokerAway", "HttpDoor", "LedgerAway", "PeerDoor", "Receiver"]
