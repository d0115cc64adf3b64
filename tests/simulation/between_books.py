"""P5 and P8 of refunds, claims and thanks between towns, judged without `apply`: what one town said and heard of them.

`claim_books.py` keeps what stays within the town and hands over what a message carries.
Source: PROTOCOL.md T15, T16, D8 to D14.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import UNSET, Raw, UnsetType

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.state import Book

if TYPE_CHECKING:
    from tests.simulation.claim_books import Seen

DECIDERS = ("broker", "operator")
NOBODY = ("rule", "peer")
LEFT = ("closing", "closed")
PUT_TO_NOBODY = ("alias_unknown", "account_closed", "claim_limit", "expired")
GRACE = timedelta(days=7)
THANKS = timedelta(days=90)


@dataclass(slots=True)
class Sent:
    """A claim on somebody in another town, which is not ended."""

    giver: str
    peer: str
    until: datetime
    disputed: bool = False


@dataclass(slots=True)
class Put:
    """A peer's claim, put to somebody here, which is not ended."""

    account: str
    peer: str
    said: m.Claimed
    until: datetime
    disputed: bool = False
    for_people: bool = False


@dataclass(slots=True)
class UnderWay:
    """A transfer of ours, and what it is for."""

    minutes: int
    refunds: str = ""
    claim: str = ""
    put: Put | None = None
    """What opens again when it comes back."""
    is_recovered: bool = False
    """A peer handed it back: what it is for may be lost, or still to come."""


@dataclass(slots=True, frozen=True)
class Began:
    """A transfer, at the position where it began in this journal."""

    transfer: str
    at: datetime
    peer: str = ""
    account: str = ""
    """Who paid here, or was paid."""
    minutes: int = 0
    sides: tuple[str, ...] = ("payer", "payee")
    said_at: int = -1
    """Where the peer's journal sent it."""
    is_refund: bool = False


