"""What an entry says of services: who gave, who was helped, where, and what of it was taken back.

    home       giver and receiver of this town      `transfer.posted`
    export     given to somebody in another town    `transfer.received`, here
    import     given by somebody in another town    `transfer.settled`, here: then both towns know it

A reversal, or a refund that is final, is the same service with minutes below 0: it revises the day of the service. Of
minutes given that differ from those credited, a part is taken back in proportion, and all parts together are the whole.
Source: design page 10; PROTOCOL.md T4, T12, T13, T15, T16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.names import parse_transfer
from timebank_contracts.rules_refunds import Read
from timebank_contracts.rules_reversal import shares_of
from timebank_contracts.state import Book

Way = Literal["home", "export", "import"]
Shares = tuple[tuple[str, int], ...]
ELSEWHERE = ""
"""In place of an account: somebody in another town."""


class Service(NamedTuple):
    """A service, or what is taken back of one; minutes below 0 are taken back."""

    way: Way
    given: Shares
    """Giver and minutes of time given."""
    paid: Shares
    """Who was helped here, and the minutes that they paid."""
    rest_minutes: int
    """What the pot took of a group session: counted as nobody's service."""
    served_on: str
    activity: str
    confirmed_by: str
    """`elsewhere` for an export: the receiver's town knows; `unknown` for what was recovered."""
    programme: str
    peer: str
    is_new: bool
    """False for what is taken back."""
    is_whole: bool
    """Of what is taken back: nothing is left of the service now."""
    transfer: str
    """Of an import, else empty."""
    began: str
    """Time of the entry that began it."""


class PartsBack(dict[str, int]):
    """Transfer → minutes refunded so far, of those that were refunded in part; gone when it is the whole."""


def service_of(book: Book, entry: e.Entry, read: Read, parts: PartsBack) -> Service | None:
    """What an entry says of a service; None when it says nothing of any.

    Args:
        book: before the entry, which `apply` would take.
        entry: the next one.
        read: gives an earlier entry by position.
        parts: kept from entry to entry, and changed.
    """
    if isinstance(entry, e.TransferPosted):
        return _posted(entry) if entry.data.purpose == "service" else None
    if isinstance(entry, e.TransferReversed):
        original = read(parse_transfer(entry.data.transfer).position)
        assert isinstance(original, e.TransferPosted), "apply takes back local transfers only"
        return _reversed(book, entry, original) if original.data.purpose == "service" else None
    if isinstance(entry, e.TransferReceived):
        data = sent_data(entry)
        if data.purpose == "refund":
            began = _sent_here(book, data, read)
            return None if began is None else _refunded(began, "import", data, parts)
        return _export(entry, data) if data.purpose == "service" else None
    if isinstance(entry, e.TransferSettled):
        sent = read(book.open_transfers[entry.data.transfer].position)
        assert sent is not None, "an open transfer has its entry"
        data = sent_data(sent)
        if data.purpose == "refund":
            return _refunded(_refunded_here(sent, data, entry.n, read), "export", data, parts)
        return _import(sent, data) if data.purpose == "service" else None
    return None


def sent_data(entry: e.Entry) -> m.Sent:
    """What the message of a transfer between towns says, of the entry that sends, recovers or receives it."""
    raw = entry.out if isinstance(entry, e.TransferSent) else entry.in_
    assert raw is not UNSET, "such an entry has its message"
    message = m.decode_message(bytes(raw))
    assert isinstance(message, m.TransferSentMessage)
    return message.data


def _posted(entry: e.TransferPosted) -> Service:
    assert entry.postings is not UNSET
    moved = [minutes for _, minutes in entry.postings]
    return _home(entry, taken=moved, before=[0] * len(moved), sign=1, is_whole=False)


def _reversed(book: Book, entry: e.TransferReversed, original: e.TransferPosted) -> Service:
    assert original.postings is not UNSET
    minutes = None if entry.data.minutes is UNSET else entry.data.minutes
    shares = shares_of(book, original, minutes)
    before = list(book.reversed.get(original.n) or [0] * len(shares))
    moved = [minutes for _, minutes in original.postings]
    is_whole = [one + share for one, share in zip(before, shares, strict=True)] == moved
    return _home(original, taken=shares, before=before, sign=-1, is_whole=is_whole)


