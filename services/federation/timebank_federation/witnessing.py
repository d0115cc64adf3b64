"""A node and its witnesses: asks each for a cosignature, keeps what comes, and stops when it was rolled back.

    newest checkpoint ── ask ─▶ 200: the cosignature is kept, with the note it signs
                                409: it cosigned another size last; if that is ours, asked again from there
                                409 or 422 that our journal cannot explain ─▶ the checkpoint that the witness holds,
                                     under our own key ─▶ the ledger stops writing (PROTOCOL.md V5)
                                anything else: later, after a pause that doubles

It runs in a thread of its own and nothing waits for it. One checkpoint is asked about at a time, so nothing queues up.
Source: design page 2, "Witnessing" and "Rollback and generations"; PROTOCOL.md V1, V5.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from timebank_contracts.checkpoint import Checkpoint, open_checkpoint, open_cosignatures
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode
from timebank_contracts.merkle import consistency_proof_from, root_from
from timebank_contracts.names import Identity
from timebank_contracts.note import COSIGNATURE, VerifierKey
from timebank_contracts.registry import Registry, Witness
from timebank_contracts.tiles import tile_reader
from timebank_contracts.witness_request import WitnessRequest, cosignature_lines, parse_size
from timebank_federation.ledger_client import LedgerClient
from timebank_federation.witness import log_keys_of, registered_witnesses
from timebank_federation.witness_door import WitnessAnswer, WitnessDoor
from timebank_kit.clock import Clock
from timebank_kit.files import atomic_write

ASK_SECONDS_MAX: Final = 3_600.0
"""However quiet the town is, each witness is asked so often."""
PAUSE_SECONDS_FIRST: Final = 10.0
PAUSE_SECONDS_MAX: Final = 600.0
TRIES: Final = 3
"""Requests to one witness in one go: the first may name a size that it has left behind."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Asked:
    """What is known of one witness."""

    size: int = 0
    """What it cosigned last for us."""
    note: bytes = b""
    """The checkpoint with its line, as it was cosigned."""
    at_seconds: int = 0
    next_at: float = 0.0
    """Monotonic seconds before which it is not asked."""
    pause_seconds: float = PAUSE_SECONDS_FIRST
    asked_at: float | None = None
    trouble: str | None = None


