"""Limits that two towns agree on: proposed here or there, signed by both, then entered as each town's own limit.

    propose ──▶ pending, signed here ── to the peer ──▶ pending there ── its operator assents ──▶ signed by both
                      ▲                                                                              │
                      └───────────────────────── comes back by HTTPS or as a file ◀──────────────────┘  counts here too
One proposal for each peer is pending, the latest; one agreement for each peer is kept, the latest that counted.
Source: design page 2, "Signs, limits, identities"; PROTOCOL.md R10.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from timebank_contracts import dsse
from timebank_contracts.agreements import LimitAgreement, assenting, read_agreement, sign_agreement
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey
from timebank_contracts.moments import show_time
from timebank_contracts.names import Identity
from timebank_contracts.registry import RegisteredNode, Registry
from timebank_federation.ledger_client import LedgerClient
from timebank_federation.own_keys import KeyNotRegistered
from timebank_federation.registries import Registries
from timebank_kit.clock import Clock
from timebank_kit.files import atomic_write

PENDING: Final = "pending"
AGREED: Final = "agreed"


class Standing(NamedTuple):
    """A document about a peer, and who of both signed it."""

    peer: str
    agreement: LimitAgreement
    signed_by: frozenset[str]
    envelope: bytes


class Agreements:
    """The proposals and agreements of one node; any thread may ask.

    Args:
        identity: this node.
        folder: keeps `<peer>.pending` and `<peer>.agreed`; None: in memory.
        registries: whose keys count.
        ledger: the town's ledger, which enters what was agreed.
        key: the event key in force, None for none.
        send: hands an envelope to a peer; says whether it was taken.
        clock: gives the time of a proposal.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        folder: Path | None,
        registries: Registries,
        ledger: LedgerClient,
        key: Callable[[], SigningKey | None],
        send: Callable[[RegisteredNode, bytes], bool],
        clock: Clock,
    ) -> None:
        self._identity = identity
        self._folder = folder
        self._registries = registries
        self._ledger = ledger
        self._key = key
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, bytes] = {}
        self._taken: set[bytes] = set()
        """What peers took since the start, the latest of each."""

    def propose(self, peer: str, limit: int) -> Standing:
        """Propose a limit in minutes to a peer, and hand it over if the peer answers.

        Raises:
            Malformed: no such peer. KeyNotRegistered: nothing can be signed now.
        """
        registry = self._registry()
        if peer == self._identity.node or registry.find(peer) is None:
            raise Malformed(f"{peer} is no peer in the registry in force.")
        agreement = LimitAgreement(
            network=registry.network,
            towns=sorted((self._identity.node, peer)),
            limit=limit,
            proposed_at=show_time(self._clock.now()),
            proposed_by=self._identity.node,
        )
        envelope = sign_agreement(agreement, self._signing())
        with self._lock:
            self._put(peer, PENDING, envelope)
        self._hand_over(peer, envelope)
        return self._standing(envelope)

    def assent(self, peer: str) -> Standing:
        """Sign what the peer proposed: it counts here from now on, and at the peer when that gets it back.

        Raises:
            Malformed: nothing of this peer waits here. LedgerAway, LedgerRefused: nothing counts yet; assent again.
        """
        envelope = self._get(peer, PENDING)
        if envelope is None:
            raise Malformed(f"No proposal of {peer} waits here.")
        taken = self.take(dsse.add_signatures(envelope, [self._signing()]))
        self._hand_over(peer, taken.envelope)
        return taken

    def take(self, envelope: bytes) -> Standing:
        """Keep a proposal of a peer, or enter what both signed; what is older than what is kept changes nothing.

        Raises:
            Malformed: of another network or other towns, or the peer did not sign it.
            LedgerAway, LedgerRefused: it was not entered.
        """
        standing = self._standing(envelope)
        if standing.peer not in standing.signed_by:
            raise Malformed(f"{standing.peer} did not sign this with a key in force here.")
        with self._lock:
            agreed = self._get(standing.peer, AGREED)
            if agreed is not None and read_agreement(agreed).proposed_at >= standing.agreement.proposed_at:
                return self._standing(agreed)
            if len(standing.signed_by) == 2:
                self._ledger.agree_limit(standing.peer, standing.agreement.limit, key=envelope)
                self._put(standing.peer, AGREED, envelope)
                self._drop(standing.peer)
                return standing
            pending = self._get(standing.peer, PENDING)
            if pending is None or read_agreement(pending).proposed_at < standing.agreement.proposed_at:
                self._put(standing.peer, PENDING, envelope)
        return standing

    def listed(self) -> list[dict[str, Any]]:
        """Every proposal that waits and every agreement that counts, with who signed; limits in minutes."""
        registry = self._registries.latest
        said = []
        for node in registry.nodes if registry is not None else ():
            for kind in (PENDING, AGREED):
                envelope = self._get(node.node, kind)
                if envelope is None:
                    continue
                try:
                    found = self._standing(envelope)
                except Malformed:
                    # A town was closed since: nothing of it counts any more.
                    continue
                said.append(show_standing(found) | {"state": kind})
        return said

    def hand_over_again(self) -> None:
        """Send what a peer did not take since the start: a proposal that waits, and what was agreed."""
        for said in self.listed():
            envelope = said["envelope"].encode("ascii")
            if envelope not in self._taken and self._identity.node in said["signed_by"]:
                self._hand_over(said["peer"], envelope)

    def _standing(self, envelope: bytes) -> Standing:
        agreement = read_agreement(envelope)
        if self._identity.node not in agreement.towns:
            raise Malformed(f"The agreement is not about {self._identity.node}.")
        [peer] = [town for town in agreement.towns if town != self._identity.node]
        return Standing(peer, agreement, assenting(envelope, self._registry()), envelope)

    def _hand_over(self, peer: str, envelope: bytes) -> None:
        node = self._registry().find(peer)
        if node is not None and self._send(node, envelope):
            self._taken = {one for one in self._taken if read_agreement(one).towns != read_agreement(envelope).towns}
            self._taken.add(envelope)

    def _registry(self) -> Registry:
        registry = self._registries.latest
        if registry is None:
            raise Malformed("This node holds no registry yet.")
        return registry

    def _signing(self) -> SigningKey:
        key = self._key()
        if key is None:
            raise KeyNotRegistered("The registry in force names no event key of this node.")
        return key

    def _get(self, peer: str, kind: str) -> bytes | None:
        if self._folder is None:
            return self._kept.get(f"{peer}.{kind}")
        path = self._folder / f"{peer}.{kind}"
        return path.read_bytes() if path.exists() else None

    def _put(self, peer: str, kind: str, envelope: bytes) -> None:
        if self._folder is None:
            self._kept[f"{peer}.{kind}"] = envelope
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        atomic_write(self._folder / f"{peer}.{kind}", envelope)

    def _drop(self, peer: str) -> None:
        self._kept.pop(f"{peer}.{PENDING}", None)
        if self._folder is not None:
            (self._folder / f"{peer}.{PENDING}").unlink(missing_ok=True)


def show_standing(standing: Standing) -> dict[str, Any]:
    """A proposal or agreement as it is shown; the limit in minutes."""
    return {
        "peer": standing.peer,
        "limit": standing.agreement.limit,
        "proposed_at": standing.agreement.proposed_at,
        "proposed_by": standing.agreement.proposed_by,
        "signed_by": sorted(standing.signed_by),
        "envelope": standing.envelope.decode("ascii"),
    }
