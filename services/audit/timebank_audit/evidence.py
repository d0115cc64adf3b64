"""Evidence that a log contradicts itself, found among what towns hold: two notes under one key, in one file.

Source: design page 5, `equivocation`; PROTOCOL.md V6; `timebank_contracts/equivocation.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from timebank_audit.past import Past, is_signed, known_log_keys
from timebank_audit.towns import Town
from timebank_contracts.checkpoint import Checkpoint, parse_checkpoint
from timebank_contracts.equivocation import TwoCheckpoints, two_checkpoints
from timebank_contracts.note import NOTE_BYTES_MAX, VerifierKey, open_note


class Held(NamedTuple):
    """A note that somebody holds."""

    place: str
    checkpoint: Checkpoint
    raw: bytes


def held_notes(towns: list[Town]) -> list[Held]:
    """Every note of every town: its own earlier ones, those of others, and what `collect` left as `contradiction`."""
    found = []
    for town in towns:
        paths = [f"{folder}/{name}" for folder in ("checkpoints", "notes") for name in town.files.names(folder)]
        for path in [*paths, "contradiction"]:
            raw = town.files.peek(path, bytes_max=NOTE_BYTES_MAX)
            if raw is not None:
                found.append(Held(f"{path} of {town.node}", parse_checkpoint(open_note(raw, []).text), raw))
    return found


def find_evidence(towns: list[Town], notes: list[Held]) -> Iterator[tuple[str, TwoCheckpoints]]:
    """Each note that contradicts the log of its origin, or another note where the log was not given."""
    keys = known_log_keys(towns)
    given = {town.checkpoint.origin: town for town in towns if town.log_is_sound}
    first: dict[tuple[str, int], Held] = {}
    for note in notes:
        origin = note.checkpoint.origin
        signers = [VerifierKey(origin, key) for key in keys.get(origin, ()) if is_signed(note.raw, origin, [key])]
        for key in signers:
            town = given.get(origin)
            if town is None:
                other = first.setdefault((origin, note.checkpoint.size), note)
                if is_signed(other.raw, origin, [key.public]):
                    evidence = two_checkpoints(key, other.raw, note.raw)
                    if evidence is not None:
                        yield f"{other.place} and {note.place}", evidence
            elif (evidence := _against_log(town, note, key)) is not None:
                yield f"{note.place} and the log of {town.node}", evidence


def _against_log(town: Town, note: Held, key: VerifierKey) -> TwoCheckpoints | None:
    size, ours = note.checkpoint.size, town.files.peek("checkpoint", bytes_max=NOTE_BYTES_MAX) or b""
    if not 1 <= size <= town.checkpoint.size or not is_signed(ours, key.name, [key.public]):
        return None
    proof = Past(town.files, town.checkpoint.size).consistency(size)
    return two_checkpoints(key, note.raw, ours, proof=proof)
