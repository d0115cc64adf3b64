"""The registry documents that this node holds: every version, verified, in a folder, served to anybody who asks.

Another process (`timebank node accept`, `timebank network publish`) may put a newer version into the folder; it is
found when it is next asked for. A fork, wherever it is met, is kept beside them and stops the node (`fork.py`).
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode
from timebank_contracts.registry import RegisteredNode, Registry, open_registry
from timebank_contracts.segments import Segment, is_signed_by
from timebank_federation.fork import Evidence, Fork, evidence_in, make_evidence
from timebank_kit.files import atomic_write

__all__ = ["Fork", "Registries"]

_log = logging.getLogger(__name__)


class Registries:
    """Versions 1 to n of the network's registry; any thread may ask.

    Args:
        folder: keeps `<version>.json`; None: in memory.
        pinned: SHA-256 of version 1's payload, obtained from the operators; None: version 1 is believed as found.

    Raises:
        Malformed: a kept version does not verify, or version 1 is not the pinned one.
    """

    def __init__(self, folder: Path | None, *, pinned: str | None = None) -> None:
        self._folder = folder
        self._pinned = pinned
        self._lock = threading.RLock()
        self._held: list[tuple[Registry, bytes]] = []
        self._bad: bytes | None = None
        self._evidence: Evidence | None = None
        while (found := self._next_kept()) is not None:
            self._held.append((self._verify(found), found))

    @property
    def latest(self) -> Registry | None:
        """The registry in force, None for none."""
        self._read_new()
        return self._last

    @property
    def version(self) -> int:
        """The latest version that was verified, 0 for none."""
        return len(self._held)

    @property
    def fork(self) -> str | None:
        """Why nothing may pass between towns: evidence of a fork is here. None: there is none."""
        if self._evidence is not None and self._folder is None:
            return self._evidence.sentence
        for path in evidence_in(self._folder):
            return (
                f"The registry has forked: {path.name} in the registry folder shows both documents. Ask the operators."
            )
        return None

    @property
    def chain(self) -> list[tuple[Registry, bytes]]:
        """Every version that is held, with its signed document, in order."""
        self._read_new()
        with self._lock:
            return list(self._held)

    @property
    def envelopes(self) -> dict[int, bytes]:
        """Every signed document that is held, by version."""
        self._read_new()
        with self._lock:
            return {version: envelope for version, (_, envelope) in enumerate(self._held, start=1)}

    def envelope(self, version: int) -> bytes | None:
        """The signed document of a version, or None."""
        return self._held[version - 1][1] if 0 < version <= len(self._held) else None

    def signer_of(self, segment: Segment) -> RegisteredNode | str:
        """The registered node that signed a segment; else `unknown_peer` or `unsigned`."""
        registry = self.latest
        peer = None if registry is None else registry.find(segment.statement.from_)
        if peer is None:
            return "unknown_peer"
        try:
            signed = is_signed_by(segment.envelope, tuple(b64_decode(key) for key in peer.event_keys))
        except Malformed:
            # Under the key's id there stands something that is no signature.
            return "unsigned"
        return peer if signed else "unsigned"

    def verify(self, envelope: bytes) -> Registry:
        """The registry in an envelope that follows what is held, or is held already; nothing is kept.

        Raises:
            Malformed: it is not the next version, or not signed as demanded.
            Fork: it is another document of a held version, signed as demanded.
        """
        with self._lock:
            self._read_new()
            return self._verify(envelope)

    def add(self, envelope: bytes) -> Registry:
        """Verify the next version and keep it; a version that is held already is answered as it is.

        Raises:
            Malformed: as `verify`, and nothing new while there is a fork.
            Fork: as `verify`; the evidence is kept.
        """
        with self._lock:
            if self._held and envelope == self._held[-1][1]:
                return self._held[-1][0]
            registry = self.verify(envelope)
            if registry.version > len(self._held):
                if (why := self.fork) is not None:
                    raise Malformed(why)
                if self._folder is not None:
                    self._folder.mkdir(parents=True, exist_ok=True)
                    atomic_write(self._folder / f"{registry.version}.json", envelope)
                self._held.append((registry, envelope))
            return registry

    @property
    def _last(self) -> Registry | None:
        return self._held[-1][0] if self._held else None

    def _next_kept(self) -> bytes | None:
        if self._folder is None:
            return None
        path = self._folder / f"{len(self._held) + 1}.json"
        return path.read_bytes() if path.exists() else None

    def _read_new(self) -> None:
        """Take what another process put into the folder; a document that does not verify changes nothing."""
        with self._lock:
            while (found := self._next_kept()) is not None and found != self._bad:
                try:
                    self._held.append((self._verify(found), found))
                except Malformed as error:
                    self._bad = found
                    _log.error("registry in the folder refused", extra={"reason": str(error)})

    def _verify(self, envelope: bytes) -> Registry:
        try:
            registry = open_registry(envelope, previous=self._last)
        except Malformed:
            return self._held_already(envelope)
        if not self._held and self._pinned is not None and registry.sha256 != self._pinned:
            raise Malformed("Version 1 of the registry is not the one whose hash was pinned; ask the operators.")
        return registry

    def _held_already(self, envelope: bytes) -> Registry:
        """The held registry that an envelope repeats. Raises `Fork` for its rival; else what is wrong with it."""
        before: Registry | None = None
        for held, kept in self._held:
            try:
                rival = open_registry(envelope, previous=before)
            except Malformed:
                before = held
                continue
            if rival.sha256 == held.sha256:
                return held
            self._evidence = make_evidence((held, kept), (rival, envelope))
            if self._folder is not None:
                self._evidence.keep(self._folder)
            raise Fork(self._evidence.sentence)
        return open_registry(envelope, previous=self._last)
