"""Replaying many entries: the plain local transfers among them are judged in place, all others are handed on.

Most entries of a journal are of one kind: two open accounts, nothing named beside a service. What `decode_entry` and
`apply` ask of such an entry is asked here without making it an object. Whatever is not plainly good goes to
`decode_entry`, and then to `apply`, which alone decide what is refused and in which words.
Source: PROTOCOL.md C1 to C5, T1 to T4; a property test holds this beside `decode_entry` and `apply`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from timebank_contracts import canonical
from timebank_contracts.entries import AnyEntry, Posted, decode_entry
from timebank_contracts.entry_reader import POSTED_END, REMEMBERED_MAX, Outline, actors, posted_data, read_outlines
from timebank_contracts.errors import Malformed
from timebank_contracts.moments import served_on_is_possible
from timebank_contracts.rules_transfers import PURPOSES
from timebank_contracts.state import Book


class _Sides(NamedTuple):
    debits: frozenset[str]
    credits: frozenset[str]


class PlainTransfers:
    """Replays one book. `leave` says of which transfers, by their data, the caller wants to see the entry."""

    def __init__(self, book: Book, *, leave: Callable[[Posted], bool]) -> None:
        self._book = book
        self._leave = leave
        self._actors: set[bytes] = set()
        self._day = ""
        self._sides: dict[bytes, _Sides | None] = {}
        """By the bytes of a transfer's data, on that day: the kinds of account it moves between; None: not plain."""

    def replay(self, raws: Sequence[bytes], keys: list[str | UnsetType]) -> Iterator[AnyEntry]:
        """Apply the plain transfers in these canonical bytes, and give every other entry in its place.

        Args:
            raws: a group, such as an entry bundle; memory grows with the group.
            keys: the command keys of the applied transfers are added to it.

        Returns:
            The other entries. The caller applies each to the book before it asks for the next.

        Raises:
            UnknownEntryType, Malformed: as `decode_entry`, after the entries before the bad one.
        """
        posted = [raw for raw in raws if raw.endswith(POSTED_END)]
        outlines = (read_outlines(posted) if posted else []) or []
        if not outlines:
            yield from map(decode_entry, raws)
        elif len(outlines) == len(raws):
            group, done = iter(outlines), 0
            while (done := done + self._apply(group, keys)) < len(raws):
                yield decode_entry(raws[done])
                done += 1
        else:
            group = iter(outlines)
            for raw in raws:
                if not raw.endswith(POSTED_END) or not self._apply([next(group)], keys):
                    yield decode_entry(raw)

    def _apply(self, outlines: Iterable[Outline], keys: list[str | UnsetType]) -> int:
        """Apply plain transfers; the first that is not plain is taken too, and changes nothing. Returns how many."""
        book = self._book
        accounts, known, n, last, is_calm = book.accounts, self._actors, book.n, book.time, book.pending is None
        day, seen, add_key = self._day, self._sides, keys.append
        start = n
        for outline in outlines:
            time, postings, raw = outline.time, outline.postings, bytes(outline.data)
            if outline.n != n or time < last or len(postings) != 2 or not is_calm:
                break
            if time[:10] != day:
                day = self._day = time[:10]
                seen.clear()
            sides = seen.get(raw)
            if sides is None or bytes(outline.by) not in known:
                sides = self._look(outline, raw)
                if sides is None:
                    break
            (payer_id, paid), (payee_id, minutes) = postings
            payer, payee = accounts.get(payer_id), accounts.get(payee_id)
            if (
                payer is None
                or payee is None
                or payer is payee
                or minutes <= 0
                or paid != -minutes
                or payer.state != "open"
                or payer.kind not in sides.debits
                or payer.balance + paid < payer.floor
                or payee.state == "closed"
                or payee.kind not in sides.credits
                or payee.balance + payee.in_transit + minutes > payee.ceiling
            ):
                break
            payer.balance += paid
            payee.balance += minutes
            add_key(outline.key)
            n += 1
            last = time
        book.n, book.time = n, last
        return n - start

    def _look(self, outline: Outline, raw: bytes) -> _Sides | None:
        """Judge an actor and a transfer's data that were not seen yet on this day."""
        raw_by = bytes(outline.by)
        for remembered in (self._actors, self._sides):
            if len(remembered) > REMEMBERED_MAX:
                remembered.clear()
        try:
            if raw_by not in self._actors:
                canonical.decode(raw_by, actors)
                self._actors.add(raw_by)
            if raw not in self._sides:
                self._sides[raw] = self._sides_of(canonical.decode(raw, posted_data))
        except Malformed:
            return None
        return self._sides[raw]

    def _sides_of(self, data: Posted) -> _Sides | None:
        debits, credits, by_broker = PURPOSES[data.purpose]
        more = (data.given, data.programme, data.claim, data.reason)
        if by_broker or self._leave(data) or any(value is not UNSET for value in more):
            return None
        if data.purpose != "service":
            return _Sides(debits, credits) if data.activity is UNSET else None
        if data.activity is UNSET or data.served_on is UNSET:
            return None
        return _Sides(debits, credits) if served_on_is_possible(data.served_on, self._day) else None
