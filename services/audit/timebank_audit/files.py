"""The files of an exported town, read as if an enemy had made them.

No symbolic link is followed, only regular files are opened, and a size is compared with its bound before reading.
The paths are ours (tiles, registry versions); no name found in the export is ever joined to a path.
"""

from __future__ import annotations

import errno
import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import Final

from timebank_contracts.errors import Malformed

TOWNS_MAX: Final = 1_000
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class TownFiles:
    """One exported town. `digest` is over every file read, by path, in the order of reading."""

    def __init__(self, root: Path) -> None:
        self.root = root
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
        try:
            descriptor = self._open(path)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise Malformed(f"{self._name(path)} cannot be read without following a link: {error.strerror}.") from error
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise Malformed(f"{self._name(path)} is not a regular file.")
            if found.st_size > bytes_max:
                raise Malformed(f"{self._name(path)} has {found.st_size} bytes; at most {bytes_max} can be there.")
            return _read(descriptor, found.st_size)
        finally:
            os.close(descriptor)

    def _open(self, path: str) -> int:
        *folders, name = path.split("/")
        assert not {"", ".", ".."}.intersection([*folders, name]), "paths are made by this program"
        at = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for folder in folders:
                below = os.open(folder, _DIRECTORY, dir_fd=at)
                os.close(at)
                at = below
            return os.open(name, _FILE, dir_fd=at)
        finally:
            os.close(at)

    def _name(self, path: str) -> str:
        return f"{show_path(self.root)}/{path}"


def _read(descriptor: int, size: int) -> bytes:
    raw = os.read(descriptor, size + 1)
    if len(raw) != size:
        raise Malformed("A file changed while it was read, or is too large for one read; copy the export first.")
    return raw


def show_path(path: Path) -> str:
    """A path that is safe to print: what is not plain ASCII is escaped."""
    return ascii(str(path))[1:-1]


def find_towns(directories: list[Path]) -> list[Path]:
    """The exported towns among and directly below these directories, in order of name.

    Raises:
        Malformed: a directory that is not one, or holds no town; or too many towns.
    """
    towns: list[Path] = []
    for directory in directories:
        if not directory.is_dir():
            raise Malformed(f"{show_path(directory)} is not a directory.")
        found = [directory] if _is_town(directory) else _towns_below(directory)
        if not found:
            raise Malformed(
                f"{show_path(directory)} holds no exported town: a town's directory has a file named checkpoint."
            )
        towns += found
    if len(towns) > TOWNS_MAX:
        raise Malformed(f"At most {TOWNS_MAX} towns are audited together; these are {len(towns)}.")
    return towns


def _towns_below(directory: Path) -> list[Path]:
    with os.scandir(directory) as found:
        below = sorted(entry.name for entry in found if entry.is_dir(follow_symlinks=False))
    return [directory / name for name in below if _is_town(directory / name)]


def _is_town(directory: Path) -> bool:
    return os.path.lexists(directory / "checkpoint")
