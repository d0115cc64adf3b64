"""The signed notes that a home holds, as an export gives them to auditors: nothing in them is made here.

    cosigned/…      what witnesses cosigned of this log: on the checkpoint, or among `checkpoints/` when it is earlier
    witnessed/…     what this node cosigned of its peers' logs: `notes/`

Only what a log key of the registry signed is given; a log of an earlier generation is another log.
Source: design page 5, "Bundle", A13 to A15; PROTOCOL.md V4, V5.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from timebank_contracts.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, with_cosignatures
from timebank_contracts.errors import Malformed
from timebank_contracts.note import NOTE_BYTES_MAX, open_note, parse_vkey
from timebank_contracts.registry import Registry
from timebank_federation.witness import log_keys_of
from timebank_node.home import Home

NOTES_MAX: Final = 1_000
"""Of each folder; there are as many as witnesses, and as peers."""


class GivenNotes(NamedTuple):
    """What goes into an export beside the log."""

    checkpoint: bytes
    """The log's, with the cosignatures that are over it."""
    others: dict[str, bytes]
    """By path in the export."""
    words: str
    """A sentence for who exports."""


def given_notes(home: Home, registry: Registry | None, newest: bytes, *, only_cosigned: bool) -> GivenNotes:
    """The notes of a home.

    Args:
        home: opened.
        registry: the latest that it holds: names the log keys.
        newest: the checkpoint of the whole journal.
        only_cosigned: up to the checkpoint that most witnesses cosigned, the newest of such.

    Raises:
        Malformed: only what was cosigned is asked for, and nothing was, or more than the journal has.
        OSError: a note cannot be read.
    """
    own = parse_vkey(home.vkey)
    length = open_checkpoint(newest, own).size
    cosigned = [note for note in _read(home.folder / "cosigned") if _is_of(note, home, registry)]
    whole = list({_text(note): with_cosignatures(note, cosigned) for note in cosigned}.values())
    best = max(whole, key=lambda note: (note.count(b"\n"), _said(note).size), default=None)
    chosen = with_cosignatures(newest, cosigned)
    if only_cosigned:
        if best is None:
            raise Malformed("No witness cosigned this log; leave out --cosigned, or see timebank doctor.")
        if _said(best).size > length:
            raise Malformed(f"Witnesses cosigned {_said(best).size} entries, and the journal has {length} alone.")
        chosen = best
    others = {}
    for note in whole:
        if _text(note) != _text(chosen) and not (only_cosigned and length >= _said(note).size > _said(chosen).size):
            others[f"checkpoints/{_said(note).size}-{_name(note)}"] = note
    for note in _read(home.folder / "witnessed"):
        origin = _said(note).origin
        if origin != home.identity.origin and _is_signed(note, registry, origin):
            others[f"notes/{_said(note).size}-{_name(note)}"] = note
    return GivenNotes(chosen, others, _words(chosen, best))


def _words(chosen: bytes, best: bytes | None) -> str:
    count = chosen.count(b"\n") - 5
    if count > 0:
        return f"The checkpoint is cosigned by {count} witness{'es' if count > 1 else ''}."
    if best is None:
        return "No witness cosigned this log: an auditor who asks for witnesses finds it NOT PROVEN (A14)."
    return (
        f"Witnesses cosigned the first {_said(best).size} entries, not this checkpoint: an auditor who asks for "
        "witnesses finds it NOT PROVEN (A14). --cosigned gives what they saw, and no more."
    )


def _read(folder: Path) -> list[bytes]:
    """The notes in a folder that have a checkpoint's form."""
    found = []
    for path in sorted(folder.glob("*.note"))[:NOTES_MAX]:
        raw = path.read_bytes()
        try:
            _said(raw)
        except Malformed:
            continue  # What is damaged here is the witnesses' and the node's to mend; it proves nothing.
        if len(raw) <= NOTE_BYTES_MAX:
            found.append(raw)
    return found


def _is_of(note: bytes, home: Home, registry: Registry | None) -> bool:
    origin = home.identity.origin
    return _said(note).origin == origin and _is_signed(note, registry, origin)


def _is_signed(note: bytes, registry: Registry | None, origin: str) -> bool:
    for key in log_keys_of(registry, origin):
        try:
            open_checkpoint(note, key)
        except Malformed:
            continue
        return True
    return False


def _said(note: bytes) -> Checkpoint:
    return parse_checkpoint(open_note(note, []).text)


def _text(note: bytes) -> bytes:
    return note.rpartition(b"\n\n")[0]


def _name(note: bytes) -> str:
    return sha256(note).hexdigest()[:8]
