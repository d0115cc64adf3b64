"""What `up` started, kept in a file that only its owner may read, so that `down` ends exactly that."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

STATE_FILE: Final = "state.json"


class LocalTrouble(Exception):
    """`up` or `down` cannot do what was asked; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that outlives `up`."""

    name: str
    pid: int
    command_holds: str
    """A text in its command line: process ids are used again."""
    signal: str
    """What asks it to end, such as SIGTERM."""

    def running(self) -> bool:
        """Whether the process of this id still is the one that was started."""
        try:
            command = Path(f"/proc/{self.pid}/cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            return False
        return self.command_holds in command


@dataclass(slots=True)
class State:
    """Everything that `down` has to know; written anew after each start, so that a crash in between leaves it true."""

    folder: Path
    processes: list[Process] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    """Folders elsewhere that `down` removes."""
    told: list[str] = field(default_factory=list)
    """The lines that tell a person what runs; empty while `up` is at work."""

    def started(self, process: Process) -> None:
        """Note a process that runs now."""
        self.processes.append(process)
        self.save()

    def save(self) -> None:
        """Write the file, mode 600."""
        said = {"processes": [asdict(each) for each in self.processes], "folders": self.folders, "told": self.told}
        beside = self.folder / f"{STATE_FILE}.new"
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(said, file, indent=2)
        beside.replace(self.folder / STATE_FILE)


def read_state(folder: Path) -> State | None:
    """The state in a folder, None when nothing was started there."""
    try:
        said = json.loads((folder / STATE_FILE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    return State(folder, [Process(**each) for each in said["processes"]], said["folders"], said["told"])
