"""A clock that a scenario sets under a running process: Debian's libfaketime, preloaded. The monotonic clock stays."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.run import Skipped

PLACES = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime")
LIBRARY = "libfaketimeMT.so.1"


class Clock:
    """The file in which processes look up what day it is; right until it is set."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set_days(0)

    def set_days(self, days: int) -> None:
        """Let the clock stand so many days ahead; negative: behind."""
        beside = self.file.with_suffix(".new")
        beside.write_text(f"{days:+d}d\n", "ascii")
        beside.replace(self.file)


def preloaded(clock: Clock | None) -> dict[str, str]:
    """The variables under which a process goes by a clock. Raises: Skipped without libfaketime."""
    found = [path for place in PLACES for path in sorted(Path("/").glob(f"{place[1:]}/{LIBRARY}"))]
    if not found:
        raise Skipped("no libfaketime here: on Debian, apt-get install libfaketime")
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": "" if clock is None else str(clock.file),
        # Looked up once a second: at every call it would slow the process down.
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_RESET": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
