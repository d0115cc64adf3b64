"""Files that matter: secrets that nobody else may read, and small files that are replaced whole."""

from __future__ import annotations

import os
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

SECRET_BYTES_MAX = 65_536
_ACCESS_LIST_VERSION: Final = b"\x02\0\0\0"
_OWNER: Final = 0x01
_USER: Final = 0x02
_MASK: Final = 0x10
"""Tags of an access list (acl(5)): who owns the file, a named user, and the most that named users get."""


class UnsafeFile(Exception):
    """A secret file that others can read, that is missing, or is not a plain file; the text says what to change."""


def read_secret(path: Path) -> bytes:
    """The content of a secret file. A symbolic link is followed, and what it points to is judged.

    Raises:
        UnsafeFile: missing, not a plain file, larger than 64 KiB, or open to group or others.
    """
    try:
        # Without O_NONBLOCK a named pipe in the file's place would hold the start up for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnsafeFile(
            f"The secret file {path} cannot be read: {error.strerror}. Make it, or correct its path."
        ) from error
    try:
        # The open file is judged, not its name: the name may point elsewhere a moment later.
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > SECRET_BYTES_MAX:
            raise UnsafeFile(f"The secret file {path} is not a plain file of at most {SECRET_BYTES_MAX} bytes.")
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) and not _lent_to_us_alone(handle, status):
            raise UnsafeFile(f"The secret file {path} is open to others; run: chmod 600 {path}")
        return os.read(handle, SECRET_BYTES_MAX)
    finally:
        os.close(handle)


def _lent_to_us_alone(handle: int, status: os.stat_result) -> bool:
    """Whether the group's bits only show an access list that lets root and our user read: systemd lends secrets so."""
    if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO):
        return False
    try:
        listed = os.getxattr(handle, "system.posix_acl_access")
    except OSError:
        return False
    return access_list_is_ours(listed, user=os.geteuid())


def access_list_is_ours(listed: bytes, *, user: int) -> bool:
    """Whether an access list gives nothing to anybody but the file's owner and one user.

    Args:
        listed: as Linux keeps it: version 2, then (tag, permissions, id) each in little endian.
        user: the one who may be named.
    """
    if len(listed) < 4 or (len(listed) - 4) % 8 or listed[:4] != _ACCESS_LIST_VERSION:
        return False
    for tag, permissions, named in struct.iter_unpack("<HHI", listed[4:]):
        if tag in (_OWNER, _MASK) or (tag == _USER and named == user):
            continue
        if permissions:
            return False
    return True


def write_secret(path: Path, content: bytes) -> None:
    """Make a secret file with mode 600, durable on return; an existing one is never overwritten.

    Raises:
        FileExistsError: the file is there already.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    _write_and_sync(handle, content)
    _sync_folder(path.parent)


def atomic_write(path: Path, content: bytes) -> None:
    """Replace a file whole and durably: write beside it, sync, rename, sync the folder.

    One process replaces a file at a time. A crash leaves the old content or the new, and at most a `.new` beside it,
    which the next replacement overwrites. A failure leaves the old content and nothing beside it: on a full disk the
    rest of a large file would keep the room that others need.
    """
    beside = path.with_name(path.name + ".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        _write_and_sync(handle, content)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
    _sync_folder(path.parent)


def _write_and_sync(handle: int, content: bytes) -> None:
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """A rename or a new name is durable only when its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
