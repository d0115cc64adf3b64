"""End what `up` started, and remove what it wrote; works after a crash and after a restart of the machine too."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from deploy.local.state import LocalTrouble, read_state
from deploy.servers.child import end_detached

PATIENCE_SECONDS = 20.0


def down(folder: Path) -> list[str]:
    """End the processes, the last one first, and remove the folders.

    Args:
        folder: as given to `up`.

    Returns:
        The names of those that were running.

    Raises:
        LocalTrouble: a process cannot be ended; its state is kept, so that `down` can be tried again.
    """
    state = read_state(folder)
    if state is None:
        return []
    ended = []
    for process in reversed(state.processes):
        if end_detached(
            process.pid,
            command_holds=process.command_holds,
            first=signal.Signals[process.signal],
            patience_seconds=PATIENCE_SECONDS,
        ):
            ended.append(process.name)
        if process.running():
            raise LocalTrouble(f"{process.name} (process {process.pid}) does not end; end it and try again.")
    for extra in state.folders:
        shutil.rmtree(extra, ignore_errors=True)
    shutil.rmtree(folder)
    return ended
