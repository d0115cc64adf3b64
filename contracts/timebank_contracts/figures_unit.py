"""Two economies: the hours of a programme or organisation, and money beside them; never one in terms of the other.

Source: design page 10, "Two economies" and "Reciprocity"; PROTOCOL.md F1 to F3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from timebank_contracts.figures_label import DEFAULT_POLICY, LabelPolicy, Person, TwoWay, two_way
from timebank_contracts.figures_people import Cell
from timebank_contracts.figures_period import Ratio
from timebank_contracts.figures_services import ELSEWHERE, Service
from timebank_contracts.state import Account

MONEY_MAX: Final = 100
"""Pairs of currency and kind of which money is added up, for a town and for each of its programmes."""
SPENT_KINDS: Final = frozenset({"pay", "materials", "travel"})
"""Money that was spent on the work; grants, fees and donations came in, and `other` is shown beside."""
UNIT_KINDS: Final = frozenset({"programme", "organisation"})


class Money:
    """Money by currency and kind, in minor units; what is above `MONEY_MAX` is counted and not added."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, str], int] = {}
        self.unlisted = 0
        """Records of further currencies and kinds."""

    def add(self, currency: str, kind: str, minor_units: int) -> None:
        """Count a record; what takes one back is below 0."""
        key = (currency, kind)
        if key not in self.of and len(self.of) >= MONEY_MAX:
            self.unlisted += 1
        else:
            self.of[key] = self.of.get(key, 0) + minor_units

    def spent(self) -> dict[str, int]:
        """By currency, what was spent."""
        found: dict[str, int] = {}
        for (currency, kind), minor_units in sorted(self.of.items()):
            if kind in SPENT_KINDS:
                found[currency] = found.get(currency, 0) + minor_units
        return found


class Pledge(NamedTuple):
    """What an organisation said that it accepts, what it accepted, what it issued; minutes of one period."""

    accepted: Ratio | None
    """Accepted over pledged; None when nothing was pledged."""
    issued: Ratio
    """Issued over accepted."""


class Unit:
    """One programme or organisation. Memory: the people who gave to it or were helped by it."""

    def __init__(self, kind: str, *, owner: str = "") -> None:
        self.kind = kind
        self.owner = owner
        """The organisation that runs a programme; empty for none."""
        self.given = Cell()
        """By people of this town, to it or within it."""
        self.used = Cell()
        """By people of this town, from it or within it: the minutes that they paid."""
        self.elsewhere_minutes = 0
        """Given to it or within it by people of other towns."""
        self.accepted_minutes = 0
        """Service that it gave for hours."""
        self.issued_minutes = 0
        """That it paid for service."""
        self.money = Money()
        self.year: dict[str, Person] = {}
        """People in the twelve months of the label."""
        self.independent_minutes = 0
        """In the same twelve months."""

    def take(self, service: Service, accounts: Mapping[str, Account]) -> None:
        """Count a service of the period."""
        for account, minutes in service.given:
            if account == ELSEWHERE:
                self.elsewhere_minutes += minutes
            elif accounts[account].kind == "member":
                self.given.add(account, minutes)
            else:
                self.accepted_minutes += minutes
        for account, minutes in service.paid:
            if accounts[account].kind == "member":
                self.used.add(account, minutes)
            else:
                self.issued_minutes += minutes

    def take_year(self, service: Service, accounts: Mapping[str, Account]) -> None:
        """Count a service of the label's twelve months."""
        is_design, is_independent = service.activity == "design", confirmed_independently(service, accounts)
        for account, minutes in service.given:
            if account != ELSEWHERE and accounts[account].kind == "member":
                person = self.year.setdefault(account, Person())
                person.given += minutes
                person.design += minutes if is_design else 0
                self.independent_minutes += minutes if is_independent else 0
        for account, minutes in service.paid:
            if accounts[account].kind == "member":
                self.year.setdefault(account, Person()).received += minutes

    def two_way(self, policy: LabelPolicy = DEFAULT_POLICY) -> TwoWay:
        """The two-way index and the label."""
        return two_way(self.year.values(), independent_minutes=self.independent_minutes, policy=policy)

    def pledge(self, pledged_minutes: int = 0) -> Pledge:
        """Shares of what was pledged for the period, in minutes; 0: nothing was."""
        accepted = Ratio(self.accepted_minutes, pledged_minutes) if pledged_minutes else None
        return Pledge(accepted, Ratio(self.issued_minutes, self.accepted_minutes))


def confirmed_independently(service: Service, accounts: Mapping[str, Account]) -> bool:
    """Whether neither the programme's side nor a rule confirmed it: a broker did, or the member who was helped."""
    if service.confirmed_by == "broker":
        return True
    payers = [accounts[account].kind for account, _ in service.paid]
    return service.confirmed_by == "receiver" and bool(payers) and set(payers) == {"member"}


def units_of(accounts: Mapping[str, Account], programme: str, named: list[str]) -> set[str]:
    """The programmes and organisations that something belongs to: named, or a side of it, and who runs them."""
    found = {name for name in [programme, *named] if name in accounts and accounts[name].kind in UNIT_KINDS}
    return found | {owner for name in found if (owner := accounts[name].owner)}
