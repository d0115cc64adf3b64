"""What an entry adds to the index. Pure: from entries to rows.

Source: `index.py` says what the rows mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.names import Identity, clearing, local_transfer, parse_transfer, transit
from timebank_contracts.rules_generations import number_of
from timebank_contracts.rules_returning import LOST
from timebank_contracts.streams import StreamHead, chain_next, chain_start

OPENED: Final = "node.opened"
"""Subject of the entries by which the generations of this journal began."""
RECOVERED: Final = "recovered."
"""Before the type of a recovered message that ends a claim."""
REMEMBERED_MAX: Final = 100_000
"""Transfers on their way, and claims across towns, that are remembered between chunks."""


class Began(NamedTuple):
    """A generation of this journal, and the position of its `node.opened`."""

    position: int
    identity: Identity


@dataclass(slots=True)
class Rows:
    """Rows of the tables, by column name."""

    accounts: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    outs: list[dict[str, Any]] = field(default_factory=list)
    subjects: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Earlier:
    """What was written before an entry."""

    read: Callable[[int], e.Entry]
    """The entry at a position."""
    sent: Callable[[str, str, int], int | None]
    """Journal position of our message to a peer, by our generation and its stream position."""
    begun: Callable[[str], int | None]
    """Journal position of the first entry about a claim that came from another town."""
    payers: dict[str, str] = field(default_factory=dict)
    """By transfer on its way to another town: who pays, for those that are remembered; the others are looked up."""
    claims: dict[str, list[str]] = field(default_factory=dict)
    """By claim across towns: the accounts here that it concerns, for those that are remembered."""
    _fresh_sent: dict[tuple[str, int, int], int] = field(default_factory=dict)
    _fresh_begun: dict[str, int] = field(default_factory=dict)

    def begin_chunk(self) -> None:
        """What the last chunk brought is in the tables now."""
        self._fresh_sent.clear()
        self._fresh_begun.clear()

    def note(self, outs: Iterable[dict[str, Any]], subjects: Iterable[str], position: int) -> None:
        """An entry of this chunk sends these, and is about these: both are asked for before the tables have them."""
        for out in outs:
            self._fresh_sent[out["peer"], out["generation"], out["n"]] = position
        for subject in subjects:
            self._fresh_begun.setdefault(subject, position)

    def sent_at(self, peer: str, generation: str, n: int) -> int | None:
        """As `sent`, and of this chunk too."""
        found = self._fresh_sent.get((peer, number_of(generation), n))
        return self.sent(peer, generation, n) if found is None else found

    def begun_at(self, subject: str) -> int | None:
        """As `begun`, and of this chunk too."""
        found = self.begun(subject)
        return self._fresh_begun.get(subject) if found is None else found

    def claimed(self, claim: str) -> list[str]:
        """The accounts of this town that a claim concerns."""
        if (remembered := self.claims.get(claim)) is not None:
            return remembered
        name = parse_transfer(claim)
        if name.peer is None:
            position: int | None = name.position
        else:
            position = self.sent_at(name.peer, name.generation, name.position)
            position = self.begun_at(claim) if position is None else position
        entry = None if position is None else self.read(position)
        # A peer may end what never was a claim: the first entry about that is of no account, and no beginning.
        return _concerned(entry, self) if isinstance(entry, _BEGINS_CLAIM) else []

    def payer(self, transfer: str) -> str | None:
        """Who pays a transfer that was sent to another town; asked once, when it is decided."""
        if (remembered := self.payers.pop(transfer, None)) is not None:
            return remembered
        name = parse_transfer(transfer)
        position = None if name.peer is None else self.sent_at(name.peer, name.generation, name.position)
        entry = None if position is None else self.read(position)
        return _payer(entry) if isinstance(entry, e.TransferSent | e.MessageRecoveredEntry) else None


def _payer(entry: e.TransferSent | e.MessageRecoveredEntry) -> str:
    assert entry.postings is not UNSET, "a transfer that is sent moves minutes"
    return next(account for account, minutes in entry.postings if minutes < 0)


def rows_of(
    entries: Iterable[e.Entry], heads: dict[str, StreamHead], began: list[Began], earlier: Earlier
) -> tuple[Rows, dict[str, StreamHead], list[Began]]:
    """The rows of some entries of a journal.

    Args:
        entries: in the order of the journal.
        heads: by peer, our stream before the first of them; taken over and returned grown.
        began: the generations that began before the first of them; taken over too.
        earlier: what was written before them.

    Returns:
        The rows, and the heads and generations after the last entry.
    """
    rows = Rows()
    for remembered in (earlier.payers, earlier.claims):
        if len(remembered) > REMEMBERED_MAX:
            remembered.clear()
    earlier.begin_chunk()
    for entry in entries:
        if isinstance(entry, e.NodeOpened):
            began.append(began_by(entry))
            # Its streams begin anew.
            heads.clear()
        identity = began[-1].identity
        message = None if entry.out is UNSET else m.decode_message(bytes(entry.out))
        transfer = transfer_of(identity, entry, message)
        rows.accounts += [{"account": account, "kind": kind, "position": entry.n} for account, kind in _opened(entry)]
        kind = e.entry_type(entry)
        for account, minutes in accounts_of(entry, earlier).items():
            line = {"account": account, "position": entry.n, "time": entry.time, "type": kind}
            rows.lines.append({**line, "minutes": minutes, "transfer": transfer})
        if isinstance(entry, e.TransferSent | e.MessageRecoveredEntry) and transfer is not None:
            earlier.payers[transfer] = _payer(entry)
        if (claim := _claim_begun(entry, message)) is not None:
            earlier.claims[claim] = _concerned(entry, earlier)
        outs = []
        if message is not None:
            assert entry.out is not UNSET
            outs.append(_out(identity, heads, message.subject, bytes(entry.out), entry.n))
        if isinstance(entry, e.MessageRecoveredEntry):
            outs.append(_out_of_before(entry))
            rows.subjects += _ended_before(entry)
        subjects = _subjects(entry, transfer)
        rows.outs += outs
        rows.subjects += [{"subject": subject, "position": entry.n, "type": kind} for subject in subjects]
        earlier.note(outs, subjects, entry.n)
    return rows, heads, began


def began_by(opened: e.Entry) -> Began:
    """The generation that a `node.opened` began."""
    assert isinstance(opened, e.NodeOpened), "a journal begins with node.opened"
    return Began(opened.n, Identity(opened.data.network, opened.data.node, opened.data.generation))


def _claim_begun(entry: e.Entry, message: m.AnyMessage | None) -> str | None:
    """The claim across towns that an entry begins here."""
    if isinstance(entry, e.ClaimReceived):
        return entry.data.claim
    if isinstance(entry, e.MessageRecoveredEntry):
        assert entry.in_ is not UNSET, "a message was recovered"
        message = m.decode_message(bytes(entry.in_))
    elif isinstance(entry, e.MessageRepeatedEntry):
        return None  # It began where it was said first.
    return message.data.claim if isinstance(message, m.ClaimMadeMessage) else None


def _subjects(entry: e.Entry, transfer: str | None) -> list[str]:
    """The transfers, claims and records that an entry is about and that an earlier one began."""
    match entry:
        case e.NodeOpened():
            return [OPENED]
        case e.MessageRecoveredEntry():
            return []
        case e.TransferPosted(data=posted):
            return [] if posted.claim is UNSET else [posted.claim]
        case e.TransferSent(data=sent):
            return [] if sent.claim is UNSET else [sent.claim]
        case e.ClaimMadeEntry() | e.ClaimSentEntry():
            return []
        case e.ClaimReceived(data=put):
            return [put.claim]
        case e.TransferReceived():
            claim = _confirmed(entry)
            return [name for name in (transfer, claim) if name is not None]
        case e.ClaimRefusedEntry(data=refused):
            return [refused.claim]
        case e.ThanksGivenEntry(data=thanks):
            return [thanks.transfer]
        case e.ClaimWithdrawn(data=data) | e.ClaimDisputedEntry(data=data) | e.ClaimUpheld(data=data):
            return [data.claim]
        case e.ClaimExpired(data=data):
            return [data.claim]
        case e.MoneyRecordedEntry(data=money):
            return [about for about in (money.transfer, money.corrects) if about is not UNSET]
    return [] if transfer is None else [transfer]


def accounts_of(entry: e.Entry, earlier: Earlier) -> dict[str, int]:
    """The accounts that an entry concerns, with the minutes of each: 0 where it moves none.

    Args:
        entry: any.
        earlier: what was written before it.
    """
    moved = {} if entry.postings is UNSET else dict(entry.postings)
    for account in _concerned(entry, earlier):
        moved.setdefault(account, 0)
    return moved


def _confirmed(entry: e.TransferReceived) -> str | None:
    """The claim of ours that a transfer from another town confirms."""
    assert entry.in_ is not UNSET, "a peer's message caused it"
    message = m.decode_message(bytes(entry.in_))
    found = message.data.claim if isinstance(message, m.TransferSentMessage) else UNSET
    return None if found is UNSET else found


def _concerned(entry: e.Entry, earlier: Earlier) -> list[str]:
    """The accounts that an entry concerns, whether it moves their minutes or not."""
    match entry:
        case e.TransferPosted(data=posted):
            return [] if posted.programme is UNSET else [posted.programme]
        case e.TransferSent(data=sent):
            return [] if sent.programme is UNSET else [sent.programme]
        case e.TransferReversed(data=back):
            # Also those who spent what they got, or left: the pot moves for them.
            return list(accounts_of(earlier.read(parse_transfer(back.transfer).position), earlier))
        case e.TransferSettled(data=settled):
            payer = earlier.payer(settled.transfer)
            return [] if payer is None else [payer]
        case e.ClaimMadeEntry(data=made):
            named = [made.giver, made.receiver]
            return named if made.programme is UNSET else [*named, made.programme]
        case e.ClaimSentEntry(data=asked):
            return [asked.giver] if asked.programme is UNSET else [asked.giver, asked.programme]
        case e.ClaimWithdrawn(data=data) | e.ClaimDisputedEntry(data=data) | e.ClaimUpheld(data=data):
            return earlier.claimed(data.claim)
        case e.ClaimExpired(data=data):
            return earlier.claimed(data.claim)
        case e.ThanksGivenEntry(data=thanks):
            return _thanked(entry, thanks, earlier)
        case e.MoneyRecordedEntry(data=money):
            if money.position is not UNSET:
                began = earlier.read(money.position)
                return [] if began.postings is UNSET else [account for account, _ in began.postings]
            return [] if money.programme is UNSET else [money.programme]
    account = getattr(entry.data, "account", None)  # type: ignore[attr-defined]  # each kind of entry has its own data
    return [account] if isinstance(account, str) else []


def _thanked(entry: e.ThanksGivenEntry, thanks: e.ThanksGiven, earlier: Earlier) -> list[str]:
    """The accounts of this town that moved by what was thanked for."""
    name = parse_transfer(thanks.transfer)
    if thanks.position is not UNSET:
        position: int | None = thanks.position
    elif name.peer == entry.by.id:
        position = earlier.sent_at(name.peer, name.generation, name.position)
    else:
        position = earlier.begun_at(thanks.transfer)
    began = None if position is None else earlier.read(position)
    if began is None or began.postings is UNSET:
        return []
    return [account for account, _ in began.postings if ":" not in account]


def _opened(entry: e.Entry) -> list[tuple[str, str]]:
    """The accounts, with their kinds, that exist from this entry on; a peer's are named each time that it changes."""
    if isinstance(entry, e.AccountOpenedEntry):
        return [(entry.data.account, entry.data.kind)]
    if isinstance(entry, e.NodeOpened) and entry.data.previous is not UNSET:
        return [(LOST, LOST)]
    if isinstance(entry, e.PeerChanged):
        return [(clearing(entry.data.peer), "clearing"), (transit(entry.data.peer), "transit")]
    return []


