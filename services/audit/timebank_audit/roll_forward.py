"""What a town's journal added since an earlier audit, in counts and minutes; never by names.

Source: design page 5, `diff`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import UNSET

from timebank_audit.towns import Town
from timebank_contracts import entries as e
from timebank_contracts.checkpoint import Checkpoint
from timebank_contracts.entry_reader import EntryReader
from timebank_contracts.figures import trial_balance


def roll_forward(seen: list[Checkpoint], towns: list[Town]) -> Iterator[str]:
    """Lines about every town of then and now."""
    then = {checkpoint.origin: checkpoint.size for checkpoint in seen}
    for town in towns:
        origin = town.checkpoint.origin
        before = then.pop(origin, None)
        if before is None:
            yield f"{origin}: new since then, {town.size} entries"
        elif town.unusable:
            yield f"{origin}: {town.unusable}"
        elif before > town.size:
            yield f"{origin}: {before} entries then, {town.size} now"
        else:
            yield from _added(town, before)
    for origin, size in then.items():
        yield f"{origin}: {size} entries then, and not given now"


def _added(town: Town, before: int) -> Iterator[str]:
    counts: Counter[str] = Counter()
    minutes: Counter[str] = Counter()
    for entry in _entries_from(town, before):
        kind = e.entry_type(entry)
        counts[kind] += 1
        if entry.postings is not UNSET:
            minutes[kind] += sum(moved for _, moved in entry.postings if moved > 0)
    yield f"{town.checkpoint.origin}: {before} entries then, {town.size} now"
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
