"""Commands: what can be asked of a town's ledger, after the edge has checked form and caller.

A command names no position and no time: the writer gives both when its turn comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from timebank_contracts import canonical
from timebank_contracts.entries import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What every command carries."""

    by: Actor
    key: str | None = None
    """Hash of client and Idempotency-Key (32 hex), None for the node's own acts."""
    digest: str | None = None
    """Hash of what was asked (32 hex): one key serves one command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit(Command):
    """Replaces something that was read before."""

    expected: tuple[str, ...] | None = None
    """Tags (see `tags.py`) of what may be replaced; None: whatever is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenNode(Command):
    """The first entry of a journal."""

    network: str
    node: str
    generation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount(Command):
    account: str
    kind: str
    floor: int | None = None
    """Minutes; None: the town's default."""
    ceiling: int | None = None
    owner: str | None = None
    """The organisation that runs a programme."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAccount(Edit):
    account: str
    floor: int
    ceiling: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAccountState(Edit):
    account: str
    state: str
    """frozen, open or closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginClosing(Command):
    """For a leaver: no new debit from now on."""

    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseAccount(Edit):
    """Close for good; what is left goes to `taker` (below 0: comes from it), which is the pot or an account."""

    account: str
    taker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueAlias(Command):
    account: str
    alias: str
    audience: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeAlias(Command):
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePolicy(Edit):
    default_floor: int
    default_ceiling: int
    debt_limit: int
    claim_tolerance_percent: int = 0
    claim_expires_after_days: int = 60
    auto_confirm_after_days: int = 0
    leaver_after_days: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PostTransfer(Command):
    """Within the town. Negative minutes are paid, positive ones credited."""

    postings: tuple[tuple[str, int], ...]
    payee: str | None = None
    """A receiving address of this town whose account is credited with what the postings pay: the writer looks it up, so
    that a repeated command is answered from its entry, whatever became of the address."""
    purpose: str
    confirmed_by: str
    activity: str | None = None
    served_on: str | None = None
    given: tuple[tuple[str, int], ...] | None = None
    given_minutes: int | None = None
    """By the holder of `payee`, where it differs."""
    programme: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTransfer(Command):
    """To an alias at another town."""

    payer: str
    peer: str
    payee: str
    minutes: int
    payer_tag: str
    purpose: str
    expires_at: str
    activity: str | None = None
    served_on: str | None = None
    given_minutes: int | None = None
    confirmed_by: str | None = None
    programme: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundTransfer(Command):
    """Give back a transfer that came from another town, or a part of it."""

    transfer: str
    position: int
    """Of the entry that received it."""
    minutes: int | None = None
    """None: all that is left of it."""
    payer: str | None = None
    """None: the account that was credited; `pot` for a broker."""
    payer_tag: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseTransfer(Command):
    transfer: str
    reason: str
    minutes: int | None = None
    """None: all that is left of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeClaim(Command):
    """I gave you m minutes: from the giver, to be confirmed by the receiver."""

    giver: str
    receiver: str
    minutes: int
    activity: str
    served_on: str
    given_minutes: int | None = None
    programme: str | None = None
    agreed_minutes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendClaim(Command):
    """I gave somebody in another town m minutes: their town puts it to them."""

    giver: str
    giver_alias: str
    peer: str
    receiver: str
    """The receiver's address there."""
    minutes: int
    activity: str
    served_on: str
    given_minutes: int | None = None
    programme: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmClaim(Command):
    """The receiver pays: as claimed, or other minutes within the town's tolerance."""

    claim: str
    confirmed_by: str
    minutes: int | None = None
    payer_tag: str | None = None
    expires_at: str | None = None
    """Both for a claim from another town, which is confirmed by a transfer there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeClaim(Command):
    claim: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndClaim(Command):
    """Withdrawn by the giver, expired by the rule, or a dispute decided by a broker: the claim stands."""

    claim: str
    how: str
    """withdrawn, expired or upheld."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveThanks(Command):
    """One side of a transfer thanks the other."""

    transfer: str
    side: str
    """payer or payee."""
    position: int
    """Of the entry that began the transfer here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMoney(Command):
    """Money that was settled elsewhere: about a transfer (and the position that began it here), or a programme."""

    minor_units: int
    currency: str
    kind: str
    settled_by: str
    paid_on: str
    transfer: str | None = None
    position: int | None = None
    programme: str | None = None
    corrects: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeSegment(Command):
    """A peer's segment, parsed and held to be signed; the book judges it again."""

    raw: bytes
    payers: tuple[tuple[str, str], ...] = ()
    """Of a segment of ours that a peer hands back: transfer and the account that its tag names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatMessage(Command):
    """What the entry at a position said to a peer, who never applied it, is said again."""

    peer: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopForProof(Command):
    """A witness holds what this journal does not: nothing more is written. `text` says who holds what."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptRegistry(Command):
    """A verified registry and the limits that this node sets itself, in minutes by peer."""

    envelope: bytes
    own_limits: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePeer(Command):
    """The whole of this node's own policy about a peer."""

    peer: str
    own_limit: int | None
    """Minutes; None: the network's limit counts alone."""
    suspended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ThawPeer(Command):
    peer: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnTransfer(Command):
    """The other town was closed for ever: what was sent to it, and not decided, comes back."""

    transfer: str


def key_of(client: str, idempotency_key: str) -> str:
    """What an entry keeps of a client's key: 32 hex of its SHA-256, so that no text of theirs enters the journal."""
    return sha256(f"{client}\n{idempotency_key}".encode()).hexdigest()[:32]


def digest_of(content: object) -> str:
    """What an entry keeps of a command's content: 32 hex of the SHA-256 of its canonical bytes."""
    return sha256(canonical.encode(content)).hexdigest()[:32]
