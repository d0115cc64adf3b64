"""Rules of money beside hours: what was settled elsewhere is recorded, never posted; no balance, no rate.

Source: design page 3, "One unit"; page 10, "Two economies"; PROTOCOL.md F1 to F3.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.messages import TransferSentMessage, decode_message
from timebank_contracts.moments import parse_date
from timebank_contracts.names import local_transfer, parse_transfer
from timebank_contracts.rules_accounts import check_programme, no_postings
from timebank_contracts.state import Book

_KEEPERS = frozenset({"broker", "operator", "delegate", "partner"})


def money_recorded(book: Book, entry: e.MoneyRecordedEntry, read: Callable[[int], e.Entry | None]) -> None:
    no_postings(entry)
    data = entry.data
    if entry.by.kind not in _KEEPERS:
        raise Refusal("purpose_invalid", "A broker, an operator or an organisation records money.")
    if (data.transfer is UNSET) == (data.programme is UNSET) or (data.transfer is UNSET) != (data.position is UNSET):
        raise Refusal("money_invalid")
    try:
        ahead = (parse_date(data.paid_on) - parse_date(entry.time[:10])).days
    except Malformed as error:
        raise Refusal("money_invalid", str(error)) from error
    if ahead > 1:
        raise Refusal("money_invalid", "Money that was settled has a day until today.")
    if data.corrects is not UNSET:
        # It is about what the record was about, whose programme may have closed meanwhile.
        book.money_corrected.add(_corrected(book, data, data.corrects, read))
        return
    if data.programme is not UNSET:
        check_programme(book, data.programme)
    elif data.position is not UNSET and transfer_at(book, read(data.position)) != data.transfer:
        raise Refusal("transfer_unknown")
    if data.minor_units <= 0:
        raise Refusal("money_invalid")


def _corrected(book: Book, data: e.MoneyRecorded, name: str, read: Callable[[int], e.Entry | None]) -> int:
    """Position of the record that is taken back whole; raises unless the correction is its opposite."""
    position = parse_transfer(name).position
    if (
        name != local_transfer(book.identity_at(position), position)
        or position >= book.n
        or position in book.money_corrected
    ):
        raise Refusal("money_unknown")
    found = read(position)
    if not isinstance(found, e.MoneyRecordedEntry) or found.data.corrects is not UNSET:
        raise Refusal("money_unknown")
    one = found.data
    about = (one.transfer, one.position, one.programme, one.currency, one.kind, one.minor_units)
    if about != (data.transfer, data.position, data.programme, data.currency, data.kind, -data.minor_units):
        raise Refusal("money_invalid", "A correction takes the whole record back: its opposite, about the same thing.")
    return position


def transfer_at(book: Book, entry: e.Entry | None) -> str | None:
    """Id of the transfer that an entry of this journal began here, or None."""
    if isinstance(entry, e.TransferPosted):
        return local_transfer(book.identity_at(entry.n), entry.n)
    if isinstance(entry, e.TransferReceived):
        return entry.data.transfer
    raw = entry.out if isinstance(entry, e.TransferSent) else UNSET
    if isinstance(entry, e.MessageRecoveredEntry):
        raw = entry.in_
    if raw is UNSET:
        return None
    message = decode_message(bytes(raw))
    return message.data.transfer if isinstance(message, TransferSentMessage) else None
