"""The head file: the greatest size and root that this node published, kept beside its keys and outside the database.

A journal that is shorter, or has another root there, was rolled back: the node refuses to write.
Source: design page 2, "Rollback and generations".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from timebank_contracts.errors import Malformed
from timebank_kit.files import atomic_write
from timebank_kit.journal import JournalTrouble

_CONTENT = re.compile(rb"([0-9]{1,16}) ([0-9a-f]{64})\n")


WAYS_OUT: Final = (
    "Restore the newer journal: a mirror has it whole (timebank restore); if nobody has it, let the network's "
    "operators open a new generation."
)
"""What is told to the operator of a node that was rolled back."""


class JournalBehindHead(Exception):
    """The journal holds less, or something else, than was published before."""


class HeadNotWritten(JournalTrouble):
    """The head file cannot be written; the text says why."""


class HeadFile:
    """Size and root in a file; `path` None keeps them in memory (tests, and journals that end with the process)."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.size, self.root = 0, ""
        if path is not None and path.exists():
            found = _CONTENT.fullmatch(path.read_bytes())
            if found is None:
                raise Malformed(f"The head file {path.name} is damaged; restore it from the backup of the keys.")
            self.size, self.root = int(found[1]), found[2].decode("ascii")

    def check(self, size: int, root: str | None) -> None:
        """Raise `JournalBehindHead` unless a journal of `size` entries continues what was published.

        `root`: of the journal's first entries, as many as were published, in hex; unused when nothing was.
        """
        if size < self.size:
            raise JournalBehindHead(
                f"The journal has {size} entries, and {self.size} were published. It was rolled back. {WAYS_OUT}"
            )
        if self.size and root != self.root:
            raise JournalBehindHead(
                f"The journal's first {self.size} entries are not those that were published. {WAYS_OUT}"
            )

    def remember(self, size: int, root: bytes) -> None:
        """Note that this size and root are about to be published; durable on return.

        Raises:
            HeadNotWritten: the disk does not take it; nothing may be published that is not noted.
        """
        if size < self.size:
            return
        if self.path is not None:
            try:
                atomic_write(self.path, f"{size} {root.hex()}\n".encode("ascii"))
            except OSError as error:
                text = f"The head file {self.path.name} cannot be written ({error.strerror})"
                raise HeadNotWritten(f"{text}: make room on its disk, and let the node write there.") from error
        self.size, self.root = size, root.hex()
