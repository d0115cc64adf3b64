"""P5 of claims, of what is taken back and of money, judged without `apply`: the part of the second set of books that
remembers what was said. `limits.py` keeps the accounts and asks this file about every entry; what concerns another town
is kept in `between_books.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Protocol

from msgspec import UNSET

from tests.simulation.between_books import BetweenBooks, text
from tests.simulation.recovered_books import recall
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.state import Book

DISPUTE = timedelta(days=30)
DECIDERS = ("broker", "operator")
LEFT = ("closing", "closed")


class Seen(Protocol):
    """What is needed of an account: see `limits.Account`."""

    state: str
    balance: int
    floor: int


@dataclass(slots=True)
class Claimed:
    """A claim that is not ended."""

    made: e.ClaimMade
    made_at: datetime
    until: datetime
    disputed: bool = False
    for_people: bool = False
    """Upheld, or open again: the rule does not confirm it any more."""


@dataclass(slots=True)
class Moved:
    """A transfer within the town, and the minutes taken back of each of its postings."""

    postings: list[tuple[str, int]]
    taken: list[int]
    claim: str = ""
    by_rule_until: datetime | None = None
    disputed: bool = False

    def left(self) -> list[int]:
        """What may still be taken back of each posting."""
        return [minutes - taken for (_, minutes), taken in zip(self.postings, self.taken, strict=True)]


@dataclass(slots=True)
class ClaimBooks:
    """Claims, transfers and money of one town, kept from its entries."""

    node: str
    generation: str = "g1"
    open: dict[str, Claimed] = field(default_factory=dict)
    made: dict[str, tuple[e.ClaimMade, datetime]] = field(default_factory=dict)
    moved: dict[int, Moved] = field(default_factory=dict)
    confirmed: dict[str, Moved] = field(default_factory=dict)
    """Claim → the last transfer that confirmed it."""
    begun: dict[int, str] = field(default_factory=dict)
    """Position → the transfer that began there, within the town or between towns."""
    money: dict[int, tuple[e.MoneyRecorded, bool]] = field(default_factory=dict)
    """Position → the record, and whether it was taken back."""
    between: BetweenBooks = field(init=False)

    def __post_init__(self) -> None:
        self.between = BetweenBooks(self.node)

    def take(self, entry: e.Entry, accounts: Mapping[str, Seen], policy: e.Policy | None) -> str | None:
        """Keep an entry, whose postings the accounts show already; the sentence about what it may not do, or None."""
        name = f"{self.node}.{self.generation}.{entry.n}"
        if not _is_within_the_town(entry):
            fault = self.between.take(entry, accounts, policy)
            if fault is not None:
                return fault
        match entry:
            case e.NodeOpened():
                self.generation = self.between.generation = entry.data.generation
            case e.MessageRecoveredEntry():
                recall(self.between, entry)
            case e.ClaimMadeEntry():
                return self._make(entry, name, accounts, policy)
            case e.TransferPosted():
                return self._post(entry, name, policy)
            case e.TransferSent():
                message = m.decode_message(bytes(entry.out))  # type: ignore[arg-type]  # the rules demand it
                assert isinstance(message, m.TransferSentMessage)
                self.begun[entry.n] = message.data.transfer
            case e.TransferReceived():
                self.begun[entry.n] = entry.data.transfer
            case e.ClaimWithdrawn() | e.ClaimExpired() if _is_within_the_town(entry):
                return self._end(entry, accounts)
            case e.ClaimDisputedEntry() | e.ClaimUpheld() if _is_within_the_town(entry):
                return self._dispute(entry)
            case e.TransferReversed():
                return self._take_back(entry, accounts, policy)
            case e.MoneyRecordedEntry():
                return self._record(entry)
        return None

    def named(self, account: str) -> int:
        """How many open claims name an account."""
        within = sum(account in (claim.made.giver, claim.made.receiver) for claim in self.open.values())
        return within + self.between.named(account)

    # Claims ------------------------------------------------------------------------------------------------------

    def _make(
        self, entry: e.ClaimMadeEntry, name: str, accounts: Mapping[str, Seen], policy: e.Policy | None
    ) -> str | None:
        data = entry.data
        if entry.by.kind in ("rule", "peer") or data.giver == data.receiver or entry.postings is not UNSET:
            return f"{name} is no claim of a person against another."
        for account in (data.giver, data.receiver):
            if accounts[account].state in LEFT:
                return f"{name} names {account}, which is {accounts[account].state}."
        self.made[name] = (data, _at(entry))
        self.open[name] = self._claimed(name, _at(entry), policy)
        return None

    def _claimed(self, name: str, since: datetime, policy: e.Policy | None) -> Claimed:
        made, made_at = self.made[name]
        assert policy is not None
        return Claimed(made, made_at, since + timedelta(days=policy.claim_expires_after_days))

    def _post(self, entry: e.TransferPosted, name: str, policy: e.Policy | None) -> str | None:
        assert entry.postings is not UNSET
        self.begun[entry.n] = name
        moved = self.moved[entry.n] = Moved(list(entry.postings), [0] * len(entry.postings))
        if entry.data.claim is UNSET:
            return None
        moved.claim = entry.data.claim
        claim = self.open.pop(moved.claim, None)
        if claim is None:
            return f"{moved.claim} is confirmed, and it is not open."
        if entry.by.kind == "rule":
            moved.by_rule_until = _at(entry) + DISPUTE
        self.confirmed[moved.claim] = moved
        return self._confirms_well(entry, claim, policy)

    @staticmethod
    def _confirms_well(entry: e.TransferPosted, claim: Claimed, policy: e.Policy | None) -> str | None:
        made, data = claim.made, entry.data
        assert policy is not None
        assert entry.postings is not UNSET
        (payer, paid), (payee, minutes) = entry.postings
        if (payer, payee, paid) != (made.receiver, made.giver, -minutes):
            return "A confirmation moves other minutes than from the receiver to the giver."
        given = UNSET if made.given_minutes is UNSET else [(made.giver, made.given_minutes)]
        if (data.activity, data.served_on, data.given, data.programme) != (
            made.activity,
            made.served_on,
            given,
            made.programme,
        ):
            return "A confirmation says something else than the claim."
        if 100 * minutes > made.minutes * (100 + policy.claim_tolerance_percent):
            return f"{minutes} minutes confirm a claim of {made.minutes}, above the tolerance."
        if claim.disputed and entry.by.kind not in DECIDERS:
            return f"A {entry.by.kind} confirms a disputed claim."
        if (entry.by.kind == "rule") != (data.confirmed_by == "rule"):
            return "Somebody confirms in the rule's name, or the rule in somebody's."
        if entry.by.kind != "rule":
            return None
        due = claim.made_at + timedelta(days=policy.auto_confirm_after_days)
        agreed = 0 if made.agreed_minutes is UNSET else made.agreed_minutes
        if not policy.auto_confirm_after_days or _at(entry) < due or claim.for_people:
            return "The rule confirms a claim that is not due."
        return None if agreed >= minutes == made.minutes else "The rule confirms what nobody had agreed."

    def _end(self, entry: e.ClaimWithdrawn | e.ClaimExpired, accounts: Mapping[str, Seen]) -> str | None:
        claim = self.open.pop(entry.data.claim, None)
        if claim is None:
            return f"{entry.data.claim} ends, and it is not open."
        if isinstance(entry, e.ClaimWithdrawn):
            return "The rule withdraws a claim." if entry.by.kind in ("rule", "peer") else None
        left = any(accounts[account].state in LEFT for account in (claim.made.giver, claim.made.receiver))
        over = _at(entry) >= claim.until and not claim.disputed
        return None if entry.by.kind == "rule" and (left or over) else f"{entry.data.claim} expires before its time."

    def _dispute(self, entry: e.ClaimDisputedEntry | e.ClaimUpheld) -> str | None:
        name, disputes = entry.data.claim, isinstance(entry, e.ClaimDisputedEntry)
        if entry.by.kind in ("rule", "peer") or not (disputes or entry.by.kind in DECIDERS):
            return f"A {entry.by.kind} disputes or decides."
        claim, moved = self.open.get(name), self.confirmed.get(name)
        if claim is None and (moved is None or moved.by_rule_until is None):
            return f"{name} is disputed, and there is nothing to dispute."
        if claim is None and moved is not None and disputes and _at(entry) > (moved.by_rule_until or _at(entry)):
            return f"{name} is disputed long after the rule confirmed it."
        found = claim or moved
        assert found is not None
        if found.disputed == disputes:
            return f"{name} is disputed twice, or decided without a dispute."
        found.disputed = disputes
        if not disputes and claim is not None:
            claim.for_people = True
        elif not disputes and moved is not None:
            moved.by_rule_until = None
        return None

    # Taken back --------------------------------------------------------------------------------------------------

    def _take_back(
        self, entry: e.TransferReversed, accounts: Mapping[str, Seen], policy: e.Policy | None
    ) -> str | None:
        moved = self.moved.get(int(entry.data.transfer.rpartition(".")[2]))
        if moved is None or self.begun.get(int(entry.data.transfer.rpartition(".")[2])) != entry.data.transfer:
            return f"{entry.data.transfer} is taken back, and it is no transfer of this town."
        left = moved.left()
        credited = sum(minutes for minutes in left if minutes > 0)
        minutes = credited if entry.data.minutes is UNSET else entry.data.minutes
        if not 1 <= minutes <= credited:
            return f"{minutes} minutes are taken back of {credited} that are left."
        shares = [one + other for one, other in zip(_part(minutes, left, 1), _part(minutes, left, -1), strict=True)]
        moved.taken = [taken + share for taken, share in zip(moved.taken, shares, strict=True)]
        if any(
            not 0 <= abs(taken) <= abs(minutes) for (_, minutes), taken in zip(moved.postings, moved.taken, strict=True)
        ):
            return "More is taken back of a posting than it moved."
        fault = self._gives_back(entry, moved, shares, accounts)
        if not any(moved.left()) and moved.claim:
            moved.by_rule_until, moved.disputed = None, False
            made, _ = self.made[moved.claim]
            if not any(accounts[account].state in LEFT for account in (made.giver, made.receiver)):
                self.open[moved.claim] = self._claimed(moved.claim, _at(entry), policy)
                self.open[moved.claim].for_people = True
        return fault

    @staticmethod
    def _gives_back(
        entry: e.TransferReversed, moved: Moved, shares: list[int], accounts: Mapping[str, Seen]
    ) -> str | None:
        assert entry.postings is not UNSET
        back = dict(entry.postings)
        of = {account for account, _ in moved.postings}
        if not back.keys() <= of | {"pot"}:
            return "Minutes are taken back from or to an account that had no part in the transfer."
        for (account, _), share in zip(moved.postings, shares, strict=True):
            found, gave = accounts[account], back.get(account, 0)
            if account == "pot" or gave == -share:
                continue
            may_stop = found.balance == found.floor or (gave == 0 and found.balance <= found.floor)
            at_floor = share > 0 and -share < gave <= 0 and may_stop
            if not (found.state == "closed" and gave == 0) and not at_floor:
                return f"{account} gives back {-gave} minutes of {share}."
        return None

    # Money -------------------------------------------------------------------------------------------------------

    def _record(self, entry: e.MoneyRecordedEntry) -> str | None:
        data = entry.data
        if entry.postings is not UNSET or entry.by.kind in ("member", "rule", "peer"):
            return "Money is posted, or recorded by somebody who may not."
        if data.position is not UNSET and self.begun.get(data.position) != data.transfer:
            return f"Money is about {data.transfer}, which did not begin at {data.position}."
        self.money[entry.n] = (data, False)
        if data.corrects is UNSET:
            return None if data.minor_units > 0 else "A record of money takes something back and names nothing."
        position = int(data.corrects.rpartition(".")[2])
        first, corrected = self.money.get(position, (data, True))
        if corrected or first.corrects is not UNSET or first.minor_units != -data.minor_units:
            return f"{data.corrects} is taken back twice, or by something else than its opposite."
        self.money[position] = (first, True)
        return None

    def differences(self, book: Book) -> Iterator[str]:
        """Sentences about claims of which the book says something else."""
        yield from self.between.differences(book)
        mine = {name: (claim.disputed, claim.for_people, text(claim.until)) for name, claim in self.open.items()}
        theirs = {
            name: (claim.disputed, claim.reopened, claim.expires_at)
            for name, claim in book.claims.items()
            if not claim.peer
        }
        for name in mine.keys() | theirs.keys():
            if mine.get(name) != theirs.get(name):
                yield f"The claim {name} is {mine.get(name)} by its entries, the book says {theirs.get(name)}."


def _is_within_the_town(entry: e.Entry) -> bool:
    """Whether the entry is about a claim whose both sides are accounts here, by its name: `node.generation.n`."""
    about = (e.ClaimWithdrawn, e.ClaimExpired, e.ClaimDisputedEntry, e.ClaimUpheld)
    return isinstance(entry, about) and entry.data.claim.count(".") == 2


def _part(minutes: int, left: list[int], sign: int) -> list[int]:
    """One side's shares of `minutes` by largest remainder, 0 for the other side's postings."""
    whole = sum(one for one in left if one * sign > 0)
    exact = [Fraction(minutes * one, abs(whole)) if one * sign > 0 else Fraction(0) for one in left]
    shares = [int(share) for share in exact]
    rest = minutes - abs(sum(shares))
    for index in sorted(range(len(left)), key=lambda at: (-abs(exact[at] - shares[at]), at))[:rest]:
        shares[index] += sign
    return shares


def _at(entry: e.Entry) -> datetime:
    return datetime.fromisoformat(entry.time)
