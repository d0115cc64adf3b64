"""Where exported files lie: a folder, or one tar archive. Both are read as if an enemy had made them.

No symbolic link is followed, only regular files are opened, and a size is compared with its bound before reading. An
archive is never unpacked: it is read in place, by an index of strict headers, and nothing is written anywhere.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from timebank_contracts.errors import Malformed

MEMBERS_MAX: Final = 400_000
"""Files of an archive: enough for 50 million entries."""
NAMES_MAX: Final = 10_000
"""Names that are listed of one folder."""
BLOCK_BYTES: Final = 512
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}", re.ASCII)
_OCTAL: Final = re.compile(rb"[0-7]{11}\0")
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class Store(Protocol):
    """Files by path. `name` is safe to print."""

    @property
    def name(self) -> str: ...

    def read(self, path: str, *, bytes_max: int) -> bytes | None:
        """The content of a file, or None when there is none; raises `Malformed` for anything but a bounded file."""

    def names(self, path: str) -> list[str]:
        """What lies in a folder, in order, if it is there; raises `Malformed` for a name that is not plain."""

    def has(self, path: str) -> bool:
        """Whether anything has this path."""

    def parts(self) -> list[Store]:
        """The folders directly below, in order of name, each as a store of its own."""


class Folder:
    """A folder on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def name(self) -> str:
        return show_path(self.root)

    def has(self, path: str) -> bool:
        return os.path.lexists(self.root / path)

    def parts(self) -> list[Store]:
        with os.scandir(self.root) as found:
            below = sorted(entry.name for entry in found if entry.is_dir(follow_symlinks=False))
        return [Folder(self.root / name) for name in below]

    def read(self, path: str, *, bytes_max: int) -> bytes | None:
        try:
            descriptor = self._open(path, _FILE)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise Malformed(f"{self._at(path)} cannot be read without following a link: {error.strerror}.") from error
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise Malformed(f"{self._at(path)} is not a regular file.")
            if found.st_size > bytes_max:
                raise Malformed(f"{self._at(path)} has {found.st_size} bytes; at most {bytes_max} can be there.")
            return _read_whole(descriptor, 0, found.st_size, more=1)
        finally:
            os.close(descriptor)

    def names(self, path: str) -> list[str]:
        try:
            descriptor = self._open(path, _DIRECTORY)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return []
            raise Malformed(f"{self._at(path)} is not a folder that can be read: {error.strerror}.") from error
        try:
            with os.scandir(descriptor) as entries:
                return _plain((entry.name for entry in entries), self._at(path))
        finally:
            os.close(descriptor)

    def _open(self, path: str, how: int) -> int:
        check_path(path)
        *folders, name = path.split("/")
        at = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for folder in folders:
                below = os.open(folder, _DIRECTORY, dir_fd=at)
                os.close(at)
                at = below
            return os.open(name, how, dir_fd=at)
        finally:
            os.close(at)

    def _at(self, path: str) -> str:
        return f"{self.name}/{path}"


class Archive:
    """An uncompressed tar archive of plain files in order of path, as `audit export` writes it; or one folder of it."""

    def __init__(self, file: Path, *, within: str = "", index: dict[str, tuple[int, int]] | None = None) -> None:
        self.file = file
        self._within = within
        self._index = _index_of(file) if index is None else index
        self._paths = list(self._index)

    @property
    def name(self) -> str:
        return show_path(self.file) + (f"/{self._within.rstrip('/')}" if self._within else "")

    def has(self, path: str) -> bool:
        return self._within + path in self._index

    def parts(self) -> list[Store]:
        return [Archive(self.file, within=f"{self._within}{name}/", index=self._index) for name in self.names("")]

    def read(self, path: str, *, bytes_max: int) -> bytes | None:
        check_path(path)
        found = self._index.get(self._within + path)
        if found is None:
            return None
        start, size = found
        if size > bytes_max:
            raise Malformed(f"{self.name}/{path} has {size} bytes; at most {bytes_max} can be there.")
        descriptor = _open_archive(self.file)
        try:
            return _read_whole(descriptor, start, size)
        finally:
            os.close(descriptor)

    def names(self, path: str) -> list[str]:
        start = f"{self._within}{path}/" if path else self._within
        found: set[str] = set()
        for at in range(bisect_left(self._paths, start), len(self._paths)):
            if not self._paths[at].startswith(start):
                break
            found.add(self._paths[at][len(start) :].partition("/")[0])
        return _plain(found, f"{self.name}/{path}")


