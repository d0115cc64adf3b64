"""What the clients saw: one file for a scenario, a line for each attempt; and what a command's attempts amount to.

ok       201: it is there, once, under this transfer
fail     refused, or "nothing was written": it is not there
unknown  no answer, or "nobody knows": it is there at most once
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Outcome = Literal["ok", "fail", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One call and what came of it."""

    town: str
    """Where it was sent."""
    peer: str
    key: str
    """The entry's key in the journal, a hash of the client's."""
    outcome: Outcome
    said: str
    """The transfer of an `ok`; else the code of the problem, or the name of the error."""


class History:
    """Appends attempts to a file; any thread may."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._written = file.open("w", encoding="utf-8")

    def add(self, attempt: Attempt) -> None:
        """Write one attempt, after its end."""
        with self._lock:
            self._written.write(json.dumps(asdict(attempt)) + "\n")

    def close(self) -> None:
        """Nothing more is written."""
        with self._lock:
            self._written.close()


def read_history(file: Path) -> list[Attempt]:
    """The attempts of a file, in the order in which they ended."""
    return [Attempt(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]


def amount_to(attempts: Iterable[Attempt]) -> Outcome:
    """What is known of a command after all its attempts."""
    seen = {attempt.outcome for attempt in attempts}
    return "ok" if "ok" in seen else "unknown" if "unknown" in seen else "fail"
