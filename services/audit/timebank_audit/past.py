"""Whether a log only ever grew: every earlier state that anybody can show must be a beginning of this log.

    <town>/checkpoints/…        what the town published itself, signed by its log key              A11
    an earlier audit's report   what an auditor saw                                               A12
    <town>/notes/…              checkpoints of others that this town holds, signed by their keys    A15
    a peer's journal            size and root inside every segment that the town sent there          A16
    any of these beyond the end of the log                                                        A17

Roots of earlier sizes come from the tiles, which were compared with the entries before.
Source: design page 5, "Append-only"; RFC 6962 2.1; PROTOCOL.md G6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from timebank_audit.breaks import heir_of, kept_of
from timebank_audit.codes import Verdict
from timebank_audit.files import TownFiles
from timebank_audit.findings import Findings
from timebank_audit.log import read_tile
from timebank_audit.towns import Town
from timebank_contracts import entries as e
from timebank_contracts.checkpoint import Checkpoint, parse_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import Tree, consistency_proof_from
from timebank_contracts.names import parse_origin
from timebank_contracts.note import NOTE_BYTES_MAX, VerifierKey, open_note
from timebank_contracts.segments import open_statement
from timebank_contracts.tiles import TILE_WIDTH, TileName, tile_reader

NOTES_MAX: Final = 10_000
TILES_CACHED: Final = 64


class Shown(NamedTuple):
    """An earlier or later state of a log that somebody can show."""

    code: str
    """The check that it belongs to when it does not fit."""
    checkpoint: Checkpoint
    place: str


class Past:
    """Roots of the first so many entries of a log whose tiles are sound."""

    def __init__(self, files: TownFiles, size: int) -> None:
        def tile(name: TileName) -> bytes:
            path, raw = read_tile(files.peek, name, TILE_WIDTH * 32)
            if raw is None:
                raise Malformed(f"{path} changed while it was audited; copy the export first.")
            return raw

        self.size = size
        self._read = tile_reader(lru_cache(maxsize=TILES_CACHED)(tile), size=size)

    def root(self, size: int) -> bytes:
        """The root of the first `size` entries, from 0 to all."""
        edge, at = [], 0
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                edge.append(self._read(level, at >> level))
                at += 1 << level
        return Tree.from_edge(size, edge).root()

    def consistency(self, size: int) -> list[bytes]:
        """The proof that leads from the first `size` entries, 1 to all, to this log."""
        return consistency_proof_from(self._read, old=size, size=self.size)


def judge_past(towns: list[Town], findings: Findings, earlier: Iterable[Checkpoint] = ()) -> list[str]:
    """A11, A12, A15, A16, A17, A28, for every town whose log is sound; returns what could not be used, as sentences.

    Args:
        towns: all that are audited.
        findings: collects.
        earlier: what an earlier audit saw of these logs.
    """
    keys = known_log_keys(towns)
    unproven: list[str] = []
    by_origin: dict[str, list[Shown]] = {}
    for town in towns:
        for shown in [*_notes(town, "checkpoints", keys, unproven), *_notes(town, "notes", keys, unproven)]:
            by_origin.setdefault(shown.checkpoint.origin, []).append(shown)
    for seen in earlier:
        heir = heir_of(seen.origin, towns)
        if heir is None or _is_kept(seen, heir, findings):
            now = seen if heir is None else seen._replace(origin=heir.checkpoint.origin)
            by_origin.setdefault(now.origin, []).append(Shown("A12", now, "the earlier audit"))
    for town in towns:
        _judge(
            town,
            chain(by_origin.pop(town.checkpoint.origin, []), _told_by_peers(town, towns), _went_on(town)),
            findings,
        )
    for shown_of_it in by_origin.values():
        _judge_alone(shown_of_it, findings)
    return unproven


def _judge(town: Town, shown: Iterable[Shown], findings: Findings) -> None:
    if not town.log_is_sound:
        return
    past = Past(town.files, town.checkpoint.size)
    largest: Shown | None = None
    for one in shown:
        said = one.checkpoint
        if said.size > past.size:
            largest = one if largest is None or said.size > largest.checkpoint.size else largest
            continue
        findings.examine(one.code)
        root = past.root(said.size)
        if root != said.root:
            expected = f"{said.size} entries with the root {said.root.hex()}, as was signed before"
            findings.add(one.code, town=town.node, place=one.place, expected=expected, found=f"root {root.hex()}")
    findings.examine("A17")
    if largest is not None:
        expected = f"{largest.checkpoint.size} entries or more, as {largest.place} shows"
        found = f"{past.size} entries: later ones exist and are not here"
        findings.add("A17", town=town.node, place="checkpoint", expected=expected, found=found)


def _is_kept(seen: Checkpoint, heir: Town, findings: Findings) -> bool:
    """Whether all that was seen then outlived the breaks since; what did not is lost, and cannot be compared."""
    generation = parse_origin(seen.origin).generation
    kept = kept_of(heir, generation)
    if generation == heir.identity.generation or seen.size <= kept:
        return True
    findings.examine("A12")
    findings.add(
        "A12",
        town=heir.node,
        place=f"the earlier audit, of {generation}",
        expected=f"{seen.size} entries",
        found=f"{kept} of them: the journal goes on there as {heir.identity.generation}, after state was lost",
        verdict=Verdict.NOT_PROVEN,
    )
    return False


def _judge_alone(shown: list[Shown], findings: Findings) -> None:
    """Notes about a log that was not given: two of one size must have one root."""
    roots: dict[int, Shown] = {}
    for one in shown:
        first = roots.setdefault(one.checkpoint.size, one)
        findings.examine("A15")
        if first.checkpoint.root != one.checkpoint.root:
            expected = f"the root {first.checkpoint.root.hex()} of {one.checkpoint.size} entries ({first.place})"
            found = f"{one.checkpoint.root.hex()}, signed by the same log"
            findings.add("A15", town=one.checkpoint.origin, place=one.place, expected=expected, found=found)


def known_log_keys(towns: list[Town]) -> dict[str, set[bytes]]:
    """Raw log keys by origin: those believed by policy or export, and those of every accepted registry version."""
    keys: dict[str, set[bytes]] = {}
    for town in towns:
        if town.key is not None:
            keys.setdefault(town.checkpoint.origin, set()).add(town.key.public)
        for origin, found in town.registries.log_keys.items():
            keys.setdefault(origin, set()).update(found)
    return keys


def _notes(town: Town, folder: str, keys: dict[str, set[bytes]], unproven: list[str]) -> Iterator[Shown]:
    """The notes in a folder of the town that are signed by the log that they are about."""
    names = town.files.names(folder)
    if len(names) > NOTES_MAX:
        raise Malformed(f"{town.files.store.name}/{folder} holds more than {NOTES_MAX} notes.")
    for name in names:
        path = f"{folder}/{name}"
        raw = town.files.read(path, bytes_max=NOTE_BYTES_MAX) or b""
        checkpoint = parse_checkpoint(open_note(raw, []).text)
        place = f"{path} of {town.node}"
        if folder == "checkpoints" and checkpoint.origin != town.checkpoint.origin:
            raise Malformed(f"{place} is a checkpoint of {checkpoint.origin}; it belongs into notes.")
        if not is_signed(raw, checkpoint.origin, keys.get(checkpoint.origin, set())):
            unproven.append(f"{place}: no key that is known of {checkpoint.origin} signed it; it was not used.")
        else:
            yield Shown("A11" if folder == "checkpoints" else "A15", checkpoint, place)


def is_signed(raw: bytes, origin: str, keys: Iterable[bytes]) -> bool:
    """Whether one of these raw keys signed a checkpoint's note under its origin's name."""
    for key in keys:
        try:
            if open_note(raw, [VerifierKey(origin, key)]).signed_by:
                return True
        except Malformed:
            continue
    return False


def _told_by_peers(sender: Town, towns: list[Town]) -> Iterator[Shown]:
    """What the town's own segments said of its log, as the journals of its peers hold them under its signature."""
    for receiver in towns:
        for position in receiver.replay.heard_of.get(sender.node, ()):
            entry = e.decode_entry(receiver.entries[position])
            assert isinstance(entry, e.SegmentAcceptedEntry), "its position was kept for that"
            said = open_statement(bytes(entry.data.envelope))
            place = f"entry {position} of {receiver.node}, a segment from {sender.node}"
            if said.size and said.size <= kept_of(sender, said.generation):
                checkpoint = Checkpoint(sender.checkpoint.origin, said.size, bytes.fromhex(said.root))
                yield Shown("A16" if said.generation == sender.identity.generation else "A28", checkpoint, place)


def _went_on(town: Town) -> Iterator[Shown]:
    """What the town's own journal says of the generation that it goes on from."""
    for position, previous in town.replay.went_on:
        said = Checkpoint(town.checkpoint.origin, previous.size, bytes.fromhex(previous.root))
        yield Shown("A28", said, f"entry {position} of {town.node}, which goes on from {previous.generation}")
