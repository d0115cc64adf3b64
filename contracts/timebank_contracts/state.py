"""The state of a book: accounts, peers, open transfers. A pure function of the journal, and mutable by `apply` only.

Reading order: here, then `book.py`, then the rules: `rules_accounts.py`, `rules_transfers.py`, `rules_claims.py`,
`rules_streams.py` and the smaller ones.
Memory is bounded by accounts, aliases (revoked ones too, they never come back), reversals, open claims, peers and
transfers in flight, never by the number of entries: a transfer within the town leaves nothing but balances.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from timebank_contracts.names import Identity
from timebank_contracts.streams import StreamHead

PAYABLE_KINDS = frozenset({"member", "organisation", "programme"})


@dataclass(slots=True)
class Account:
    """One account; all quantities in minutes."""

    account: str
    kind: str
    floor: int
    ceiling: int
    balance: int = 0
    in_transit: int = 0
    """Sent to other towns and not yet decided: counts against the ceiling, so that a return always fits."""
    state: str = "open"
    """open, frozen (no new debit), closing (no new debit, for a leaver) or closed."""
    open_claims: int = 0
    """Claims that name it, as giver or receiver, and are not ended."""
    aliases: int = 0
    """Receiving addresses that are in force."""
    closing_since: str = ""
    owner: str = ""
    """The organisation that runs a programme; empty for none."""


@dataclass(slots=True, frozen=True)
class Alias:
    account: str
    audience: str | None
    """The one peer that may use it; None: anybody."""


@dataclass(slots=True, frozen=True)
class OpenTransfer:
    """A transfer that was sent and is not yet decided."""

    peer: str
    payer: str
    minutes: int
    position: int
    """Journal position of its `transfer.sent`."""
    sent_at: str
    refunds: str = ""
    """The transfer that it gives back."""
    claim: str = ""
    """The claim that it confirms."""
    claimed: Claim | None = None
    """What opens again when it comes back; None when the claim was withdrawn meanwhile."""


@dataclass(slots=True, frozen=True)
class Claim:
    """A claim that is not ended; quantities in minutes."""

    giver: str
    """An account; empty for somebody in another town."""
    receiver: str
    minutes: int
    activity: str
    served_on: str
    given_minutes: int
    """Time given; 0: as many as the minutes."""
    programme: str
    agreed_minutes: int
    """From a booking; 0: there was none, and the rule confirms nothing by itself."""
    made_at: str
    expires_at: str
    disputed: bool = False
    reopened: bool = False
    """Its transfer came back: the rule never confirms it again."""
    position: int = 0
    """Journal position of the entry that made or received it."""
    peer: str = ""
    """The giver's town, when it is another."""
    alias: str = ""
    """The giver's address there."""


@dataclass(slots=True, frozen=True)
class SentClaim:
    """A claim of ours on somebody in another town, whose answer is still to come."""

    giver: str
    peer: str
    position: int
    """Journal position of its `claim.sent`."""
    expires_at: str
    """After this, and some days for what is under way, the rule ends it."""
    disputed: bool = False


@dataclass(slots=True, frozen=True)
class RuleConfirmed:
    """A claim that the rule confirmed: its receiver may still dispute it."""

    receiver: str
    transfer: int
    """Journal position of the transfer."""
    until: str
    disputed: bool = False


@dataclass(slots=True, frozen=True)
class PendingSegment:
    """An accepted segment whose messages are being entered."""

    peer: str
    until: int
    head: bytes
    own: bool = False
    """It is one that this node sent in its previous generation, and lost."""


@dataclass(slots=True, frozen=True)
class Predecessor:
    """The generation that this one goes on from, after state was lost."""

    generation: str
    registry: int
    """The version that names the new generation."""
    event_keys: tuple[bytes, ...]
    """All that the registry ever gave it."""


@dataclass(slots=True, frozen=True)
class Returning:
    """What is still to be put back with one peer, after this node lost state (PROTOCOL.md X7 to X12)."""

    generation: str
    """The previous one."""
    said: StreamHead
    """Its stream to the peer, as far as it was restored or recovered."""
    restored: int
    """Its last message that was restored."""
    chains: dict[int, bytes]
    """Chain values of what was restored and is not known to be heard. Never changed in place."""
    until: int = -1
    """Its last message that the peer applied; −1: the peer has not said so."""
    repeated: int = 0
    """Its last message that the peer applied, or that was said again in the new stream."""
    forced: int = 0
    """Recovered decisions about what the peer sent, which is still to be taken from its stream again."""

    @property
    def takes(self) -> bool:
        """Whether the peer's stream may be taken: all of the own one is put back."""
        return self.until >= 0 and self.repeated >= self.restored


@dataclass(slots=True, frozen=True)
class Forced:
    """What this node once decided about something of a peer's, and lost."""

    peer: str
    outcome: str
    """received, rejected, refused or disputed; paid: a claim whose payment was recovered."""
    reason: str = ""
    minutes: int = 0


