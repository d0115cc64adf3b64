"""A fork of the registry: two documents of one version, both signed as demanded, kept as evidence.

While the evidence lies in the registry folder the node neither takes nor sends anything between towns: which keys count
is not known. The town itself goes on. The operators say which document counts; then somebody moves the file away.
Source: design page 2, "Registry"; PROTOCOL.md R6.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from timebank_contracts.errors import Malformed
from timebank_contracts.registry import Registry
from timebank_kit.files import atomic_write


class Fork(Malformed):
    """Two documents of one version, both signed as demanded: the operators must say which one counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Both documents, with what anybody needs to check them: version and hashes of the payloads."""

    network: str
    version: int
    held_sha256: str
    rival_sha256: str
    held: bytes
    rival: bytes

    @property
    def sentence(self) -> str:
        """What an operator is told."""
        return (
            f"There are two signed documents of version {self.version} of {self.network}: {self.held_sha256} is held, "
            f"and {self.rival_sha256} was met; stop, and ask the operators."
        )

    def keep(self, folder: Path) -> Path:
        """Write the evidence beside the registry documents; the same fork gives the same file."""
        folder.mkdir(parents=True, exist_ok=True)
        name = sha256(f"{self.held_sha256}{self.rival_sha256}".encode()).hexdigest()[:16]
        path = folder / f"fork-{self.version}-{name}.json"
        said: dict[str, Any] = {
            "network": self.network,
            "version": self.version,
            "held_sha256": self.held_sha256,
            "rival_sha256": self.rival_sha256,
            "held": self.held.decode("ascii"),
            "rival": self.rival.decode("ascii"),
        }
        atomic_write(path, json.dumps(said, indent=2).encode("ascii") + b"\n")
        return path


def make_evidence(held: tuple[Registry, bytes], rival: tuple[Registry, bytes]) -> Evidence:
    """The evidence of two verified documents of one version, each with its envelope."""
    assert held[0].version == rival[0].version
    return Evidence(
        network=held[0].network,
        version=held[0].version,
        held_sha256=held[0].sha256,
        rival_sha256=rival[0].sha256,
        held=held[1],
        rival=rival[1],
    )


def evidence_in(folder: Path | None) -> Iterator[Path]:
    """The files of evidence in a registry folder."""
    if folder is not None:
        yield from sorted(folder.glob("fork-*.json"))
