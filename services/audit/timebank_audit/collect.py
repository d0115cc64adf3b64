"""Collects a log into a folder: only what is new, a bundle at a time, and nothing is believed before the root is right.

    checkpoint ── signed? ──▶ bundles that are not here yet ──▶ tree over all ── the signed root? ──▶ tiles, checkpoint

A run that was cut off is finished by the next one. The checkpoint is written last, with the cosignatures that are over
it. Earlier ones, and what witnesses cosigned of them, are kept among `checkpoints`; what the source holds of other logs
among `notes`: `verify` judges them. A log that does not continue what was collected leaves a `contradiction`.
Source: design page 5, `collect`; PROTOCOL.md G4 to G9.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from timebank_audit.doors import LogDoor
from timebank_audit.edge import Unsound
from timebank_audit.files import TownFiles
from timebank_audit.log import BUNDLE_BYTES_MAX, ENTRIES_MAX
from timebank_contracts import dsse
from timebank_contracts import entries as e
from timebank_contracts.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, with_cosignatures
from timebank_contracts.errors import Malformed
from timebank_contracts.log_files import LogFiles, registry_path
from timebank_contracts.names import Identity
from timebank_contracts.note import NOTE_BYTES_MAX, VerifierKey, open_note
from timebank_contracts.registry import PAYLOAD_TYPE, REGISTRY_BYTES_MAX, read_registry
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
ORIGINS_MAX: Final = 100
"""So many logs is a node asked about that may be their witness."""
_CITES = b'"type":"registry.accepted"'


class Collected(NamedTuple):
    """What a run came to."""

    before: Checkpoint | None
    now: Checkpoint
    bundles: int
    """Taken by this run."""
    missing: list[int]
    """Registry versions that the journal accepted and the source does not give."""


def collect(
    door: LogDoor,
    folder: Path,
    vkey: VerifierKey,
    *,
    only_cosigned: bool = False,
    progress: Progress = lambda *_: None,
) -> Collected:
    """Bring a town's folder up to date.

    Args:
        door: gives the parts of the log.
        folder: the town's own; made when it is missing.
        vkey: the log's verifier key, obtained elsewhere.
        only_cosigned: up to the checkpoint that most witnesses cosigned, in place of the newest.
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
    # Before the checkpoint is: a log that grows meanwhile was not cosigned beyond it.
    cosigned = [note for note in door.cosigned() if _said(note).origin == vkey.name and _is_own(note, vkey)]
    note = _chosen(door.checkpoint(), cosigned, vkey, only_cosigned=only_cosigned)
    now = open_checkpoint(note, vkey)
    if now.size > ENTRIES_MAX:
        raise Malformed(f"The checkpoint counts {now.size} entries; at most {ENTRIES_MAX} can be collected.")
    if only_cosigned and before is not None and now.size < before.size:
        raise Malformed(f"{before.size} entries lie here, and witnesses cosigned {now.size} so far: come again later.")
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
    earlier = cosigned if old_note is None else [*cosigned, old_note]
    for one in earlier:
        if _said(one) != now and not (only_cosigned and _said(one).size > now.size):
            _write(folder, _path_of("checkpoints", one), one)
    for other in door.held(_origins(files, now.origin)):
        if _said(other).origin != now.origin:
            _write(folder, _path_of("notes", other), other)
    _write(folder, "vkey", f"{vkey.text}\n".encode())
    _write(folder, "checkpoint", with_cosignatures(note, earlier))
    return Collected(before, now, taken, missing)


def _chosen(newest: bytes, cosigned: list[bytes], vkey: VerifierKey, *, only_cosigned: bool) -> bytes:
    """The note up to which the log is taken."""
    if not only_cosigned:
        return newest
    whole = [with_cosignatures(note, cosigned) for note in cosigned if open_note(note, [vkey]).unknown]
    if not whole:
        raise Malformed("The source shows no checkpoint that a witness cosigned; leave out --cosigned.")
    return max(whole, key=lambda note: (note.count(b"\n"), _said(note).size))


def _said(note: bytes) -> Checkpoint:
    return parse_checkpoint(open_note(note, []).text)


def _is_own(note: bytes, vkey: VerifierKey) -> bool:
    return bool(open_note(note, [vkey]).signed_by)


def _path_of(folder: str, note: bytes) -> str:
    return f"{folder}/{_said(note).size}-{sha256(note).hexdigest()[:8]}"


def _origins(files: TownFiles, own: str) -> list[str]:
    """The other logs that the newest registry here names."""
    versions = [int(name[:-5]) for name in files.names("registry") if name[:-5].isdecimal()]
    raw = files.peek(registry_path(max(versions)), bytes_max=REGISTRY_BYTES_MAX) if versions else None
    if raw is None:
        return []
    registry = read_registry(dsse.open_payload(raw, payload_type=PAYLOAD_TYPE))
    found = [Identity(registry.network, node.node, node.generation).origin for node in registry.nodes]
    return [origin for origin in found if origin != own][:ORIGINS_MAX]


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