@dataclass(slots=True)
class BetweenBooks:
    """Refunds, claims and thanks of one town with all its peers."""

    node: str
    generation: str = "g1"
    sent: dict[str, Sent] = field(default_factory=dict)
    put: dict[str, Put] = field(default_factory=dict)
    sent_ever: dict[str, str] = field(default_factory=dict)
    """Claim of ours → the peer."""
    heard_ever: dict[str, str] = field(default_factory=dict)
    """Claim that came → the peer."""
    ended: dict[str, str] = field(default_factory=dict)
    """Claim → paid, withdrawn, expired or refused."""
    began: dict[int, Began] = field(default_factory=dict)
    under_way: dict[str, UnderWay] = field(default_factory=dict)
    given_back: dict[str, int] = field(default_factory=dict)
    """Transfer from a peer → minutes of refunds, under way or final."""
    thanked: set[tuple[str, str]] = field(default_factory=set)
    forced: dict[str, str] = field(default_factory=dict)
    """Transfer or claim of a peer's → what was decided of it before state was lost."""
    recalled: dict[str, int] = field(default_factory=dict)
    """Own transfer that was recovered → where it began now."""

    def take(self, entry: e.Entry, accounts: Mapping[str, Seen], policy: e.Policy | None) -> str | None:
        """Keep an entry; the sentence about what it may not do, or None."""
        match entry:
            case e.TransferPosted():
                self.began[entry.n] = Began(f"{self.node}.{self.generation}.{entry.n}", _at(entry))
            case e.TransferSent():
                return self._send(entry, policy)
            case e.TransferSettled() | e.TransferReturned():
                return self._end_transfer(entry, accounts, policy)
            case e.TransferReceived():
                return self._receive(entry)
            case e.TransferRejected():
                return self._reject(entry)
            case e.ClaimSentEntry():
                return self._make(entry, accounts, policy)
            case e.ClaimReceived() | e.ClaimRefusedEntry():
                return self._hear(entry, accounts)
            case e.ClaimWithdrawn():
                return self._withdraw(entry)
            case e.ClaimExpired():
                return self._expire(entry, accounts)
            case e.ClaimDisputedEntry() | e.ClaimUpheld():
                return self._dispute(entry)
            case e.ThanksGivenEntry():
                return self._thank(entry)
        return None

    def named(self, account: str) -> int:
        """How many open claims between towns name an account."""
        here = [claim.giver for claim in self.sent.values()] + [claim.account for claim in self.put.values()]
        return here.count(account)

    # Transfers and refunds ---------------------------------------------------------------------------------------

    def _send(self, entry: e.TransferSent, policy: e.Policy | None) -> str | None:
        data, payer = _transfer(entry.out), _accounts(entry)[0]
        peer = entry.data.peer
        self.began[entry.n] = Began(data.transfer, _at(entry), peer, payer, data.minutes, ("payer",))
        way = self.under_way[data.transfer] = UnderWay(data.minutes)
        if data.purpose == "refund":
            return self._give_back(entry, data, way)
        return self._pay(entry, data, way, policy) if data.claim is not UNSET else None

    def _give_back(self, entry: e.TransferSent, data: m.Sent, way: UnderWay) -> str | None:
        way.refunds, payer = str(data.refunds), _accounts(entry)[0]
        original = None if entry.data.original is UNSET else self.began.get(entry.data.original)
        if original is None or (original.transfer, original.peer) != (data.refunds, entry.data.peer):
            return f"{data.refunds} is given back to {entry.data.peer}, and did not come from there."
        if original.sides != ("payee",) or original.is_refund or original.said_at != data.refunds_at:
            return f"{data.refunds} is given back, and is a refund itself or said to be sent elsewhere."
        if payer != original.account and not (payer == "pot" and entry.by.kind in DECIDERS):
            return f"{payer} gives back what {original.account} was given."
        total = self.given_back[way.refunds] = self.given_back.get(way.refunds, 0) + data.minutes
        return f"{total} minutes are given back of {original.minutes}." if total > original.minutes else None

    def _pay(self, entry: e.TransferSent, data: m.Sent, way: UnderWay, policy: e.Policy | None) -> str | None:
        way.claim = str(data.claim)
        claim = way.put = self.put.pop(way.claim, None)
        if claim is None or policy is None:
            return f"{way.claim} is confirmed, and it is not open."
        made = claim.said
        wanted = (claim.peer, claim.account, made.giver, made.activity, made.served_on, made.given_minutes)
        payer = _accounts(entry)[0]
        if (entry.data.peer, payer, data.payee, data.activity, data.served_on, data.given_minutes) != wanted:
            return f"The confirmation of {way.claim} says something else than the claim."
        if 100 * data.minutes > made.minutes * (100 + policy.claim_tolerance_percent):
            return f"{data.minutes} minutes confirm a claim of {made.minutes}, above the tolerance."
        if entry.by.kind in NOBODY or (claim.disputed and entry.by.kind not in DECIDERS):
            return f"A {entry.by.kind} confirms {way.claim}."
        return None

    def _end_transfer(
        self, entry: e.TransferSettled | e.TransferReturned, accounts: Mapping[str, Seen], policy: e.Policy | None
    ) -> str | None:
        way = self.under_way.pop(entry.data.transfer)
        if isinstance(entry, e.TransferSettled):
            if way.claim and way.put is None and not way.is_recovered:
                return f"{way.claim} was withdrawn by its giver, and paid."
            if way.claim:
                self.ended[way.claim] = "paid"
            return None
        if way.refunds:
            self.given_back[way.refunds] -= way.minutes
        if way.put is None:
            if way.claim and way.is_recovered:
                self.ended.setdefault(way.claim, "expired")
            return None
        if entry.data.reason == "claim_withdrawn" or accounts[way.put.account].state in LEFT:
            self.ended[way.claim] = "withdrawn" if entry.data.reason == "claim_withdrawn" else "expired"
            return None
        assert policy is not None
        way.put.until = _at(entry) + timedelta(days=policy.claim_expires_after_days)
        way.put.for_people = True
        self.put[way.claim] = way.put
        return None

    def _receive(self, entry: e.TransferReceived) -> str | None:
        data, peer, payee = _transfer(entry.in_), str(entry.by.id), _accounts(entry)[1]
        is_refund = data.purpose == "refund"
        self.began[entry.n] = Began(
            data.transfer, _at(entry), peer, payee, data.minutes, ("payee",), data.at, is_refund
        )
        if self.forced.pop(data.transfer, None) is not None:
            # Decided long ago: only whom it credits was looked for now.
            if data.claim is not UNSET:
                self.sent.pop(data.claim, None)
                self.ended[data.claim] = "paid"
            return None
        if is_refund:
            assert data.refunds_at is not UNSET
            paid = self.began.get(self.recalled.get(str(data.refunds), data.refunds_at))
            if paid is None or (paid.transfer, paid.peer, paid.sides) != (data.refunds, peer, ("payer",)):
                return f"{peer} gives back {data.refunds}, which was never sent to it from there."
            return None if payee == paid.account else f"{payee} gets back what {paid.account} had paid."
        if data.claim is UNSET:
            return None
        claim = self.sent.pop(data.claim, None)
        if claim is None:
            return f"{data.claim} is paid, and was {self.ended.get(data.claim, 'never made')}."
        self.ended[data.claim] = "paid"
        same = (claim.giver, claim.peer) == (payee, peer)
        return None if same else f"{data.claim} of {claim.giver} on {claim.peer} is paid to {payee} by {peer}."

    def _reject(self, entry: e.TransferRejected) -> str | None:
        data = _transfer(entry.in_)
        if self.forced.pop(data.transfer, None) is not None or entry.data.reason != "claim_withdrawn":
            return None
        how = self.ended.get(str(data.claim), "open")
        fair = how in ("withdrawn", "expired")
        return None if fair else f"{data.transfer} is rejected as withdrawn, and {data.claim} is {how}."

    # Claims ------------------------------------------------------------------------------------------------------

    def _make(self, entry: e.ClaimSentEntry, accounts: Mapping[str, Seen], policy: e.Policy | None) -> str | None:
        data, giver, peer = _claimed(entry.out), entry.data.giver, entry.data.peer
        self.sent[data.claim] = Sent(giver, peer, datetime.fromisoformat(data.expires_at))
        self.sent_ever[data.claim] = peer
        if entry.by.kind in NOBODY or accounts[giver].state in LEFT or entry.postings is not UNSET:
            return f"{data.claim} is no claim of a person who may."
        assert policy is not None
        days = timedelta(days=policy.claim_expires_after_days)
        fits = _at(entry) + days == self.sent[data.claim].until
        return None if fits else f"{data.claim} has another time than the town's policy."

    def _hear(self, entry: e.ClaimReceived | e.ClaimRefusedEntry, accounts: Mapping[str, Seen]) -> str | None:
        data, peer = _claimed(entry.in_), str(entry.by.id)
        if data.claim in self.heard_ever:
            return f"{data.claim} came twice."
        self.heard_ever[data.claim] = peer
        before = self.forced.pop(data.claim, "")
        if isinstance(entry, e.ClaimRefusedEntry):
            self.ended.setdefault(data.claim, "refused")
            return None
        if before == "paid":
            return None
        account, until = entry.data.account, datetime.fromisoformat(data.expires_at)
        self.put[data.claim] = Put(account, peer, data, until, disputed=before == "disputed")
        if accounts[account].state in LEFT or _at(entry) > until:
            return f"{data.claim} is put to {account}, which is {accounts[account].state}, or after its time."
        return None

    def _withdraw(self, entry: e.ClaimWithdrawn) -> str | None:
        name = entry.data.claim
        if entry.in_ is UNSET:
            if self.sent.pop(name, None) is None:
                return f"{name} is withdrawn, and it is not open."
            self.ended[name] = "withdrawn"
            return "A rule withdraws a claim." if entry.by.kind in NOBODY else None
        waiting = [way for way in self.under_way.values() if way.claim == name]
        if self.put.pop(name, None) is not None or waiting:
            self.ended[name] = "withdrawn"
        for way in waiting:
            way.put = None
        return None

    def _expire(self, entry: e.ClaimExpired, accounts: Mapping[str, Seen]) -> str | None:
        name = entry.data.claim
        ours, theirs = self.sent.pop(name, None), self.put.pop(name, None)
        self.ended[name] = "expired"
        due = ours is not None and _at(entry) >= ours.until + GRACE
        if theirs is not None:
            over = _at(entry) >= theirs.until and not theirs.disputed
            due = over or accounts[theirs.account].state in LEFT
        return None if due and entry.by.kind == "rule" else f"{name} expires before its time."

    def _dispute(self, entry: e.ClaimDisputedEntry | e.ClaimUpheld) -> str | None:
        name = entry.data.claim
        if entry.in_ is not UNSET:
            assert isinstance(entry, e.ClaimDisputedEntry)
            ours = self.sent.get(name)
            if ours is not None and entry.data.reason in PUT_TO_NOBODY:
                del self.sent[name]
                self.ended[name] = "refused"
            elif ours is not None:
                ours.disputed = True
            return None
        claim, disputes = self.put.get(name), isinstance(entry, e.ClaimDisputedEntry)
        if claim is None or claim.disputed == disputes:
            return f"{name} is disputed twice, decided without a dispute, or not open."
        if entry.by.kind in NOBODY or not (disputes or entry.by.kind in DECIDERS):
            return f"A {entry.by.kind} disputes or decides."
        claim.disputed = disputes
        claim.for_people = claim.for_people or not disputes
        return None

    # Thanks ------------------------------------------------------------------------------------------------------

    def _thank(self, entry: e.ThanksGivenEntry) -> str | None:
        said = entry.data
        key = (said.transfer, said.side)
        again = key in self.thanked
        self.thanked.add(key)
        if again:
            return f"The {said.side} of {said.transfer} thanks twice."
        if entry.in_ is not UNSET:
            theirs = "payee" if said.transfer.startswith(f"{self.node}.") else "payer"
            return None if said.side == theirs else f"{said.transfer} is thanked for by the wrong side."
        began = None if said.position is UNSET else self.began.get(said.position)
        if began is None or began.transfer != said.transfer or said.side not in began.sides:
            return f"{said.transfer} is thanked for, and did not begin at {said.position}."
        on_time = _at(entry) <= began.at + THANKS and entry.by.kind not in NOBODY
        return None if on_time else f"{said.transfer} is thanked for too late, or by nobody."

    def differences(self, book: Book) -> Iterator[str]:
        """Sentences about refunds and claims between towns of which the book says something else."""
        sent = {name: (claim.giver, claim.disputed, text(claim.until)) for name, claim in self.sent.items()}
        told = {name: (claim.giver, claim.disputed, claim.expires_at) for name, claim in book.sent_claims.items()}
        if sent != told:
            yield f"The claims {sorted(sent)} were sent and are open by their entries, the book says {sorted(told)}."
        put = {name: (c.account, c.disputed, c.for_people, text(c.until)) for name, c in self.put.items()}
        theirs = {
            name: (claim.receiver, claim.disputed, claim.reopened, claim.expires_at)
            for name, claim in book.claims.items()
            if claim.peer
        }
        if put != theirs:
            yield f"The claims {sorted(put)} are open by what came, the book says {sorted(theirs)}."
        given_back = {name: minutes for name, minutes in self.given_back.items() if minutes}
        if given_back != book.refunded:
            yield f"{given_back} was given back by the entries, the book says {book.refunded}."


