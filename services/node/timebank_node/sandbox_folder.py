"""A sandbox's folder: what marks it, who holds it, and what may be deleted.

sandbox/
  SANDBOX            the mark: without it nothing here is deleted
  hafod/ glanmor/    the homes of the two towns
  partner.json       the partner's credentials and accounts; written last, so that it says the rest is whole
  partner.env        the same for a shell
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from timebank_contracts.errors import Malformed
from timebank_kit.files import atomic_write, write_secret

NETWORK: Final = "sandbox.timebank.test"
TOWN: Final = "hafod"
NEIGHBOUR: Final = "glanmor"
MARK: Final = "SANDBOX"
PARTNER: Final = "partner.json"
PARTNER_SHELL: Final = "partner.env"
_MARK_TEXT: Final = f"A timebank sandbox ({NETWORK}), form 1. `timebank sandbox reset` deletes it.\n".encode("ascii")
_OWN: Final = frozenset({MARK, TOWN, NEIGHBOUR, PARTNER, PARTNER_SHELL})


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Be the only one who uses this sandbox; an empty or missing folder becomes one.

    Raises:
        Malformed: the folder holds something else, a sandbox of another form, or one that is running.
    """
    if not folder.is_symlink() and not (folder.is_dir() and any(folder.iterdir())):
        folder.mkdir(parents=True, exist_ok=True)
        # Balances and secrets lie here, although none is worth anything.
        folder.chmod(0o700)
        atomic_write(folder / MARK, _MARK_TEXT)
    with _locked(folder):
        yield


def delete(folder: Path) -> bool:
    """Delete a sandbox that does not run; returns whether there was one.

    Raises:
        Malformed: it runs, or the folder is no sandbox, or holds what a sandbox did not make.
    """
    if not folder.exists() and not folder.is_symlink():
        return False
    with _locked(folder):
        clear(folder)
        (folder / MARK).unlink()
    folder.rmdir()
    return True


def clear(folder: Path) -> None:
    """Delete everything in a sandbox that is held but its mark; raises `Malformed` where something else lies there."""
    other = sorted(path.name for path in folder.iterdir() if path.name.removesuffix(".new") not in _OWN)
    if other:
        raise Malformed(f"{folder} also holds {', '.join(other[:5])}, which the sandbox did not make; move it away.")
    for name in sorted(_OWN - {MARK}):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def read_partner(folder: Path) -> dict[str, Any] | None:
    """What `write_partner` kept; None where the sandbox was not made to its end."""
    try:
        said = json.loads((folder / PARTNER).read_bytes())
    except FileNotFoundError:
        return None
    assert isinstance(said, dict)
    return said


def write_partner(folder: Path, partner: dict[str, Any], shell: str) -> None:
    """Keep the partner's credentials, readable to the sandbox's owner alone."""
    for name, text in ((PARTNER_SHELL, shell), (PARTNER, json.dumps(partner, indent=2) + "\n")):
        beside = folder / f"{name}.new"
        beside.unlink(missing_ok=True)
        write_secret(beside, text.encode("utf-8"))
        beside.replace(folder / name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    _check_mark(folder)
    handle = os.open(folder / MARK, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Malformed(f"The sandbox in {folder} is running; end it first with Ctrl-C.") from error
    else:
        yield
    finally:
        os.close(handle)


def _check_mark(folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir():
        raise Malformed(f"{folder} is not a folder; name another with --folder.")
    try:
        mark = (folder / MARK).read_bytes()
    except OSError as error:
        raise Malformed(f"{folder} is not empty and no sandbox; nothing was changed. Name another folder.") from error
    if mark != _MARK_TEXT:
        raise Malformed(f"{folder} holds a sandbox of another version; delete it yourself, then start again.")
