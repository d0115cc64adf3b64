"""The audit, told once: each town by itself, then the towns together. Reads files, and nothing else.

    for each town    checkpoint ─▶ walk of the log (bytes, tiles, root) ─▶ replay (`apply`, keys, registry, sums)
    then             every stream from both sides ─▶ greatest consistent cut ─▶ pair and network sums

Source: design page 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Final

from timebank_audit.breaks import judge_breaks
from timebank_audit.bundle import check_bundle
from timebank_audit.captured import judge_captured
from timebank_audit.cut import greatest_cut
from timebank_audit.files import TownFiles, find_towns
from timebank_audit.findings import Findings
from timebank_audit.log import EntryFile, LogWalk, check_signature, read_checkpoint
from timebank_audit.pairs import Pair, classify, clearing_balance, forced_minutes, judge_network, judge_pair
from timebank_audit.past import judge_past
from timebank_audit.published import judge_published
from timebank_audit.registries import Registries
from timebank_audit.replay import Replay
from timebank_audit.streams import compare_streams
from timebank_audit.towns import Town
from timebank_audit.trust import FROM_EXPORT, Trust
from timebank_audit.witnesses import judge_holders, judge_witnesses
from timebank_contracts.checkpoint import Checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.moments import parse_time
from timebank_contracts.names import Identity, parse_origin
from timebank_contracts.state import Book

UNRESOLVED_AFTER_DAYS: Final = 30

Progress = Callable[[str, int, int], None]
"""Told of a town, the entries done and the entries there are."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything the report is made from."""

    towns: list[Town]
    findings: Findings
    trust: Trust
    pairs: list[Pair]
    cut: dict[str, int]
    unresolved_after_days: int
    unproven: list[str]
    """What was given and could not be used, as sentences."""


def verify(
    directories: Sequence[Path],
    *,
    trust: Trust = FROM_EXPORT,
    unresolved_after_days: int = UNRESOLVED_AFTER_DAYS,
    earlier: Sequence[Checkpoint] = (),
    without: frozenset[str] = frozenset(),
    progress: Progress | None = None,
) -> Audit:
    """Audit exported towns.

    Args:
        directories: exported towns, or directories that hold some.
        trust: the log keys to believe.
        unresolved_after_days: age, in days of the journals' own time, from which an open transfer is listed as A40.
        earlier: what an earlier audit saw of these logs (A12).
        without: checks that are switched off (the audit then never passes).
        progress: called after every bundle.

    Raises:
        Malformed: the input is not what it must be; nothing is said about the towns.
    """
    findings = Findings(without=without)
    given, bundles = find_towns(list(directories))
    for bundle in bundles:
        check_bundle(bundle, findings)
    opened = [(files, read_checkpoint(files)) for files in given]
    _check_together([parse_origin(checkpoint.origin) for _, checkpoint in opened])
    walks = [(files, LogWalk(files, checkpoint)) for files, checkpoint in opened]
    towns = [_audit_town(files, walk, trust, findings, progress) for files, walk in walks]
    _compare_registries(towns, findings)
    judge_holders(towns, trust.policy, findings)
    unproven = judge_past(towns, findings, earlier)
    judge_witnesses(towns, trust.policy, findings)
    sound = {town.node: town for town in towns if not town.unusable}
    unproven += judge_captured(towns, sound, findings)
    for town in sound.values():
        unproven += judge_published(town, findings)
    judge_breaks(sound, findings)
    cut, pairs = _compare(towns, sound, findings)
    _check_ages(sound, findings, unresolved_after_days)
    return Audit(towns, findings, trust, pairs, cut, unresolved_after_days, unproven)


def _check_together(identities: list[Identity]) -> None:
    if len({identity.network for identity in identities}) > 1:
        raise Malformed("These towns are of different networks; audit each network by itself.")
    if len({identity.node for identity in identities}) < len(identities):
        raise Malformed("A town is given twice; give one export of each town.")


def _audit_town(files: TownFiles, walk: LogWalk, trust: Trust, findings: Findings, progress: Progress | None) -> Town:
    checkpoint = walk.checkpoint
    identity = parse_origin(checkpoint.origin)
    town = identity.node
    key = check_signature(files, checkpoint, trust, findings, town)
    said = Findings(without=findings.without)
    registries = Registries(files, said, town)
    entries = EntryFile(files, checkpoint.size)
    replay = Replay(entries, registries, said, town)
    for raws in walk.bundles():
        replay.take(raws)
        if progress is not None:
            progress(town, walk.size, checkpoint.size)
    unusable = "its entries are not those that the checkpoint was signed for, so what they say was not judged"
    is_sound = walk.judge(findings, town)
    if is_sound:
        replay.finish(size=walk.size)
        registries.check_log_key(b"" if key is None else key.public)
        findings.take(said)
        unusable = f"the replay stopped at {replay.stopped}" if replay.stopped else ""
        if not unusable and replay.book.me != identity:
            found = replay.book.me.origin
            findings.add("A39", town=town, place="entry 0", expected=f"the journal of {identity.origin}", found=found)
            unusable = f"its journal is that of {found}"
    return Town(
        identity, files, checkpoint, key, entries, registries, replay, unusable, is_sound and walk.tiles_are_sound
    )