def _out(identity: Identity, heads: dict[str, StreamHead], peer: str, raw: bytes, position: int) -> dict[str, Any]:
    head = heads.get(peer)
    if head is None:
        head = StreamHead(0, stream_start(identity, peer))
    head = heads[peer] = StreamHead(head.n + 1, chain_next(head.chain, raw))
    generation = number_of(identity.generation)
    return {"peer": peer, "generation": generation, "n": head.n, "position": position, "chain": head.chain}


def _out_of_before(entry: e.MessageRecoveredEntry) -> dict[str, Any]:
    """A message of an earlier generation: it is looked up, never sent from there, so its chain is not kept."""
    assert entry.in_ is not UNSET, "a message was recovered"
    message = m.decode_message(bytes(entry.in_))
    generation, n = m.generation_in(message), m.position_in(message)
    row = {"peer": message.subject, "generation": number_of(generation), "n": n, "position": entry.n}
    return {**row, "chain": b""}


def _ended_before(entry: e.MessageRecoveredEntry) -> list[dict[str, Any]]:
    """The claim that a recovered message pays or withdraws: such a row ends it, and never begins it."""
    assert entry.in_ is not UNSET, "a message was recovered"
    message = m.decode_message(bytes(entry.in_))
    if not isinstance(message, m.TransferSentMessage | m.ClaimWithdrawnMessage) or message.data.claim is UNSET:
        return []
    kind = RECOVERED + str(type(message).__struct_config__.tag)
    return [{"subject": message.data.claim, "position": entry.n, "type": kind}]


