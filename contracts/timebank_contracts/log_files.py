"""An exported town: every file of its log, made from its entries in one pass, the same bytes for the same entries.

    tile/entries/…, tile/<level>/…    the log (tlog-tiles)
    registry/<version>.json           the envelope of every registry version that the journal accepted
    vkey, checkpoint                  the log's verifier key and the signed checkpoint, last: a directory without one
                                      was not finished

Source: c2sp.org/tlog-tiles; design page 5, "Bundle"; PROTOCOL.md G7 to G9.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from timebank_contracts.checkpoint import Checkpoint, sign_checkpoint
from timebank_contracts.keys import SigningKey
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_contracts.names import Identity
from timebank_contracts.note import VerifierKey
from timebank_contracts.tiles import log_files


class LogFiles:
    """The tiles and bundles of a log. Iterate once, to the end; then `size` and `root` are known."""

    def __init__(self, entries: Iterable[bytes]) -> None:
        self._entries = entries
        self._tree = Tree()

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return log_files(self._counted())

    def _counted(self) -> Iterator[bytes]:
        for entry in self._entries:
            self._tree.append(leaf_hash(entry))
            yield entry

    @property
    def size(self) -> int:
        """Number of entries passed so far."""
        return self._tree.size

    @property
    def root(self) -> bytes:
        """Merkle root over them, 32 bytes."""
        return self._tree.root()


def registry_path(version: int) -> str:
    """Where the envelope of a registry version lies in an exported town."""
    return f"registry/{version}.json"


def town_files(
    identity: Identity, entries: Iterable[bytes], *, log_key: SigningKey, registries: Mapping[int, bytes]
) -> Iterator[tuple[str, bytes]]:
    """Every file of an exported town, as (path, content), with bounded memory.

    Args:
        identity: whose journal it is.
        entries: canonical bytes from position 0 on.
        log_key: signs the checkpoint.
        registries: envelope bytes by version, of every version accepted.
    """
    log = LogFiles(entries)
    yield from log
    for version in sorted(registries):
        yield registry_path(version), registries[version]
    yield "vkey", (VerifierKey(identity.origin, log_key.public).text + "\n").encode()
    yield "checkpoint", sign_checkpoint(Checkpoint(identity.origin, log.size, log.root), log_key)
