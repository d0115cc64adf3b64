"""The garbage collector of a process that serves: what was made at its start is never looked through again.

Python looks through every object that lives, now and then, for circles that nothing reaches. In a process that holds
its modules and a book this takes tens of milliseconds, in which no request is answered; and what our requests leave
behind is freed without it. Nothing is switched off: circles among new objects are still found.
"""

from __future__ import annotations

import gc
from typing import Final

NEW_OBJECTS: Final = 20_000
"""New objects between two collections of the youngest (Python's own: 700): a whole batch of commands, and no more."""


def spare_what_stands() -> None:
    """Leave all that exists now out of collections from now on; call it once, when the process is ready."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
