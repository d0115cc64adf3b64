"""Collects a log into a folder: only what is new, a bundle at a time, and nothing is believed before the root is right.

    checkpoint ── signed? ──▶ bundles that are not here yet ──▶ tree over all ── the signed root? ──▶ tiles, checkpoint

A run that was cut off is finished by the next one. The checkpoint is written last, and the one before is kept among
`checkpoints`: a log that does not continue what was collected leaves its new checkpoint as `contradiction`.
Source: design page 5, `collect`; PROTOCOL.md G4 to G9.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from timebank_audit.doors import LogDoor
from timebank_audit.edge import Unsound
from timebank_audit.files import TownFiles
from timebank_audit.log import BUNDLE_BYTES_MAX, ENTRIES_MAX
from timebank_contracts import entries as e
from timebank_contracts.checkpoint import Checkpoint, open_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.log_files import LogFiles, registry_path
from timebank_contracts.note import NOTE_BYTES_MAX, VerifierKey
from timebank_contracts.tiles import (
    TILE_WIDTH,
    TileName,
    decode_bundle,
    encode_bundle,
    parse_tile_path,
    root_of_entries,
    tile_path,
)

Progress = Callable[[int, int], None]
"""Told the entries that are there, and those that there are."""
_CITES = b'"type":"registry.accepted"'


class Collected(NamedTuple):
    """What a run came to."""

    before: Checkpoint | None
    now: Checkpoint
    bundles: int
    """Taken by this run."""
    missing: list[int]
    """Registry versions that the journal accepted and the source does not give."""


def collect(door: LogDoor, folder: Path, vkey: VerifierKey, *, progress: Progress = lambda *_: None) -> Collected:
    """Bring a town's folder up to date.

    Args:
        door: gives the parts of the log.
        folder: the town's own; made when it is missing.
        vkey: the log's verifier key, obtained elsewhere.
        progress: called after every bundle.

    Raises:
        Unsound: what the source gives is not what its log signed, or does not continue what is here.
        NodeAway: the source does not answer; what was taken until then stays.
        Malformed: an answer, or what lies in the folder, has another form.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = TownFiles(folder)
    old_note = files.peek("checkpoint", bytes_max=NOTE_BYTES_MAX)
    before = None if old_note is None else open_checkpoint(old_note, vkey)
    note = door.checkpoint()
    now = open_checkpoint(note, vkey)
    if now.size > ENTRIES_MAX:
        raise Malformed(f"The checkpoint counts {now.size} entries; at most {ENTRIES_MAX} can be collected.")
    if before is not None and (now.size < before.size or (now.size == before.size and now.root != before.root)):
        _contradicts(folder, note, f"it shows {now.size} entries, and {before.size} were collected")
    taken = _take_bundles(door, files, folder, now, progress)
    log = LogFiles(_entries(files, now.size))
    for path, content in log:
        if not path.startswith("tile/entries/") and files.peek(path, bytes_max=TILE_WIDTH * 32) != content:
            _write(folder, path, content)
    grew = before is None or root_of_entries(islice(_entries(files, now.size), before.size)) == before.root
    if log.root != now.root or not grew:
        _judge(folder, files, before, note)
    missing = _take_registries(door, files, folder, now.size)
    if old_note is not None and before is not None and before != now:
        _write(folder, f"checkpoints/{before.size}-{sha256(old_note).hexdigest()[:8]}", old_note)
    _write(folder, "vkey", f"{vkey.text}\n".encode())
    _write(folder, "checkpoint", note)
    return Collected(before, now, taken, missing)


def _take_bundles(door: LogDoor, files: TownFiles, folder: Path, now: Checkpoint, progress: Progress) -> int:
    taken = 0
    for start in range(0, now.size, TILE_WIDTH):
        name = TileName(None, start // TILE_WIDTH, min(TILE_WIDTH, now.size - start))
        path = tile_path(name)
        if files.peek(path, bytes_max=BUNDLE_BYTES_MAX) is None:
            entries = decode_bundle(door.bundle(name))
            if len(entries) < name.width:
                raise Malformed(f"The source gives {len(entries)} entries of {name.width} for {path}.")
            _write(folder, path, encode_bundle(entries[: name.width]))
            taken += 1
        progress(min(now.size, start + TILE_WIDTH), now.size)
    return taken


def _entries(files: TownFiles, size: int) -> Iterator[bytes]:
    for start in range(0, size, TILE_WIDTH):
        path = tile_path(TileName(None, start // TILE_WIDTH, min(TILE_WIDTH, size - start)))
        raw = files.peek(path, bytes_max=BUNDLE_BYTES_MAX)
        if raw is None:
            raise Malformed(f"{path} was taken away while the log was collected.")
        yield from decode_bundle(raw)


def _judge(folder: Path, files: TownFiles, before: Checkpoint | None, note: bytes) -> None:
    """Say whose fault it is that the root differs: the source's, or what lies here."""
    if before is not None and root_of_entries(_up_to(files, before.size)) != before.root:
        raise Malformed("What was collected before is damaged; collect the log anew, into another folder.")
    proved = 0 if before is None else before.size
    for path in folder.glob("tile/entries/**/*"):
        # What was not proved is taken again by the next run.
        if path.is_file():
            name = parse_tile_path(path.relative_to(folder).as_posix())
            if name.number * TILE_WIDTH + name.width > proved:
                path.unlink()
    _contradicts(folder, note, "its entries do not have the root that its key signed, or do not continue the log")


def _up_to(files: TownFiles, size: int) -> Iterator[bytes]:
    """The first entries, from full bundles where the partial one of then is gone."""
    for start in range(0, size, TILE_WIDTH):
        width = min(TILE_WIDTH, size - start)
        names = [TileName(None, start // TILE_WIDTH, width), TileName(None, start // TILE_WIDTH, TILE_WIDTH)]
        raws = (files.peek(tile_path(name), bytes_max=BUNDLE_BYTES_MAX) for name in names)
        raw = next((raw for raw in raws if raw is not None), b"")
        yield from decode_bundle(raw)[:width]


def _contradicts(folder: Path, note: bytes, why: str) -> None:
    _write(folder, "contradiction", note)
    raise Unsound(f"the log contradicts itself: {why}. The signed checkpoint is kept as `contradiction`; keep it all.")


def _take_registries(door: LogDoor, files: TownFiles, folder: Path, size: int) -> list[int]:
    missing = []
    for raw in _entries(files, size):
        if _CITES not in raw:
            continue
        entry = e.decode_entry(raw)
        if not isinstance(entry, e.RegistryAcceptedEntry) or files.store.has(registry_path(entry.data.version)):
            continue
        envelope = door.registry(entry.data.version)
        if envelope is None:
            missing.append(entry.data.version)
        else:
            _write(folder, registry_path(entry.data.version), envelope)
    return missing


def _write(folder: Path, path: str, content: bytes) -> None:
    """Write a file whole or not at all."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    with part.open("wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
    part.replace(file)
