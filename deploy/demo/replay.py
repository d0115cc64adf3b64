"""A small replay of the season's files: what each step must come to under the rules, without the ledger. Pure.

It is written from the rules' text (floor, ceiling, pair limit; the payee's town decides) and shares no code with the
ledger's `apply`, so that the two can disagree. Messages between towns are carried at once or once a day: the outcome
must not hang on it.
Source: design page 2, "Transfer between towns"; page 3, "Accounts".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from deploy.demo.cast import Member, Town

NO_LIMIT: Final = 10_000_000


class Line(NamedTuple):
    """A row of exchanges.csv with its amounts as minutes."""

    time: datetime
    payer_town: str
    payer: str
    payee_town: str
    payee: str
    minutes: int
    purpose: str
    activity: str = ""
    served_on: str = ""
    given: int | None = None
    confirmed_by: str = "none"
    group: str = ""


@dataclass
class Account:
    """Balance and limits, in minutes."""

    floor: int
    ceiling: int
    balance: int = 0
    in_transit: int = 0


@dataclass
class Replay:
    """Three towns' balances while the season runs.

    Args:
        towns, members: who takes part, with their limits.
        carries_daily: messages travel when a new day begins; else at once.
    """

    towns: Sequence[Town]
    members: Iterable[Member]
    carries_daily: bool
    accounts: dict[tuple[str, str], Account] = field(default_factory=dict)
    debts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(town, other) → minutes that the town owes the other, as the town sees it, transfers under way included."""
    outcomes: Counter[str] = field(default_factory=Counter)
    under_way: list[Line] = field(default_factory=list)
    taken: list[Line] = field(default_factory=list)
    """Lines that were accepted for good."""

    def __post_init__(self) -> None:
        limits = {town.town: town for town in self.towns}
        for town in self.towns:
            self.accounts[town.town, "pot"] = Account(0, NO_LIMIT)
        for member in self.members:
            town = limits[member.town]
            floor = town.default_floor if member.floor is None else member.floor
            ceiling = town.default_ceiling if member.ceiling is None else member.ceiling
            self.accounts[member.town, member.handle] = Account(floor, ceiling)

    def begin_day(self) -> None:
        """Carry what is under way: each payee's town decides, and the payer's town hears it."""
        for line in self.under_way:
            payer = self.accounts[line.payer_town, line.payer]
            payee = self.accounts[line.payee_town, line.payee]
            payer.in_transit -= line.minutes
            if payee.balance + payee.in_transit + line.minutes > payee.ceiling:
                payer.balance += line.minutes
                self.debts[line.payer_town, line.payee_town] -= line.minutes
                self.outcomes["ceiling_exceeded"] += 1
            else:
                payee.balance += line.minutes
                self.debts[line.payee_town, line.payer_town] -= line.minutes
                self.outcomes["accepted"] += 1
                self.taken.append(line)
        self.under_way.clear()

    def judge(self, step: Sequence[Line]) -> str:
        """`accepted`, or the code with which the payer's town refuses the step; nothing changes."""
        moved = Counter[tuple[str, str]]()
        for line in step:
            moved[line.payer_town, line.payer] -= line.minutes
            if line.payer_town == line.payee_town:
                moved[line.payee_town, line.payee] += line.minutes
        for key, minutes in moved.items():
            account = self.accounts[key]
            if minutes < 0 and account.balance + minutes < account.floor:
                return "floor"
            if minutes > 0 and account.balance + account.in_transit + minutes > account.ceiling:
                return "ceiling_exceeded_at_home"
        first = step[0]
        if first.payer_town != first.payee_town:
            limit = min(town.pair_limit for town in self.towns if town.town in (first.payer_town, first.payee_town))
            if self.debts[first.payer_town, first.payee_town] + first.minutes > limit:
                return "pair_limit_exceeded"
        return "accepted"

    def enter(self, step: Sequence[Line]) -> None:
        """Judge a step and, where it is accepted, move its minutes."""
        code = self.judge(step)
        if code != "accepted":
            self.outcomes[code] += 1
            return
        first = step[0]
        for line in step:
            self.accounts[line.payer_town, line.payer].balance -= line.minutes
        if first.payer_town == first.payee_town:
            for line in step:
                self.accounts[line.payee_town, line.payee].balance += line.minutes
            self.outcomes["accepted"] += 1
            self.taken += step
            return
        self.accounts[first.payer_town, first.payer].in_transit += first.minutes
        self.debts[first.payer_town, first.payee_town] += first.minutes
        self.under_way.append(first)
        if not self.carries_daily:
            self.begin_day()