class Witnessing:
    """One for a node; `step` is called by one thread, what it shows is read by any.

    Args:
        identity: this node.
        registry: gives the registry in force, which names the witnesses and the log keys.
        ledger: the town's ledger.
        door: the way to witnesses.
        folder: keeps cosigned notes and evidence; None: in memory.
        clock: for pauses.
        own_key: this node's own witness key (raw), which does not witness for itself.
        ask_seconds: between two checkpoints that one witness is asked about, 1 or more.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        registry: Callable[[], Registry | None],
        ledger: LedgerClient,
        door: WitnessDoor,
        folder: Path | None,
        clock: Clock,
        own_key: Callable[[], str | None] = lambda: None,
        ask_seconds: float = 30.0,
    ) -> None:
        self._identity = identity
        self._registry = registry
        self._ledger = ledger
        self._door = door
        self._folder = folder
        self._clock = clock
        self._own_key = own_key
        self._ask_seconds = ask_seconds
        self._asked: dict[str, _Asked] = {}
        self.contradicted: str | None = None
        """A witness holds what this node's journal does not: what the ledger was told."""

    @property
    def witnesses(self) -> list[Witness]:
        """Those of the registry in force, but this node itself."""
        return [one for one in registered_witnesses(self._registry()) if one.key != self._own_key()]

    def step(self) -> int:
        """Ask each witness whose turn it is; returns how many cosignatures came.

        Raises:
            LedgerAway: to be tried again.
        """
        due = [one for one in self.witnesses if self._is_due(self._of(one))]
        if not due or self.contradicted is not None:
            return 0
        note = self._ledger.checkpoint()
        own = self._opened(note)
        if own is None or not own.size:
            return 0
        return sum(self._ask(witness, self._of(witness), note, own) for witness in due)

    def cosigned(self) -> bytes | None:
        """The checkpoint that most witnesses cosigned, the newest of such, with its lines; None: there is none."""
        lines: dict[bytes, list[bytes]] = {}
        for witness in self.witnesses:
            note = self._of(witness).note
            if note:
                text, _, signatures = note.partition(b"\n\n")
                log, *cosigned = signatures.splitlines(keepends=True)
                lines.setdefault(text + b"\n\n" + log, []).extend(cosigned)
        if not lines:
            return None
        best = max(lines, key=lambda note: (len(lines[note]), int(note.split(b"\n")[1])))
        return best + b"".join(lines[best])

    def state(self) -> dict[str, Any]:
        """What an operator is shown: each witness, with what it cosigned last and what is wrong with it."""
        rows = [(witness, self._of(witness)) for witness in self.witnesses]
        return {
            "contradicted": self.contradicted,
            "witnesses": [
                {
                    "name": one.name,
                    "size": asked.size,
                    "cosigned_at": asked.at_seconds or None,
                    "trouble": asked.trouble,
                }
                for one, asked in rows
            ],
        }

    def _of(self, witness: Witness) -> _Asked:
        if witness.key not in self._asked:
            self._asked[witness.key] = self._kept(witness)
        return self._asked[witness.key]

    def _is_due(self, asked: _Asked) -> bool:
        return self._clock.monotonic() >= asked.next_at

    # Asking ------------------------------------------------------------------------------------------------------

    def _ask(self, witness: Witness, asked: _Asked, note: bytes, own: Checkpoint) -> int:
        now = self._clock.monotonic()
        if asked.size == own.size and asked.asked_at is not None and now - asked.asked_at < ASK_SECONDS_MAX:
            asked.next_at = now + self._ask_seconds
            return 0
        asked.asked_at = now
        old = asked.size
        for _ in range(TRIES):
            if old > own.size:
                self._judge(witness, asked, old)
                return 0
            answer = self._door.add_checkpoint(witness, WitnessRequest(old, self._proof(old, own.size), note))
            if answer is None or answer.status not in (200, 409, 422):
                self._wait(asked, "does not answer" if answer is None else f"answered {answer.status}")
                return 0
            if answer.status == 200:
                return self._keep(witness, asked, note, own, answer)
            size = _size_of(answer)
            if size is None or size == old:
                self._judge(witness, asked, old)
                return 0
            old = size
        self._wait(asked, "names another size each time")
        return 0

    def _proof(self, old: int, size: int) -> list[bytes]:
        return consistency_proof_from(tile_reader(self._ledger.tile, size=size), old=old, size=size)

    def _keep(self, witness: Witness, asked: _Asked, note: bytes, own: Checkpoint, answer: WitnessAnswer) -> int:
        vkey = VerifierKey(witness.name, b64_decode(witness.key), COSIGNATURE)
        try:
            line = cosignature_lines(note, answer.content, vkey)
        except Malformed as error:
            self._wait(asked, f"answers no cosignature of its key: {error}")
            return 0
        cosigned = note + line
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            atomic_write(self._folder / _file_of(witness), cosigned)
        asked.size, asked.note, asked.trouble = own.size, cosigned, None
        asked.at_seconds = self._time_of(cosigned, vkey)
        asked.pause_seconds = PAUSE_SECONDS_FIRST
        asked.next_at = self._clock.monotonic() + self._ask_seconds
        return 1

    def _wait(self, asked: _Asked, trouble: str) -> None:
        asked.trouble = trouble
        asked.asked_at = None
        asked.next_at = self._clock.monotonic() + asked.pause_seconds
        asked.pause_seconds = min(2 * asked.pause_seconds, PAUSE_SECONDS_MAX)

    def _kept(self, witness: Witness) -> _Asked:
        """What a witness cosigned before this process began; what does not verify is as if it were not there."""
        path = None if self._folder is None else self._folder / _file_of(witness)
        if path is None or not path.exists():
            return _Asked()
        note = path.read_bytes()
        own = self._opened(note)
        vkey = VerifierKey(witness.name, b64_decode(witness.key), COSIGNATURE)
        if own is None or not self._time_of(note, vkey):
            return _Asked()
        return _Asked(size=own.size, note=note, at_seconds=self._time_of(note, vkey))

    def _opened(self, note: bytes) -> Checkpoint | None:
        """The checkpoint in a note that a log key of this node signed, else None."""
        for key in self._log_keys():
            try:
                return open_checkpoint(note, key)
            except Malformed:
                continue
        return None

    def _time_of(self, note: bytes, witness: VerifierKey) -> int:
        for key in self._log_keys():
            try:
                return open_cosignatures(note, key, [witness]).get(witness, 0)
            except Malformed:
                continue
        return 0

    def _log_keys(self) -> list[VerifierKey]:
        return log_keys_of(self._registry(), self._identity.origin)

    # Rolled back -------------------------------------------------------------------------------------------------

    def _judge(self, witness: Witness, asked: _Asked, size: int) -> None:
        """A witness names a size, or a root there, that does not go with our journal: who is right?"""
        note = self._ledger.checkpoint()
        own = self._opened(note)
        shown = self._door.witnessed(witness, self._identity.origin)
        theirs = None if shown is None else self._opened(shown)
        if own is None or (theirs is not None and self._has(own, theirs)):
            self._wait(asked, f"refuses size {size} and shows a checkpoint that this journal has")
            return
        if theirs is None:
            # Nothing under our own key: still the word of a witness whom the operators chose, and so a stop.
            shown = None
        what = f"{witness.name} cosigned {size if theirs is None else theirs.size} entries of this log"
        text = f"{what}, which is not how this journal of {own.size} entries begins."
        self._keep_evidence(witness, note, shown, text)
        asked.trouble, asked.asked_at = text, None
        self._ledger.contradict(text=text, note=shown)
        self.contradicted = text
        _log.critical("a witness holds what this journal does not", extra={"witness": witness.name, "size": size})

    def _has(self, own: Checkpoint, theirs: Checkpoint) -> bool:
        """Whether a checkpoint is one of our own journal's."""
        if theirs.size > own.size:
            return False
        return root_from(tile_reader(self._ledger.tile, size=own.size), theirs.size) == theirs.root

    def _keep_evidence(self, witness: Witness, note: bytes, shown: bytes | None, text: str) -> None:
        said = {
            "witness": witness.name,
            "text": text,
            "own": note.decode(),
            "shown": None if shown is None else shown.decode("utf-8", "replace"),
        }
        raw = json.dumps(said, indent=2, ensure_ascii=False).encode()
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            atomic_write(self._folder / f"contradiction-{sha256(raw).hexdigest()[:16]}.json", raw + b"\n")


def _size_of(answer: WitnessAnswer) -> int | None:
    """The size in a 409, None where it says none."""
    if answer.status != 409:
        return None
    try:
        return parse_size(answer.content)
    except Malformed:
        return None


def _file_of(witness: Witness) -> str:
    return f"{sha256(witness.key.encode()).hexdigest()[:16]}.note"
