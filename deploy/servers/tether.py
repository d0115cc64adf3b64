"""Run one command as a given user, and let it die with the process that started it.

Run by path (`python -I -S tether.py PARENT UID GID SIGNAL COMMAND…`), so that it imports nothing of ours.
The order matters: Linux forgets the parent-death signal when a process changes its user, so the user
changes first; and a parent that died before we asked is noticed by asking who our parent is.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
KEEP = -1


def main(arguments: list[str]) -> None:
    """Become the command; `-1` as UID keeps the user, `0` as SIGNAL lets the command outlive its parent."""
    parent, uid, gid, death_signal = (int(argument) for argument in arguments[:4])
    command = arguments[4:]
    if uid != KEEP:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if death_signal and sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(f"{command[0]} was not started: its parent had gone")
    os.execvp(command[0], command)  # noqa: S606  (without a shell is the point)


if __name__ == "__main__":
    main(sys.argv[1:])