@dataclass(slots=True)
class PeerState:
    """A peer: what the registry in force says, the limits of this node, both streams, both accounts."""

    peer: str
    generation: str
    state: str
    owe_limit: int
    owed_limit: int
    event_keys: tuple[bytes, ...]
    clearing: Account
    transit: Account
    incoming: StreamHead
    outgoing: StreamHead
    heard: int = 0
    """The highest position of our stream that the peer says it applied."""
    unheard: dict[int, bytes] = field(default_factory=dict)
    """Chain values of our stream from `heard` to its head: what a later `heard` is compared with."""
    frozen: bool = False
    own_limit: int | None = None
    """The limit that this node sets or agreed itself, in minutes; None: the network's."""
    suspended_here: bool = False
    """By this node's own operator."""
    protocols: tuple[int, ...] = (1,)
    """Protocol versions that the peer speaks."""
    ended: dict[str, int] = field(default_factory=dict)
    """Closed generation of the peer → the highest position of its stream that happened. Never changed in place."""
    endings: dict[str, StreamHead] = field(default_factory=dict)
    """Closed generation of the peer → what was applied of its stream when it was closed. Never changed in place."""
    own_ended: dict[str, int] = field(default_factory=dict)
    """Earlier generation of this node → the last message to the peer that this journal has. Never changed in place."""
    returning: Returning | None = None
    """Until all is put back, nothing but decisions is sent to the peer."""

    @property
    def has_ended(self) -> bool:
        """Whether the peer's generation is closed and none has followed."""
        return self.generation in self.ended

    @property
    def debt(self) -> int:
        """Minutes that we owe the peer, transfers under way included (negative: the peer owes us)."""
        return self.clearing.balance + self.transit.balance


@dataclass(slots=True)
class Book:
    """What a journal says so far. `n` is the position of the next entry."""

    identity: Identity | None = None
    began: dict[str, int] = field(default_factory=dict)
    """Generation → journal position of its `node.opened`, in their order."""
    previous: Predecessor | None = None
    """What the present generation goes on from, when state was lost."""
    n: int = 0
    time: str = ""
    rules: int = 0
    default_floor: int = 0
    default_ceiling: int = 0
    debt_limit: int = 0
    debt: int = 0
    """Σ over peers of max(0, debt)."""
    registry_version: int = 0
    registry_sha256: str = ""
    accounts: dict[str, Account] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    revoked_aliases: set[str] = field(default_factory=set)
    peers: dict[str, PeerState] = field(default_factory=dict)
    open_transfers: dict[str, OpenTransfer] = field(default_factory=dict)
    claim_tolerance_percent: int = 0
    claim_expires_after_days: int = 60
    auto_confirm_after_days: int = 0
    leaver_after_days: int = 30
    reversed: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Journal position of a transfer → minutes taken back of each posting; empty when all were."""
    claims: dict[str, Claim] = field(default_factory=dict)
    sent_claims: dict[str, SentClaim] = field(default_factory=dict)
    refunded: dict[str, int] = field(default_factory=dict)
    """Transfer from another town → minutes given back, or on their way."""
    thanked: dict[str, str] = field(default_factory=dict)
    """Transfer and side → when it was thanked, in order of time; forgotten when it can be thanked no more."""
    rule_confirmed: dict[str, RuleConfirmed] = field(default_factory=dict)
    """In order of time; forgotten when nobody may dispute them any more."""
    money_corrected: set[int] = field(default_factory=set)
    """Journal positions of money records that were taken back."""
    pending: PendingSegment | None = None
    forced: dict[str, Forced] = field(default_factory=dict)
    """Transfer or claim of a peer's → what was decided of it before state was lost."""
    recovered_at: dict[str, int] = field(default_factory=dict)
    """Transfer that was recovered → journal position of its entry now."""

    def identity_at(self, position: int) -> Identity:
        """The identity under which the entry at a position of this journal was written."""
        found = self.me
        for generation, first in self.began.items():
            if first <= position:
                found = found._replace(generation=generation)
        return found

    @property
    def me(self) -> Identity:
        """The identity; the book must have been opened."""
        assert self.identity is not None, "node.opened comes first"
        return self.identity

    def change_debt(self, peer: PeerState, clearing_minutes: int, transit_minutes: int) -> None:
        """Post to a peer's two accounts and keep the total debt in step."""
        before = max(0, peer.debt)
        peer.clearing.balance += clearing_minutes
        peer.transit.balance += transit_minutes
        self.debt += max(0, peer.debt) - before

    def balances(self) -> Iterator[tuple[str, int]]:
        """(account, minutes), in order of account id."""
        for account in sorted(self.accounts):
            yield account, self.accounts[account].balance