def _compare_registries(towns: list[Town], findings: Findings) -> None:
    """A27: one version number means one document in every journal."""
    cited: dict[int, tuple[str, str]] = {}
    for town in towns:
        for version, sha256 in town.registries.cited.items():
            if len(towns) > 1:
                findings.examine("A27")
            first, expected = cited.setdefault(version, (town.node, sha256))
            if sha256 != expected:
                place = f"registry version {version}"
                findings.add(
                    "A27", town=town.node, place=place, expected=f"{expected}, as {first} accepted", found=sha256
                )


def _compare(towns: list[Town], sound: dict[str, Town], findings: Findings) -> tuple[dict[str, int], list[Pair]]:
    complete = _check_peers(sound, {town.identity for town in towns}, findings) and len(sound) == len(towns)
    agreed: list[tuple[Town, Town]] = []
    for one, other in combinations(sound.values(), 2):
        if other.node in one.replay.book.peers or one.node in other.replay.book.peers:
            both = [compare_streams(one, other, findings), compare_streams(other, one, findings)]
            if all(both):
                agreed.append((one, other))
            else:
                complete = False
    cut = greatest_cut(sound)
    books = {name: town.book(cut[name]) for name, town in sound.items()} if agreed else {}
    pairs = [_pair(one, other, books, cut) for one, other in agreed]
    for pair in pairs:
        judge_pair(pair, findings)
    # A pair that disagrees explains a network that does: one fault is reported once.
    if complete and pairs and not findings.counts["A46"]:
        judge_network(books, pairs, findings)
    return cut, pairs


def _check_peers(sound: dict[str, Town], given: set[Identity], findings: Findings) -> bool:
    """A48: the other side of every stream in use is there, in the generation that is spoken of."""
    complete = True
    for town in sound.values():
        for peer in town.replay.book.peers.values():
            if not peer.outgoing.n and not peer.incoming.n:
                continue
            findings.examine("A48", 2)
            other = town.identity._replace(node=peer.peer, generation=peer.generation)
            # The journal of a later generation holds what is left of this one.
            later = sound.get(peer.peer)
            if other not in given and (later is None or peer.generation not in later.replay.book.began):
                complete = False
                findings.add(
                    "A48",
                    town=town.node,
                    place=f"streams with {peer.peer}: {peer.outgoing.n} sent, {peer.incoming.n} applied",
                    expected=f"the export of {other.origin}",
                    found="it was not given",
                )
    return complete


def _pair(one: Town, other: Town, books: dict[str, Book], cut: dict[str, int]) -> Pair:
    mine, theirs = books[one.node], books[other.node]
    ends = cut[one.node], cut[other.node]
    return Pair(
        one.node,
        other.node,
        clearing_balance(mine, other.node),
        clearing_balance(theirs, one.node),
        classify(one, other, mine, payee_book=theirs, payer_end=ends[0], payee_end=ends[1]),
        classify(other, one, theirs, payee_book=mine, payer_end=ends[1], payee_end=ends[0]),
        forced_minutes(mine, other.node) + forced_minutes(theirs, one.node),
    )


def _check_ages(sound: dict[str, Town], findings: Findings, days: int) -> None:
    """A40: open transfers by the towns' own time; no clock of the auditor's is read."""
    if not sound:
        return
    latest = _moment(max(town.replay.book.time for town in sound.values()))
    for town in sound.values():
        for transfer, found in town.replay.book.open_transfers.items():
            findings.examine("A40")
            age = latest - _moment(found.sent_at)
            if age > timedelta(days=days):
                findings.add(
                    "A40",
                    town=town.node,
                    place=f"entry {found.position}, {transfer}, {found.minutes} minutes to {found.peer}",
                    expected=f"a decision within {days} days",
                    found=f"still open after {age.days} days",
                )


def _moment(time: str) -> datetime:
    """The moment of an entry's time; a day that no calendar has counts as the end of its month."""
    try:
        return parse_time(time)
    except Malformed:
        return parse_time(f"{time[:8]}28{time[10:]}")
