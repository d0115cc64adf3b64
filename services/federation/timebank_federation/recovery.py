"""Putting back what this node lost: each peer hands back our own old segments, then says that this was all.

    ledger: returning ── peer's door: our old stream after n ──▶ ledger ── … ──▶ the peer's last word ──▶ ledger
A peer that does not answer, or has not closed the old generation yet, is asked again at the next poll.
Source: design page 2, "Rollback and generations"; PROTOCOL.md X8 to X11, W10.
"""

from __future__ import annotations

import logging
from typing import Any, Final, Protocol

from timebank_contracts.errors import Malformed
from timebank_contracts.names import Identity
from timebank_contracts.registry import RegisteredNode
from timebank_contracts.segments import parse_segment
from timebank_federation.ledger_client import LedgerClient, LedgerRefused
from timebank_federation.registries import Registries
from timebank_federation.sender import Sender

SEGMENTS_AT_ONCE_MAX: Final = 256
"""Of one peer in one go: the others wait meanwhile."""
_log = logging.getLogger(__name__)


class KeepersDoor(Protocol):
    """What is asked of a peer; None: it does not answer, or has no answer yet."""

    def own_segment_after(self, peer: RegisteredNode, *, lost: Identity, after: int) -> bytes | None:
        """What the peer kept of the stream that we sent it under a lost identity; at its end, the peer's last word."""


class Recovery:
    """One for a node.

    Args:
        identity: this node under its present generation.
        ledger: enters what comes back.
        registries: where peers are found.
        door: the way to them.
        sender: begins again from the ledger's streams when all is put back with a peer.
    """

    def __init__(
        self, *, identity: Identity, ledger: LedgerClient, registries: Registries, door: KeepersDoor, sender: Sender
    ) -> None:
        self._identity = identity
        self._ledger = ledger
        self._registries = registries
        self._door = door
        self._sender = sender
        self._is_over = False
        self.refused: dict[str, str] = {}
        """Peer → why what it handed back last does not count."""

    def step(self) -> int:
        """Ask each peer with which something is to be put back; returns how many segments the ledger took.

        Raises:
            LedgerAway: to be tried again.
        """
        if self._is_over:
            return 0
        taken, left = 0, False
        for stream in self._ledger.streams()["streams"]:
            if stream.get("returning") is None or stream["state"] == "closed":
                continue
            left = True
            if stream["returning"]["stage"] != "takes":
                taken += self._put_back(stream)
        # A generation is put back once; a peer that the registry names later was never known to the old one.
        self._is_over = not left and self._registries.latest is not None
        return taken

    def _put_back(self, stream: dict[str, Any]) -> int:
        registry = self._registries.latest
        peer = None if registry is None else registry.find(stream["peer"])
        if peer is None:
            return 0
        generation, after = stream["returning"]["generation"], stream["returning"]["said"]
        lost = self._identity._replace(generation=generation)
        for count in range(SEGMENTS_AT_ONCE_MAX):
            raw = self._door.own_segment_after(peer, lost=lost, after=after)
            if raw is None:
                return count
            try:
                statement = parse_segment(raw).statement
                is_last_word = statement.from_ == peer.node
                if {statement.from_, statement.to} != {peer.node, lost.node}:
                    # What it did not get itself proves nothing about what happened between others.
                    return self._no(peer.node, "It concerns another town than the one that was asked.", count)
                said = self._ledger.take_segment(raw)
            except (Malformed, LedgerRefused) as wrong:
                return self._no(peer.node, str(wrong), count)
            if said.outcome != "recovered" or (said.high <= after and not is_last_word):
                return self._no(peer.node, said.detail or said.outcome, count)
            self.refused.pop(peer.node, None)
            after = said.high
            if is_last_word:
                _log.info("put back with a peer", extra={"peer": peer.node, "messages": after})
                self._sender.load()
                return count + 1
        return SEGMENTS_AT_ONCE_MAX

    def _no(self, peer: str, why: str, count: int) -> int:
        self.refused[peer] = why
        _log.error("what a peer hands back does not count", extra={"peer": peer, "reason": why})
        return count