def _home(
    entry: e.TransferPosted, *, taken: Sequence[int], before: Sequence[int], sign: int, is_whole: bool
) -> Service:
    """The part of a local service that `taken` names, of each posting, after what was taken `before`."""
    assert entry.postings is not UNSET
    data = entry.data
    said = {} if data.given is UNSET else dict(data.given)
    given, paid, rest = [], [], 0
    for (account, moved), share, earlier in zip(entry.postings, taken, before, strict=True):
        if account == "pot":
            rest += sign * max(0, share)
        elif moved > 0:
            time_given = said.get(account, moved)
            given.append((account, sign * _part(time_given, moved, earlier, share)))
        else:
            paid.append((account, -sign * share))
    return Service(
        way="home",
        given=tuple(given),
        paid=tuple(paid),
        rest_minutes=rest,
        served_on=str(data.served_on),
        activity=str(data.activity),
        confirmed_by=data.confirmed_by,
        programme="" if data.programme is UNSET else data.programme,
        peer="",
        is_new=sign > 0,
        is_whole=is_whole,
        transfer="",
        began=entry.time,
    )


def _part(whole: int, credited: int, before: int, share: int) -> int:
    """What a share of the credited minutes is of the given ones: all shares together are the whole, exactly."""
    return whole * (before + share) // credited - whole * before // credited


def _export(entry: e.TransferReceived, data: m.Sent) -> Service:
    assert entry.postings is not UNSET
    time_given = data.minutes if data.given_minutes is UNSET else data.given_minutes
    return Service(
        way="export",
        given=((entry.postings[1][0], time_given),),
        paid=(),
        rest_minutes=0,
        served_on=str(data.served_on),
        activity=str(data.activity),
        confirmed_by="elsewhere",
        programme="",
        peer=str(entry.by.id),
        is_new=True,
        is_whole=False,
        transfer="",
        began=entry.time,
    )


def _import(sent: e.Entry, data: m.Sent) -> Service:
    assert sent.postings is not UNSET
    assert isinstance(sent, e.TransferSent | e.MessageRecoveredEntry)
    time_given = data.minutes if data.given_minutes is UNSET else data.given_minutes
    programme, confirmed_by = "", "unknown"
    if isinstance(sent, e.TransferSent):
        programme = "" if sent.data.programme is UNSET else sent.data.programme
        confirmed_by = "unknown" if sent.data.confirmed_by is UNSET else sent.data.confirmed_by
    return Service(
        way="import",
        given=((ELSEWHERE, time_given),),
        paid=((sent.postings[0][0], data.minutes),),
        rest_minutes=0,
        served_on=str(data.served_on),
        activity=str(data.activity),
        confirmed_by=confirmed_by,
        programme=programme,
        peer=sent.data.peer,
        is_new=True,
        is_whole=False,
        transfer=data.transfer,
        began=sent.time,
    )


def _refunded(original: e.Entry, way: Way, refund: m.Sent, parts: PartsBack) -> Service | None:
    """What a refund that is final takes back of a service; None when a gift is refunded."""
    data = sent_data(original)
    if data.purpose != "service":
        return None
    found = _export(original, data) if isinstance(original, e.TransferReceived) else _import(original, data)
    (giver, time_given), before = found.given[0], parts.get(data.transfer, 0)
    after = before + refund.minutes
    parts[data.transfer] = after
    if after >= data.minutes:
        del parts[data.transfer]
    back = -_part(time_given, data.minutes, before, refund.minutes)
    paid = tuple((account, -refund.minutes) for account, _ in found.paid)
    return found._replace(
        way=way, given=((giver, back),), paid=paid, is_new=False, is_whole=after >= data.minutes, transfer=""
    )


def _sent_here(book: Book, data: m.Sent, read: Read) -> e.Entry | None:
    """The entry that sent what a peer's refund gives back; None when it was lost, and so was never counted."""
    assert data.refunds_at is not UNSET, "a refund says where its original was sent"
    at = book.recovered_at.get(str(data.refunds), data.refunds_at)
    found = read(at) if at < book.n else None
    if not isinstance(found, e.TransferSent | e.MessageRecoveredEntry) or found.postings is UNSET:
        return None
    return found if sent_data(found).transfer == data.refunds else None


def _refunded_here(sent: e.Entry, data: m.Sent, end: int, read: Read) -> e.Entry:
    """The entry, before position `end`, that received what a refund of ours gives back."""
    if isinstance(sent, e.TransferSent) and sent.data.original is not UNSET:
        found = read(sent.data.original)
        assert found is not None, "apply has read it"
        return found
    # A recovered refund names no position; such are few, so the journal is looked through.
    for position in range(end - 1, -1, -1):
        found = read(position)
        if isinstance(found, e.TransferReceived) and found.data.transfer == data.refunds:
            return found
    raise AssertionError("a peer's answer to a refund follows what is refunded")
