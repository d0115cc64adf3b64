"""Every figure of a town and a period, as one fold of its journal.

Give `take` each entry before `apply`. Nothing is kept of an entry but sums: memory grows with accounts, pairs of people
up to `PAIRS_MAX`, and what is open; a reversal or refund reads its original by position.
Source: design page 10; definitions for readers: docs/figures.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.book import apply
from timebank_contracts.figures_people import Cell
from timebank_contracts.figures_period import Period
from timebank_contracts.figures_services import (
    ELSEWHERE,
    PartsBack,
    Service,
    Way,
    sent_data,
    service_of,
)
from timebank_contracts.figures_thanks import Thanks
from timebank_contracts.figures_unit import Money, Unit, units_of
from timebank_contracts.names import parse_transfer
from timebank_contracts.rules_refunds import Read
from timebank_contracts.rules_reversal import shares_of
from timebank_contracts.state import Account, Book

PAIRS_MAX: Final = 200_000
"""Pairs of giver and receiver that reciprocity is computed from; of a town with more it is not."""
_MOVING: Final = (e.TransferPosted, e.TransferReceived, e.TransferReversed, e.AccountClosed)


class PeerFlow:
    """Service between this town and a peer, by the people of this town."""

    def __init__(self) -> None:
        self.given = Cell()
        self.given_by_others_minutes = 0
        """To the peer, by organisations and programmes."""
        self.used = Cell()
        """Minutes paid."""
        self.used_minutes = 0
        """Minutes of time that people of the peer gave here."""


class TownFigures:
    """The figures so far."""

    def __init__(self, period: Period) -> None:
        self.period = period
        self.given = Cell()
        self.home = Cell()
        """Given by people here to people here."""
        self.used = Cell()
        """By who was helped, minutes paid."""
        self.home_minutes = 0
        self.exports = Cell()
        self.imports = Cell()
        """By who was helped, minutes paid."""
        self.import_minutes = 0
        """Minutes of time given."""
        self.exports_by_others_minutes = 0
        """Given to other towns by organisations and programmes."""
        self.confirmed: dict[str, Cell] = {}
        """Of what is given, by who confirmed it."""
        self.confirmed_imports: dict[str, Cell] = {}
        """Of the imports, minutes of time given, by who confirmed them here."""
        self.excluded: dict[str, Cell] = {}
        """Purpose → what was credited and is no service of a person."""
        self.given_outside = Cell()
        """Given outside any programme and organisation."""
        self.used_outside = Cell()
        self.services: dict[Way, int] = {"home": 0, "export": 0, "import": 0}
        self.taken_back = 0
        """Services of which nothing is left; they stay counted among the services."""
        self.revisions = 0
        """Entries after the period's end that changed it."""
        self.pairs: dict[tuple[str, str], int] | None = {}
        self.units: dict[str, Unit] = {}
        self.peers: dict[str, PeerFlow] = {}
        self.money = Money()
        self.thanks = Thanks(period)
        self._parts = PartsBack()

    def take(self, book: Book, entry: e.Entry, read: Read) -> None:
        """Count the next entry.

        Args:
            book: before the entry.
            entry: one that `apply` takes.
            read: gives an earlier entry by position.
        """
        service = service_of(book, entry, read, self._parts)
        if service is not None:
            self._take_service(book, entry, service)
        elif isinstance(entry, _MOVING):
            self._take_excluded(book, entry, read)
        elif isinstance(entry, e.MoneyRecordedEntry):
            self._take_money(book, entry, read)
        self.thanks.take(book, entry, service, read)

    def _take_service(self, book: Book, entry: e.Entry, service: Service) -> None:
        period, accounts = self.period, book.accounts
        in_year = period.label_first_day <= service.served_on <= period.last_day
        in_period = period.holds_day(service.served_on)
        if not in_year and not in_period:
            return
        named = [account for account, _ in (*service.given, *service.paid)]
        units = units_of(accounts, service.programme, named)
        for name in units:
            unit = self._unit(accounts[name])
            if in_period:
                unit.take(service, accounts)
            if in_year:
                unit.take_year(service, accounts)
        if in_period:
            self.revisions += entry.time >= period.stop
            self.services[service.way] += service.is_new
            self.taken_back += service.is_whole
            self._take_given(book, service, is_outside=not units)
            self._take_used(book, service, is_outside=not units)

    def _take_given(self, book: Book, service: Service, *, is_outside: bool) -> None:
        for account, minutes in service.given:
            if account == ELSEWHERE:
                self.import_minutes += minutes
                self._peer(service.peer).used_minutes += minutes
            elif book.accounts[account].kind != "member":
                self._exclude("service_by_others", account, minutes)
                if service.way == "export":
                    self.exports_by_others_minutes += minutes
                    self._peer(service.peer).given_by_others_minutes += minutes
            else:
                self.given.add(account, minutes)
                if is_outside:
                    self.given_outside.add(account, minutes)
                self.confirmed.setdefault(service.confirmed_by, Cell()).add(account, minutes)
                if service.way == "home":
                    self.home_minutes += minutes
                    self.home.add(account, minutes)
                else:
                    self.exports.add(account, minutes)
                    self._peer(service.peer).given.add(account, minutes)
        if service.rest_minutes:
            self._exclude("session_rest_to_the_pot", "pot", service.rest_minutes)

    def _take_used(self, book: Book, service: Service, *, is_outside: bool) -> None:
        for account, minutes in service.paid:
            if book.accounts[account].kind == "member":
                self.used.add(account, minutes)
                if is_outside:
                    self.used_outside.add(account, minutes)
            if service.way == "import":
                self.imports.add(account, minutes)
                time_given = service.given[0][1]
                self.confirmed_imports.setdefault(service.confirmed_by, Cell()).add(account, time_given)
                self._peer(service.peer).used.add(account, minutes)
        if self.pairs is not None and len(service.given) == len(service.paid) == 1 and service.way == "home":
            (giver, _), (receiver, minutes) = service.given[0], service.paid[0]
            if {book.accounts[giver].kind, book.accounts[receiver].kind} == {"member"}:
                self._take_pair((giver, receiver), minutes, self.pairs)

    def _take_pair(self, pair: tuple[str, str], minutes: int, pairs: dict[tuple[str, str], int]) -> None:
        pairs[pair] = pairs.get(pair, 0) + minutes
        if len(pairs) > PAIRS_MAX:
            self.pairs = None

    def _unit(self, account: Account) -> Unit:
        found = self.units.get(account.account)
        if found is None:
            found = self.units[account.account] = Unit(account.kind, owner=account.owner)
        return found

    def _peer(self, name: str) -> PeerFlow:
        found = self.peers.get(name)
        if found is None:
            found = self.peers[name] = PeerFlow()
        return found

    def _exclude(self, purpose: str, account: str, minutes: int) -> None:
        self.excluded.setdefault(purpose, Cell()).add(account, minutes)

    def _take_excluded(self, book: Book, entry: e.Entry, read: Read) -> None:
        """What is credited, or taken back, and is no service: on the day of its entry."""
        moment, purpose, shares = entry.time, "", entry.postings
        if shares is UNSET:
            return
        if isinstance(entry, e.TransferPosted):
            purpose = entry.data.purpose
        elif isinstance(entry, e.TransferReceived):
            purpose = sent_data(entry).purpose
        elif isinstance(entry, e.AccountClosed):
            purpose = "closing"
        elif isinstance(entry, e.TransferReversed):
            original = read(parse_transfer(entry.data.transfer).position)
            assert isinstance(original, e.TransferPosted), "apply takes back local transfers only"
            assert original.postings is not UNSET
            purpose, moment = original.data.purpose, original.time
            minutes = None if entry.data.minutes is UNSET else entry.data.minutes
            taken = shares_of(book, original, minutes)
            shares = [
                (name, -share) for (name, moved), share in zip(original.postings, taken, strict=True) if moved > 0
            ]
        else:
            return
        if self.period.holds_moment(moment):
            for account, moved in shares:
                if moved > 0 or isinstance(entry, e.TransferReversed):
                    self._exclude(purpose, account, moved)

    def _take_money(self, book: Book, entry: e.MoneyRecordedEntry, read: Read) -> None:
        """Money on the day on which it was paid; what takes a record back is of that record's day."""
        data, paid_on = entry.data, entry.data.paid_on
        if data.corrects is not UNSET:
            record = read(parse_transfer(data.corrects).position)
            assert isinstance(record, e.MoneyRecordedEntry), "apply has read it"
            paid_on = record.data.paid_on
        if not self.period.holds_day(paid_on):
            return
        self.money.add(data.currency, data.kind, data.minor_units)
        programme, named = "" if data.programme is UNSET else data.programme, list[str]()
        if data.position is not UNSET:
            began = read(data.position)
            assert began is not None, "apply has read it"
            named = [] if began.postings is UNSET else [account for account, _ in began.postings]
            if isinstance(began, e.TransferPosted | e.TransferSent) and began.data.programme is not UNSET:
                programme = began.data.programme
        for name in units_of(book.accounts, programme, named):
            self._unit(book.accounts[name]).money.add(data.currency, data.kind, data.minor_units)


def town_figures(entries: Iterable[e.Entry], period: Period, read: Read) -> tuple[TownFigures, Book]:
    """The figures of a journal that follows the rules, and its book.

    Args:
        entries: from position 0 on.
        period: the days asked about.
        read: gives an earlier entry by position.

    The journal was replayed before: what `apply` would refuse is not looked for here.
    """
    found, book = TownFigures(period), Book()
    for entry in entries:
        found.take(book, entry, read)
        apply(book, entry, read=read)
    return found, book
