"""`python -m deploy.local up|down`: see `up` and `down`. Exit status 1 with one sentence when it cannot be done."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from deploy.local.down import down
from deploy.local.state import LocalTrouble
from deploy.local.up import FIRST_PORT, up
from deploy.servers.errors import ServerMissing, ServerTrouble

FOLDER = Path("build/local")


def main(arguments: list[str]) -> int:
    """Do what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description="Two towns on this machine.")
    parser.add_argument("what", choices=("up", "down"))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for homes, logs and state")
    parser.add_argument("--first-port", type=int, default=FIRST_PORT, help="of the first town's ledger")
    asked = parser.parse_args(arguments)
    # A process is known by the path in its command line, so the path must not depend on where we stand.
    folder = Path(os.path.abspath(asked.folder))
    try:
        if asked.what == "up":
            up(folder, first_port=asked.first_port, tell=lambda line: print(line, flush=True))
        else:
            ended = down(folder)
            print(f"Ended: {', '.join(ended)}." if ended else "Nothing was running.")
    except (LocalTrouble, ServerMissing, ServerTrouble) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
