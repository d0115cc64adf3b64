"""P5, judged without `apply`: no entry passes a limit that is in force at its position, by a second set of books."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.state import Book

CEILINGS_TESTED = (e.TransferPosted, e.TransferReceived)
FLOORS_TESTED = (e.TransferPosted, e.TransferSent, e.TransferReversed)


@dataclass(slots=True)
class Account:
    """An account as these books see it, in minutes."""

    floor: int
    ceiling: int
    state: str = "open"
    balance: int = 0
    in_transit: int = 0


@dataclass(slots=True)
class Limits:
    """A town's accounts and peers, kept from its entries."""

    node: str
    accounts: dict[str, Account] = field(default_factory=dict)
    peers: dict[str, e.Peer] = field(default_factory=dict)
    debt_limit: int = 0
    payers: dict[str, tuple[str, int]] = field(default_factory=dict)

    def take(self, entry: e.Entry) -> str | None:
        """Keep an entry; the sentence about a limit that it passes, or None."""
        match entry:
            case e.AccountOpenedEntry(data=opened):
                self.accounts[opened.account] = Account(opened.floor, opened.ceiling)
            case e.AccountChangedEntry(data=changed):
                account = self.accounts[changed.account]
                account.floor, account.ceiling = changed.floor, changed.ceiling
            case e.AccountFrozen(data=named):
                self.accounts[named.account].state = "frozen"
            case e.AccountUnfrozen(data=named):
                self.accounts[named.account].state = "open"
            case e.AccountClosed(data=named):
                account = self.accounts[named.account]
                account.state = "closed"
                if account.balance or account.in_transit:
                    return f"{named.account} was closed with {account.balance} minutes."
            case e.PolicyChanged(data=policy):
                self.debt_limit = policy.debt_limit
            case e.PeerChanged(data=peer):
                self.peers[peer.peer] = peer
                for name in (f"clearing:{peer.peer}", f"transit:{peer.peer}"):
                    self.accounts.setdefault(name, Account(0, 0))
        return self._post(entry) if entry.postings is not UNSET else None

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
        elif isinstance(entry, e.TransferSettled | e.TransferReturned):
            payer, minutes = self.payers.pop(entry.data.transfer)
            self.accounts[payer].in_transit -= minutes
        return self._passed_account(entry) or self._passed_peer(entry)

    def _passed_account(self, entry: e.Entry) -> str | None:
        assert entry.postings is not UNSET
        for name, minutes in entry.postings:
            if ":" in name:
                continue
            account = self.accounts[name]
            if account.state == "closed":
                return f"{name} is closed."
            if isinstance(entry, FLOORS_TESTED) and minutes < 0:
                if account.balance < account.floor:
                    return f"{name} stands at {account.balance}, below its floor {account.floor}."
                if account.state == "frozen" and not isinstance(entry, e.TransferReversed):
                    return f"{name} is frozen and was debited."
            top = account.balance + account.in_transit
            if isinstance(entry, CEILINGS_TESTED) and minutes > 0 and top > account.ceiling:
                return f"{name} stands at {top}, above its ceiling {account.ceiling}."
        return None

    def _passed_peer(self, entry: e.Entry) -> str | None:
        if isinstance(entry, e.TransferSent):
            peer = self.peers[entry.data.peer]
            if peer.state != "open":
                return f"{peer.peer} is {peer.state}."
            if self._debt(peer.peer) > peer.owe_limit:
                return f"{self._debt(peer.peer)} minutes are owed to {peer.peer}, the limit is {peer.owe_limit}."
            total = sum(max(0, self._debt(name)) for name in self.peers)
            if total > self.debt_limit:
                return f"{total} minutes are owed to all peers, the limit is {self.debt_limit}."
        elif isinstance(entry, e.TransferReceived):
            peer = self.peers[str(entry.by.id)]
            owed = -self.accounts[f"clearing:{peer.peer}"].balance
            if peer.state != "open" or owed > peer.owed_limit:
                return f"{peer.peer} is {peer.state} and owes {owed} minutes, the limit is {peer.owed_limit}."
        return None

    def _debt(self, peer: str) -> int:
        return self.accounts[f"clearing:{peer}"].balance + self.accounts[f"transit:{peer}"].balance

    def differences(self, book: Book) -> list[str]:
        """Sentences about accounts where the book says other minutes than these books."""
        return [
            f"{name} has {account.balance} minutes by its postings, the book says {book.accounts[name].balance}."
            for name, account in self.accounts.items()
            if book.accounts[name].balance != account.balance or book.accounts[name].in_transit != account.in_transit
        ]
