"""Fetching the registry from peers: version after version, each verified before the next, bounded in number and pace.

    a newer number in a statement ──┐
    every five minutes of polling ──┴▶ ask a peer for held + 1, + 2, … (at most 64 in one go); then the next peer

Any peer will do as a carrier: what it serves counts only by its operators' signatures. On polling the version in force
is compared too, so that a fork is seen although nobody names a newer number.
Source: design page 2, "Registry"; PROTOCOL.md R3, R6, R7.
"""

from __future__ import annotations

import logging
from typing import Final

from timebank_contracts.errors import Malformed
from timebank_contracts.registry import RegisteredNode
from timebank_federation.peer_door import PeerDoor
from timebank_federation.registries import Fork, Registries
from timebank_kit.clock import Clock

PAUSE_SECONDS: Final = 10.0
"""Between two rounds of asking for a newer registry: whoever can write to the topic can claim any version."""
POLL_SECONDS: Final = 300.0
"""Between two looks whether there is a newer version, or another one of the same number."""
VERSIONS_AT_ONCE_MAX: Final = 64
PEERS_AT_ONCE_MAX: Final = 16
"""Peers that are asked in one round; the next round begins behind them."""
LOOK_BACK_MAX: Final = 16
"""Versions in which a peer's chain is searched for where it leaves ours."""
_log = logging.getLogger(__name__)


class RegistryFetch:
    """Asks peers for registry documents, one thread at a time.

    Args:
        me: this node's name.
        registries: what is held; new versions are added to it.
        door: the way to peers.
        clock: for pauses.
    """

    def __init__(self, *, me: str, registries: Registries, door: PeerDoor, clock: Clock) -> None:
        self._me = me
        self._registries = registries
        self._door = door
        self._clock = clock
        self._again_at = clock.monotonic()
        self._poll_at = clock.monotonic() + POLL_SECONDS
        self._turn = 0

    @property
    def rests(self) -> bool:
        """Whether it is too early to ask again."""
        return self._clock.monotonic() < self._again_at

    def up_to(self, version: int) -> bool:
        """Fetch what is missing up to a version that was seen; says whether a version was added."""
        before, now = self._registries.version, self._clock.monotonic()
        if version <= before or self.rests:
            return False
        self._again_at = now + PAUSE_SECONDS
        until = min(version, before + VERSIONS_AT_ONCE_MAX)
        for node in self._next_peers():
            self._from(node, until)
            if self._registries.version >= until or self._registries.fork is not None:
                break
        return self._registries.version > before

    def poll(self) -> bool:
        """Look, now and then, whether a peer holds a newer version, or another of the same number."""
        now = self._clock.monotonic()
        if now < self._poll_at:
            return False
        self._poll_at = now + POLL_SECONDS
        before = self._registries.version
        until = before + VERSIONS_AT_ONCE_MAX
        for node in self._next_peers():
            if self._registries.fork is not None:
                break
            if self._registries.version:
                self._compare(node, self._registries.version)
            self._from(node, until)
        return self._registries.version > before

    def _next_peers(self) -> list[RegisteredNode]:
        registry = self._registries.latest
        nodes = [] if registry is None else [node for node in registry.nodes if node.node != self._me]
        start = self._turn % len(nodes) if nodes else 0
        found = (nodes[start:] + nodes[:start])[:PEERS_AT_ONCE_MAX]
        self._turn = start + len(found)
        return found

    def _from(self, node: RegisteredNode, until: int) -> None:
        while self._registries.version < until:
            wanted = self._registries.version + 1
            envelope = self._door.registry(node, wanted)
            if envelope is None:
                return
            try:
                self._registries.add(envelope)
            except Malformed as error:
                _log.warning("registry refused", extra={"peer": node.node, "reason": str(error)})
                if not isinstance(error, Fork):
                    self._look_back(node, wanted - 1)
                return

    def _look_back(self, node: RegisteredNode, version: int) -> None:
        """Where a peer's next version does not follow ours, the fork is at ours or before it."""
        for earlier in range(version, max(0, version - LOOK_BACK_MAX), -1):
            if not self._compare(node, earlier):
                return

    def _compare(self, node: RegisteredNode, version: int) -> bool:
        """Compare a held version with the peer's; whether a version before it is worth a look."""
        envelope = self._door.registry(node, version)
        if envelope is None:
            return False
        try:
            self._registries.add(envelope)
        except Fork as fork:
            _log.critical("the registry has forked", extra={"peer": node.node, "reason": str(fork)})
            return False
        except Malformed as error:
            _log.warning("registry refused", extra={"peer": node.node, "reason": str(error)})
            return True
        return False
