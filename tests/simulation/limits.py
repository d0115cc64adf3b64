"""P5, judged without `apply`: no entry passes a limit that is in force at its position, by a second set of books.

What was claimed, taken back or recorded before is kept in `claim_books.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import UNSET

from tests.simulation.claim_books import ClaimBooks
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.amounts import LIMIT_MAX
from timebank_contracts.properties import within_limits
from timebank_contracts.state import Book


@dataclass(slots=True)
class Account:
    """An account as these books see it, in minutes."""

    floor: int
    ceiling: int
    kind: str = "member"
    state: str = "open"
    closing_since: str = ""
    balance: int = 0
    in_transit: int = 0


@dataclass(slots=True)
class Limits:
    """A town's accounts and peers, kept from its entries."""

    node: str
    accounts: dict[str, Account] = field(default_factory=dict)
    peers: dict[str, e.Peer] = field(default_factory=dict)
    policy: e.Policy | None = None
    payers: dict[str, tuple[str, int]] = field(default_factory=dict)
    claims: ClaimBooks = field(init=False)

    def __post_init__(self) -> None:
        self.claims = ClaimBooks(self.node)

    def take(self, entry: e.Entry) -> str | None:
        """Keep an entry; the sentence about a limit that it passes, or None."""
        match entry:
            case e.NodeOpened(data=node) if node.previous is not UNSET:
                self.accounts.setdefault("lost", Account(-LIMIT_MAX, LIMIT_MAX, "lost"))
            case e.AccountOpenedEntry(data=opened):
                self.accounts[opened.account] = Account(opened.floor, opened.ceiling, opened.kind)
                if opened.owner is not UNSET and self.accounts[opened.owner].kind != "organisation":
                    return f"{opened.account} belongs to {opened.owner}, which is no organisation."
            case e.AccountChangedEntry(data=changed):
                account = self.accounts[changed.account]
                account.floor, account.ceiling = changed.floor, changed.ceiling
            case e.AccountFrozen(data=named):
                self.accounts[named.account].state = "frozen"
            case e.AccountUnfrozen(data=named):
                self.accounts[named.account].state = "open"
            case e.AccountClosing(data=named):
                account = self.accounts[named.account]
                if account.state in ("closing", "closed"):
                    return f"{named.account} was {account.state} already."
                account.state, account.closing_since = "closing", entry.time
            case e.AccountClosed():
                return self._close(entry)
            case e.PolicyChanged(data=policy):
                self.policy = policy
            case e.PeerChanged(data=peer):
                self.peers[peer.peer] = peer
                for name in (f"clearing:{peer.peer}", f"transit:{peer.peer}"):
                    self.accounts.setdefault(name, Account(0, 0, "peer"))
        fault = self._post(entry) if entry.postings is not UNSET else None
        return fault or self.claims.take(entry, self.accounts, self.policy)

    def _close(self, entry: e.AccountClosed) -> str | None:
        """A leaver's whole remainder goes with the account: to the pot or a holder, or the pot bears it."""
        name = entry.data.account
        account = self.accounts[name]
        if account.state == "closed" or account.in_transit or self.claims.named(name):
            return f"{name} was closed while it was {account.state}, or had something open."
        by_rule, remainder = entry.by.kind == "rule", account.balance
        if by_rule and not (account.state == "closing" and (remainder == 0 or self._is_due(account, entry.time))):
            return f"The rule closed {name}, which is not due."
        account.state = "closed"
        if entry.postings is UNSET:
            return f"{name} was closed with {remainder} minutes." if remainder else None
        if entry.postings[0] != (name, -remainder) or entry.postings[1:] != [(entry.postings[1][0], remainder)]:
            return f"{name} was closed, and something else than its {remainder} minutes moved."
        taker_name = entry.postings[1][0]
        taker = self.accounts[taker_name]
        account.balance = 0
        taker.balance += remainder
        if taker.state == "closed" or taker.kind not in ("member", "organisation", "programme", "pot"):
            return f"{taker_name} cannot take what {name} left."
        if taker.kind != "pot" and (by_rule or remainder < 0):
            return f"{taker_name} took or bore what is the pot's."
        below, above = taker.balance < taker.floor, taker.balance + taker.in_transit > taker.ceiling
        return f"{taker_name} passed a limit by what {name} left." if (below if remainder < 0 else above) else None

    def _is_due(self, account: Account, time: str) -> bool:
        assert self.policy is not None
        since = datetime.fromisoformat(account.closing_since)
        return datetime.fromisoformat(time) >= since + timedelta(days=self.policy.leaver_after_days)

    def _post(self, entry: e.Entry) -> str | None:
        assert entry.postings is not UNSET
        if sum(minutes for _, minutes in entry.postings):
            return "The postings do not sum to 0."
        for name, minutes in entry.postings:
            self.accounts[name].balance += minutes
        if isinstance(entry, e.TransferSent):
            message = m.decode_message(bytes(entry.out))  # type: ignore[arg-type]  # the rules demand it
            assert isinstance(message, m.TransferSentMessage)
            payer = entry.postings[0][0]
            self.payers[message.data.transfer] = (payer, message.data.minutes)
            self.accounts[payer].in_transit += message.data.minutes
        elif isinstance(entry, e.MessageRecoveredEntry):
            message = m.decode_message(bytes(entry.in_))  # type: ignore[arg-type]  # the rules demand it
            assert isinstance(message, m.TransferSentMessage)
            payer = entry.postings[0][0]
            self.payers[message.data.transfer] = (payer, message.data.minutes)
            self.accounts[payer].in_transit += message.data.minutes
        elif isinstance(entry, e.TransferReceived) and entry.data.transfer in self.claims.between.forced:
            return None  # It was decided before state was lost: no limit refuses a fact.
        elif isinstance(entry, e.TransferSettled | e.TransferReturned):
            payer, minutes = self.payers.pop(entry.data.transfer)
            self.accounts[payer].in_transit -= minutes
        debt_limit = 0 if self.policy is None else self.policy.debt_limit
        passed = within_limits(entry, self.accounts, self.peers, debt_limit=debt_limit)
        return passed[0] if passed else None

    def differences(self, book: Book) -> list[str]:
        """Sentences about accounts and claims where the book says something else than these books."""
        found = list(self.claims.differences(book))
        for name, account in self.accounts.items():
            theirs = book.accounts[name]
            if (theirs.balance, theirs.in_transit) != (account.balance, account.in_transit):
                found.append(f"{name} has {account.balance} minutes by its postings, the book says {theirs.balance}.")
            if theirs.state != account.state or theirs.open_claims != self.claims.named(name):
                found.append(f"{name} is {account.state} by its entries, the book says {theirs.state}.")
        return found
