"""Files that matter: secrets that nobody else may read, and small files that are replaced whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

SECRET_BYTES_MAX = 65_536


class UnsafeFile(Exception):
    """A secret file that others can read, or that is not a plain file; the text says what to change."""


def read_secret(path: Path) -> bytes:
    """The content of a secret file.

    Raises:
        UnsafeFile: missing, not a plain file, too large, or readable by group or others.
    """
    try:
        status = path.lstat()
    except OSError as error:
        raise UnsafeFile(f"The key file {path} cannot be read; make it with `timebank node init`.") from error
    if not stat.S_ISREG(status.st_mode) or status.st_size > SECRET_BYTES_MAX:
        raise UnsafeFile(f"The key file {path} is not a small plain file.")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UnsafeFile(f"The key file {path} can be read by others; run: chmod 600 {path}")
    return path.read_bytes()


def write_secret(path: Path, content: bytes) -> None:
    """Make a secret file with mode 600; an existing one is never overwritten (raises FileExistsError)."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def atomic_write(path: Path, content: bytes) -> None:
    """Replace a file whole and durably: write beside it, sync, rename, sync the folder."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