def open_store(path: Path) -> Store:
    """A folder or an archive; raises `Malformed` for anything else."""
    if path.is_dir():
        return Folder(path)
    if path.is_file():
        return Archive(path)
    raise Malformed(f"{show_path(path)} is neither a directory nor a bundle.")


def check_path(path: str) -> None:
    """A path of a few plain names, none of which leads upwards; raises `Malformed`."""
    names = path.split("/")
    if not 1 <= len(names) <= 9 or not all(_NAME.fullmatch(name) for name in names):
        raise Malformed(f"{path[:60]!a} is not the path of a file of an export.")


def show_path(path: Path) -> str:
    """A path that is safe to print: what is not plain ASCII is escaped."""
    return ascii(str(path))[1:-1]


def _plain(names: Iterable[str], where: str) -> list[str]:
    found: list[str] = []
    for name in names:
        if not _NAME.fullmatch(name):
            raise Malformed(f"{where} holds a file with a name that no export has: {name[:60]!a}.")
        found.append(name)
        if len(found) > NAMES_MAX:
            raise Malformed(f"{where} holds more than {NAMES_MAX} files.")
    return sorted(found)


def _read_whole(descriptor: int, start: int, size: int, *, more: int = 0) -> bytes:
    raw = os.pread(descriptor, size + more, start)
    if len(raw) != size:
        raise Malformed("A file changed while it was read, or is too large for one read; copy the export first.")
    return raw


def _open_archive(file: Path) -> int:
    try:
        descriptor = os.open(file, _FILE)
    except OSError as error:
        raise Malformed(f"{show_path(file)} cannot be read without following a link: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Malformed(f"{show_path(file)} is not a regular file.")
    return descriptor


def _index_of(file: Path) -> dict[str, tuple[int, int]]:
    """Where each file of an archive begins, and its size; raises `Malformed` for any header we would not write."""
    index: dict[str, tuple[int, int]] = {}
    descriptor = _open_archive(file)
    try:
        end = os.fstat(descriptor).st_size
        at, last = 0, ""
        while at + BLOCK_BYTES <= end:
            header = os.pread(descriptor, BLOCK_BYTES, at)
            if len(header) != BLOCK_BYTES:
                break
            if not header.strip(b"\0"):
                return index
            path, size = _read_header(header, file)
            at += BLOCK_BYTES
            if path <= last or at + size > end or len(index) == MEMBERS_MAX:
                raise Malformed(f"{show_path(file)}: {path!a} is out of order, cut off, or one too many.")
            index[path] = (at, size)
            last = path
            at += -(-size // BLOCK_BYTES) * BLOCK_BYTES
    finally:
        os.close(descriptor)
    raise Malformed(f"{show_path(file)} is no whole tar archive: its end is missing.")


def _read_header(header: bytes, file: Path) -> tuple[str, int]:
    said = header[148:156]
    summed = sum(header) - sum(said) + 8 * 32
    size = header[124:136]
    sound = (
        header[257:265] == b"ustar\x0000"
        and header[156:157] == b"0"
        and _OCTAL.fullmatch(size)
        and said == b"%06o\0 " % summed
    )
    if not sound:
        raise Malformed(f"{show_path(file)} is not a tar archive of plain files; a bundle holds nothing else.")
    name, prefix = (part.partition(b"\0")[0] for part in (header[:100], header[345:500]))
    path = (prefix + b"/" + name if prefix else name).decode("ascii", errors="replace")
    check_path(path)
    return path, int(size[:11], 8)
