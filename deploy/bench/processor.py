"""Processor time and memory: what each process, and each kind of thread in a node, used.

A rate depends on what else the machine does; the time that a processor worked for one transfer hardly does. Linux keeps
both in /proc: of a process in clock ticks (10 ms), with those of its children that have ended.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

from deploy.servers.child import children_of

PROCESS: Final = "process"
"""The name under which `by_thread` tells the whole process."""
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_NUMBER: Final = re.compile(r"[-_ (]*\d.*$")


def by_thread() -> dict[str, float]:
    """Seconds that this process used so far: in all (`PROCESS`), and by the name of its threads, without numbers.

    What threads used that have ended is in the whole alone.
    """
    found: dict[str, float] = defaultdict(float)
    for thread in threading.enumerate():
        if thread.native_id is not None:
            found[_NUMBER.sub("", thread.name)] += _ticks(Path(f"/proc/self/task/{thread.native_id}/stat"))[0]
    return {**found, PROCESS: time.process_time()}


def of_process(pid: int) -> float:
    """Seconds that a process and those that it started, living or ended, used so far."""
    return sum(_ticks(Path(f"/proc/{pid}/stat"))) + sum(map(of_process, children_of(pid)))


def resident_mb(pid: int) -> float:
    """What a process holds of the memory now, in megabytes of 1,048,576 bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * _PAGE_BYTES / 1_048_576


def _ticks(stat: Path) -> tuple[float, float]:
    """Seconds of the task itself, and of its ended children; 0 of one that has ended."""
    try:
        # The name in brackets may hold spaces and brackets.
        fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return 0.0, 0.0
    user, system, children_user, children_system = map(int, fields[11:15])
    return (user + system) / _TICKS, (children_user + children_system) / _TICKS