def stream_start(identity: Identity, peer: str) -> bytes:
    """The chain value of our stream to `peer` before its first message."""
    return chain_start(network=identity.network, sender=identity.node, generation=identity.generation, receiver=peer)


_BEGINS_CLAIM = e.ClaimMadeEntry | e.ClaimSentEntry | e.ClaimReceived | e.MessageRecoveredEntry
_NAMING = e.TransferReceived | e.TransferRejected | e.TransferSettled | e.TransferReturned | e.TransferReversed


def transfer_of(identity: Identity, entry: e.Entry, message: m.AnyMessage | None) -> str | None:
    """Id of the transfer that an entry is about, or None; `message` is what the entry sends."""
    if isinstance(entry, e.TransferPosted):
        return local_transfer(identity, entry.n)
    if isinstance(entry, e.TransferSent):
        assert isinstance(message, m.TransferSentMessage), "this sends a message about a transfer"
        return message.data.transfer
    if isinstance(entry, _NAMING):
        return entry.data.transfer
    if isinstance(entry, e.MessageRecoveredEntry):
        assert entry.in_ is not UNSET, "a message was recovered"
        recovered = m.decode_message(bytes(entry.in_))
        return recovered.data.transfer if isinstance(recovered, m.TransferSentMessage) else None
    return None