def disagreements(giver: BetweenBooks, receiver: BetweenBooks) -> Iterator[str]:
    """P8 of claims of one town on another, when both heard everything: sentences about what they mean differently."""
    made = {name for name, peer in giver.sent_ever.items() if peer == receiver.node}
    heard = {name for name, peer in receiver.heard_ever.items() if peer == giver.node}
    if made != heard:
        yield f"{giver.node} made {len(made)} claims on {receiver.node}, which heard of {len(heard)}."
    for name in sorted(made & heard):
        here, there = giver.ended.get(name, "open"), receiver.ended.get(name, "open")
        # A clock ends a claim and nobody is told; and one may be withdrawn while the word of its refusal is on its way.
        one_sided = "open" in (here, there) and "expired" not in (here, there)
        if here != there and (one_sided or "paid" in (here, there)):
            yield f"{name} is {here} at {giver.node} and {there} at {receiver.node}."


def _transfer(raw: Raw | UnsetType) -> m.Sent:
    message = m.decode_message(bytes(raw))  # type: ignore[arg-type]  # the rules demand it
    assert isinstance(message, m.TransferSentMessage)
    return message.data


def _claimed(raw: Raw | UnsetType) -> m.Claimed:
    message = m.decode_message(bytes(raw))  # type: ignore[arg-type]  # the rules demand it
    assert isinstance(message, m.ClaimMadeMessage)
    return message.data


def _accounts(entry: e.Entry) -> list[str]:
    assert entry.postings is not UNSET
    return [account for account, _ in entry.postings]


def _at(entry: e.Entry) -> datetime:
    return datetime.fromisoformat(entry.time)


def text(moment: datetime) -> str:
    """The wire form."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
