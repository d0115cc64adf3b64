"""The registry as one town's journal accepted it, version by version, and the keys that it puts in force there.

A signature is judged by the registry version in force in the journal where it is recorded, at that position.
Source: design page 2, "What signs what" and "Registry"; PROTOCOL.md R1 to R5.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final, NamedTuple

import msgspec

from timebank_audit.codes import Verdict
from timebank_audit.files import TownFiles
from timebank_audit.findings import Findings
from timebank_audit.key_uses import EVENT, LOG, KeyUses
from timebank_contracts import canonical, dsse
from timebank_contracts import entries as e
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode
from timebank_contracts.log_files import registry_path
from timebank_contracts.names import Identity
from timebank_contracts.registry import PAYLOAD_TYPE, REGISTRY_BYTES_MAX, Registry, check_keys, open_registry
from timebank_contracts.state import PeerState

_decoder: Final = msgspec.json.Decoder(Registry)


class Accepted(NamedTuple):
    """A registry version in a journal, and where it came into force."""

    position: int
    version: int
    sha256: str


class Registries:
    """Follows `registry.accepted` and `peer.changed` of one journal."""

    def __init__(self, files: TownFiles, findings: Findings, town: str) -> None:
        self._files = files
        self._findings = findings
        self._town = town
        self.in_force: Registry | None = None
        """The version in force here, when its file is there and good."""
        self.log_keys: dict[str, set[bytes]] = {}
        """Raw log keys by origin, of every version that was good."""
        self.uses = KeyUses()
        self.history: list[Accepted] = []
        """Every good version, in order; their number is bounded by the files that were given."""
        self.cited: dict[int, str] = {}
        """SHA-256 by version, as the journal says."""
        self.unpinned: int | None = None
        """The first version: nothing in the export proves that it is the network's."""

    def accepted(self, entry: e.RegistryAcceptedEntry) -> None:
        """A21, A22: the version's file is the document that the journal cites, signed, and follows its predecessor."""
        version, cited = entry.data.version, entry.data.sha256
        self.cited[version] = cited
        place = f"entry {entry.n}, registry version {version}"
        previous, self.in_force = self.in_force, None
        self._findings.examine("A22")
        raw = self._files.read(registry_path(version), bytes_max=REGISTRY_BYTES_MAX)
        if raw is None:
            self._missing(place, version)
            return
        try:
            found = decode_version(raw)
            if found.sha256 != cited:
                self._add("A21", place, f"the document {cited}", found.sha256)
                return
            self._findings.examine("A25")
            if not self._check_keys(found, place):
                return
            self._check_chain(raw, found, previous, place)
        except Malformed as error:
            self._add("A22", place, "a registry signed by its operators, following its predecessor", str(error))
            return
        if found.version != version:
            self._add("A21", place, f"version {version}", f"version {found.version}")
            return
        self.in_force = found
        self.history.append(Accepted(entry.n, version, cited))
        for before, now in self.uses.take(found):
            self._add("A25", place, f"a key of one holder and one use: {before}", str(now))
        for node in found.nodes:
            origin = Identity(found.network, node.node, node.generation).origin
            self.log_keys.setdefault(origin, set()).update(map(b64_decode, node.log_keys))

    def _check_keys(self, found: Registry, place: str) -> bool:
        """A25: no key is weak or stands twice in the document."""
        try:
            check_keys(found)
        except Malformed as error:
            self._add("A25", place, "sound keys, each of one holder and one use", str(error))
            return False
        return True

    def _check_chain(self, raw: bytes, found: Registry, previous: Registry | None, place: str) -> None:
        if previous is None or previous.version + 1 != found.version:
            before = self._files.read(registry_path(found.version - 1), bytes_max=REGISTRY_BYTES_MAX)
            previous = None if before is None else decode_version(before)
        if previous is not None or found.version == 1:
            open_registry(raw, previous=previous)
        else:
            _check_alone(raw, found)
            if self.unpinned is not None:
                self._missing(place, found.version - 1)
        if previous is None and self.unpinned is None:
            self.unpinned = found.version

    def _missing(self, place: str, version: int) -> None:
        expected = f"the file {registry_path(version)}"
        self._add("A22", place, expected, "no such file: the keys cannot be judged", Verdict.NOT_PROVEN)

    def peer_changed(self, entry: e.PeerChanged) -> None:
        """A21, A32: the peer's keys and generation are the registry's, and no limit is above the network's."""
        data = entry.data
        place = f"entry {entry.n}, peer {data.peer}"
        if not self.cited:
            self._findings.examine("A21")
            self._add("A21", place, "a registry in force", "a peer's keys, and no registry accepted before")
            return
        if self.in_force is None:
            return
        self._findings.examine("A21", len(data.event_keys))
        registered = self.in_force.find(data.peer)
        if registered is None:
            if data.state == "closed" and not data.event_keys:
                return
            self._add("A21", place, f"a node of registry version {self.in_force.version}", "a node that is not in it")
            return
        if list(data.event_keys) != list(registered.event_keys) or data.generation != registered.generation:
            expected = f"{registered.generation} with event keys {', '.join(registered.event_keys)}"
            self._add("A21", place, expected, f"{data.generation} with {', '.join(data.event_keys)}")
        limit = self.in_force.pair_limit(self._town, data.peer)
        highest = max(data.owe_limit, data.owed_limit)
        if highest > limit:
            self._add("A32", place, f"a limit of at most {limit} minutes", f"{highest} minutes")

    def check_peer(self, entry: e.SegmentAcceptedEntry, peer: PeerState) -> None:
        """A21: the keys by which the journal took the segment are still those of the registry in force."""
        if self.in_force is None:
            return
        registered = self.in_force.find(peer.peer)
        keys = [b64encode(key).decode("ascii") for key in peer.event_keys]
        if registered is None or keys != list(registered.event_keys):
            expected = "the keys of the registry in force" if registered is None else ", ".join(registered.event_keys)
            self._add("A21", f"entry {entry.n}, segment from {peer.peer}", expected, ", ".join(keys))

    def other_use(self, envelope: bytes) -> str:
        """A24: what the keys are for that signed a segment, when one is known and signs no segments; else nothing."""
        opened = msgspec.json.decode(envelope, type=dsse.Envelope)
        uses = [self.uses.of_id(signature.keyid) for signature in opened.signatures]
        return next((str(use) for use in uses if use is not None and use.use != EVENT), "")

    def check_log_key(self, key: bytes) -> None:
        """A21: the checkpoint's key is the one that the registry in force gives this node for its log."""
        if self.in_force is None or not key:
            return
        self._findings.examine("A21")
        registered = self.in_force.find(self._town)
        keys = [] if registered is None else list(registered.log_keys)
        text = b64encode(key).decode("ascii")
        self._findings.examine("A24")
        use = self.uses.of(key)
        if use is not None and use.use != LOG:
            self._add("A24", "checkpoint", f"a log key of {self._town}", str(use))
            return
        if text not in keys:
            expected = f"a log key of {self._town} in registry version {self.in_force.version}: {', '.join(keys)}"
            self._add("A21", "checkpoint", expected, text)

    def _add(self, code: str, place: str, expected: str, found: str, verdict: Verdict | None = None) -> None:
        self._findings.add(code, town=self._town, place=place, expected=expected, found=found, verdict=verdict)


def decode_version(raw: bytes) -> Registry:
    """The registry in an envelope, its signatures not judged; raises `Malformed`."""
    payload = dsse.open_payload(raw, payload_type=PAYLOAD_TYPE)
    return canonical.decode(payload, _decoder, bytes_max=REGISTRY_BYTES_MAX)


def _check_alone(raw: bytes, found: Registry) -> None:
    """A version whose predecessor this node never held: its own operators must have signed it."""
    check_keys(found)
    keys = [b64_decode(key) for key in found.operators.keys]
    if len(dsse.signers(raw, keys)) < found.operators.k:
        raise Malformed(f"{found.operators.k} of its own operators must sign the registry.")
