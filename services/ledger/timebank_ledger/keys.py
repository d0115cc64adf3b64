"""Keys that come again: what the keys of a batch wrote before it, looked for where there may be something.

    keys ── new, as nearly all are ──▶ perform ──▶ append ── the journal has none of them ──▶ written
     │ some came again lately:           │ some wrote nothing:    │ it has one (`KeyTaken`):
     └ look for all first                └ look for those         └ look for all, and perform once more

The journal refuses a key that it has, whoever asks; so new keys are not looked up one by one before each commit, which
would cost more than the insert. A command that would write nothing has no such guard: its key is always looked for.
Source: design page 3, "Idempotency".
"""

from __future__ import annotations

from collections.abc import Sequence

from timebank_contracts import entries as e
from timebank_kit.commit_loop import Unwritten
from timebank_kit.journal import Journal, JournalTrouble
from timebank_ledger import commands as c
from timebank_ledger.trial import Trial


class Keys:
    """Finds what keys wrote; the writer's thread alone uses it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._came_again = True
        """The last look found something, or there was none yet: whoever lost an answer asks for it after a start."""

    def before(self, asked: Sequence[str]) -> dict[str, e.Entry]:
        """What these keys wrote, if keys came again lately; else nothing, and the journal refuses them."""
        return self.look(asked) if self._came_again else {}

    def look(self, asked: Sequence[str]) -> dict[str, e.Entry]:
        """What these keys wrote: one question to the journal for all of them. Raises `Unwritten`."""
        if not asked:
            return {}
        try:
            found = self._journal.find_keys(asked)
        except JournalTrouble as trouble:
            raise Unwritten(f"The journal cannot be read: {trouble}") from trouble
        self._came_again = bool(found)
        return {key: e.decode_entry(record.state) for key, record in found.items()}


def keys_of(batch: Sequence[c.Command | Trial]) -> list[str]:
    """The keys of a batch's commands, those of dry runs among them."""
    commands = (one for parked in batch for one in (parked.commands if isinstance(parked, Trial) else (parked,)))
    return [command.key for command in commands if command.key is not None]
