"""Thanks: how many were given and received, and what share of the services was thanked for within 30 days.

A service is used in one town only: there its thanks by who was helped are counted, so towns add up. A thanked service
that is taken back later stays in both numbers: people were thanked, and no minutes.
Source: design page 10, "Thanks"; PROTOCOL.md D13, D14.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.figures_period import Period
from timebank_contracts.figures_services import Service, sent_data
from timebank_contracts.moments import parse_time, show_time
from timebank_contracts.rules_refunds import Read
from timebank_contracts.state import Book

THANKED_WITHIN_DAYS: Final = 30


class Thanks:
    """The thanks of one town and period. Memory: what is open, and what came back in the last 30 days."""

    def __init__(self, period: Period) -> None:
        self.given = 0
        """By people here."""
        self.received = 0
        self.services = 0
        """Used here, and recorded for a day of the period."""
        self.thanked = 0
        """Of those, thanked for by who was helped, within 30 days."""
        self._period = period
        self._early: set[str] = set()
        """Open transfers that are thanked for already."""
        self._returned: dict[str, str] = {}
        """Transfers that came back, and when; in order of time."""

    def take(self, book: Book, entry: e.Entry, service: Service | None, read: Read) -> None:
        """Count the next entry, which says this of a service."""
        if service is not None:
            self._take_service(service)
        elif isinstance(entry, e.ThanksGivenEntry):
            self._take_thanks(book, entry, read)
        elif isinstance(entry, e.TransferReturned):
            self._forget(entry.time)
            self._early.discard(entry.data.transfer)
            self._returned[entry.data.transfer] = entry.time
        elif isinstance(entry, e.MessageRecoveredEntry) and entry.in_ is not UNSET:
            message = m.decode_message(bytes(entry.in_))
            is_thanks = isinstance(message, m.ThanksGivenMessage)
            # They were given before state was lost; of which service's day, the journal does not know any more.
            self.given += is_thanks and self._period.holds_moment(message.time)

    def _take_service(self, service: Service) -> None:
        if not service.is_new or service.way == "export":
            return
        counts = self._period.holds_day(service.served_on)
        self.services += counts
        if service.transfer in self._early:
            self._early.discard(service.transfer)
            self.thanked += counts

    def _take_thanks(self, book: Book, entry: e.ThanksGivenEntry, read: Read) -> None:
        from_peer = entry.in_ is not UNSET
        if self._period.holds_moment(entry.time):
            self.given += not from_peer
            self.received += entry.out is UNSET
        if from_peer or entry.data.side != "payer" or entry.data.position is UNSET:
            return
        began = read(entry.data.position)
        assert began is not None, "apply has read it"
        data = began.data if isinstance(began, e.TransferPosted) else sent_data(began)
        assert isinstance(data, e.Posted | m.Sent)
        if data.purpose != "service" or entry.time > _days_after(began.time):
            return
        transfer = entry.data.transfer
        if transfer in book.open_transfers:
            self._early.add(transfer)
        elif transfer not in self._returned:
            self.thanked += self._period.holds_day(str(data.served_on))

    def _forget(self, time: str) -> None:
        # What came back longer ago began before that, and can be thanked for in time no more.
        old = []
        for transfer, returned_at in self._returned.items():
            if _days_after(returned_at) >= time:
                break
            old.append(transfer)
        for transfer in old:
            del self._returned[transfer]


def _days_after(time: str) -> str:
    return show_time(parse_time(time) + timedelta(days=THANKED_WITHIN_DAYS))
