"""What a town's journal added since an earlier audit, in counts and minutes; never by names.

Source: design page 5, `diff`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import UNSET

from timebank_audit.breaks import heir_of, kept_of
from timebank_audit.towns import Town
from timebank_contracts import entries as e
from timebank_contracts.checkpoint import Checkpoint
from timebank_contracts.entry_reader import EntryReader
from timebank_contracts.figures import trial_balance
from timebank_contracts.names import parse_origin


def roll_forward(seen: list[Checkpoint], towns: list[Town]) -> Iterator[str]:
    """Lines about every town of then and now. A town that lost state meanwhile goes on from its earlier generation."""
    then: dict[str, list[Checkpoint]] = {}
    for checkpoint in seen:
        heir = heir_of(checkpoint.origin, towns)
        then.setdefault(checkpoint.origin if heir is None else heir.checkpoint.origin, []).append(checkpoint)
    for town in towns:
        origin = town.checkpoint.origin
        # Of several, the latest generation tells most of what was seen.
        before = max(then.pop(origin, []), key=lambda one: _began(town, one), default=None)
        if before is None:
            yield f"{origin}: new since then, {town.size} entries"
        elif town.unusable:
            yield f"{origin}: {town.unusable}"
        elif before.origin != origin:
            yield from _added_across(town, before)
        elif before.size > town.size:
            yield f"{origin}: {before.size} entries then, {town.size} now"
        else:
            yield f"{origin}: {before.size} entries then, {town.size} now"
            yield from _added(town, before.size)
    for origin, left in then.items():
        yield f"{origin}: {left[0].size} entries then, and not given now"


def _began(town: Town, seen: Checkpoint) -> int:
    return town.replay.book.began.get(parse_origin(seen.origin).generation, -1)


def _added_across(town: Town, before: Checkpoint) -> Iterator[str]:
    """What was added since an earlier generation, from the last entry of it that is still there."""
    generation = parse_origin(before.origin).generation
    kept = min(before.size, kept_of(town, generation))
    lost = f"; {before.size - kept} of them were lost" if kept < before.size else ""
    yield f"{town.checkpoint.origin}: {before.size} entries then, as {generation}{lost}; {town.size} now"
    yield from _added(town, kept)


def _added(town: Town, before: int) -> Iterator[str]:
    counts: Counter[str] = Counter()
    minutes: Counter[str] = Counter()
    for entry in _entries_from(town, before):
        kind = e.entry_type(entry)
        counts[kind] += 1
        if entry.postings is not UNSET:
            minutes[kind] += sum(moved for _, moved in entry.postings if moved > 0)
    for kind in sorted(counts):
        yield f"  {kind:<26} {counts[kind]:>8}" + (f"  {minutes[kind]:>10} min" if minutes[kind] else "")
    old = {row.kind: row.credit - row.debit for row in trial_balance(town.book(before)).rows}
    for row in trial_balance(town.replay.book).rows:
        yield f"  {row.kind:<26} {old.get(row.kind, 0):>10} min then {row.credit - row.debit:>10} min now"


def _entries_from(town: Town, start: int) -> Iterator[e.Entry]:
    reader = EntryReader()
    at = 0
    for raws in town.entries.bundles(town.size):
        if at + len(raws) > start:
            yield from reader.read(raws[max(0, start - at) :])
        at += len(raws)
