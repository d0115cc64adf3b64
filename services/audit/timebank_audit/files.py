"""The files of an exported town, and the digest over those that were read.

The paths are ours (tiles, registry versions), or plain names of a folder whose content is judged and never believed.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final

from timebank_audit.stores import Folder, Store, open_store, show_path
from timebank_contracts.errors import Malformed

TOWNS_MAX: Final = 1_000
MANIFEST: Final = "manifest.json"


class TownFiles:
    """One exported town. `digest` is over every file read, by path, in the order of reading."""

    def __init__(self, store: Store | Path) -> None:
        self.store: Store = Folder(store) if isinstance(store, Path) else store
        self._digest = sha256()
        self.files_read = 0

    @property
    def digest(self) -> str:
        """Hex SHA-256 of what was counted: each path, length and content."""
        return self._digest.hexdigest()

    def read(self, path: str, *, bytes_max: int) -> bytes | None:
        """The content of a file, or None when there is none; raises `Malformed` for anything but a bounded file."""
        raw = self.peek(path, bytes_max=bytes_max)
        if raw is not None:
            self.count(path, raw)
        return raw

    def count(self, path: str, content: bytes) -> None:
        """Take a file into the digest: by its content, or by the leaf hashes of its entries, which say as much."""
        self._digest.update(b"%s\0%d\0" % (path.encode("ascii"), len(content)))
        self._digest.update(content)
        self.files_read += 1

    def peek(self, path: str, *, bytes_max: int) -> bytes | None:
        """As `read`, for what is not to be counted in the digest, or not again."""
        return self.store.read(path, bytes_max=bytes_max)

    def names(self, folder: str) -> list[str]:
        """What lies in a folder of the town, in order."""
        return self.store.names(folder)


def find_towns(paths: list[Path]) -> tuple[list[TownFiles], list[Store]]:
    """The exported towns among and directly below these paths, in order of name; and every bundle among the paths.

    Raises:
        Malformed: a path that is no directory and no archive, or holds no town; or too many towns.
    """
    towns: list[TownFiles] = []
    bundles: list[Store] = []
    for path in paths:
        store = open_store(path)
        found = [store] if store.has("checkpoint") else [part for part in store.parts() if part.has("checkpoint")]
        if store.has(MANIFEST):
            bundles.append(store)
        elif not found:
            raise Malformed(
                f"{show_path(path)} holds no exported town: a town's directory has a file named checkpoint."
            )
        towns += map(TownFiles, found)
    if len(towns) > TOWNS_MAX:
        raise Malformed(f"At most {TOWNS_MAX} towns are audited together; these are {len(towns)}.")
    return towns, bundles
