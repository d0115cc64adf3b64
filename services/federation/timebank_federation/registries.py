"""The registry documents that this node holds: every version, verified, in a folder, served to anybody who asks."""

from __future__ import annotations

from pathlib import Path

from timebank_contracts.errors import Malformed
from timebank_contracts.registry import Registry, open_registry
from timebank_kit.files import atomic_write


class Registries:
    """Versions 1 to n of the network's registry.

    Args:
        folder: keeps `<version>.json`; None: in memory.
        pinned: SHA-256 of version 1's payload, obtained from the operators; None: version 1 is believed as found.

    Raises:
        Malformed: a kept version does not verify, or version 1 is not the pinned one.
    """

    def __init__(self, folder: Path | None, *, pinned: str | None = None) -> None:
        self._folder = folder
        self._pinned = pinned
        self._envelopes: list[bytes] = []
        self._latest: Registry | None = None
        self._read_new()

    @property
    def latest(self) -> Registry | None:
        """The registry in force, None for none; another process may have put a newer one into the folder."""
        self._read_new()
        return self._latest

    def _read_new(self) -> None:
        while self._folder is not None and (path := self._folder / f"{self.version + 1}.json").exists():
            self._take(path.read_bytes())

    def add(self, envelope: bytes) -> Registry:
        """Verify the next version and keep it; a version that is held already is answered as it is.

        Raises:
            Malformed: it is not the next version, or another document of a held one (a fork).
        """
        if envelope in self._envelopes:
            assert self._latest is not None
            return self._latest
        registry = self._take(envelope)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            atomic_write(self._folder / f"{registry.version}.json", envelope)
        return registry

    def _take(self, envelope: bytes) -> Registry:
        registry = open_registry(envelope, previous=self._latest)
        if self._latest is None and self._pinned is not None and registry.sha256 != self._pinned:
            raise Malformed("Version 1 of the registry is not the one whose hash was pinned; ask the operators.")
        self._envelopes.append(envelope)
        self._latest = registry
        return registry

    @property
    def version(self) -> int:
        """The latest version, 0 for none."""
        return len(self._envelopes)

    @property
    def envelopes(self) -> dict[int, bytes]:
        """Every signed document that is held, by version."""
        self._read_new()
        return dict(enumerate(self._envelopes, start=1))

    def envelope(self, version: int) -> bytes | None:
        """The signed document of a version, or None."""
        return self._envelopes[version - 1] if 0 < version <= len(self._envelopes) else None
