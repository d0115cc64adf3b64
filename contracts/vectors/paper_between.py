"""What a town on paper says to another besides transfers: claims and how they are paid, refunds, thanks.

Each takes the town that speaks and the name of the other; `said` replaces what the message says.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from msgspec import UNSET

from contracts.vectors.paper_town import MEMBER, NEVER, PaperTown
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.names import federated_transfer, transit
from timebank_contracts.rules_claims import days_after


def name_of_next(town: PaperTown, peer: str) -> str:
    """The transfer or claim that the town's next message to a peer begins."""
    return federated_transfer(town.node, town.book.me.generation, peer, len(town.sent.get(peer, [])) + 1)


def claim_there(town: PaperTown, peer: str, account: str, addresses: tuple[str, str], minutes: int, **said: Any) -> str:
    """A claim of an account on somebody in another town; `addresses` are the giver's and the receiver's."""
    name = name_of_next(town, peer)
    giver, receiver = addresses
    fields: dict[str, Any] = {
        "claim": name,
        "minutes": minutes,
        "giver": giver,
        "receiver": receiver,
        "activity": "garden",
        "served_on": town.now[:10],
        "expires_at": days_after(town.now, town.book.claim_expires_after_days),
    }
    out = town.tell(peer, m.ClaimMadeMessage, m.Claimed(**(fields | said)))
    town.write(e.ClaimSentEntry, e.ClaimSent(giver=account, peer=peer), by=MEMBER, out=out)
    return name


def paying(town: PaperTown, name: str, minutes: int | None = None, **said: Any) -> dict[str, Any]:
    """What the entry that pays a peer's claim says beside its head: data, postings, and the message."""
    found = town.book.claims[name]
    moved, peer = minutes or found.minutes, found.peer
    transfer = name_of_next(town, peer)
    fields: dict[str, Any] = {
        "transfer": transfer,
        "at": town.book.n,
        "minutes": moved,
        "payee": found.alias,
        "payer_tag": _tag(transfer),
        "purpose": "service",
        "activity": found.activity,
        "served_on": found.served_on,
        "given_minutes": found.given_minutes or UNSET,
        "claim": name,
        "expires_at": NEVER,
    }
    return {
        "data": e.SentTo(peer=peer, confirmed_by="receiver", claim=name),
        "postings": [(found.receiver, -moved), (transit(peer), moved)],
        "out": town.tell(peer, m.TransferSentMessage, m.Sent(**(fields | said))),
    }


def pay(town: PaperTown, name: str, minutes: int | None = None, *, by: e.Actor = MEMBER, **said: Any) -> None:
    """Confirm a peer's claim by the transfer that names it."""
    town.write(e.TransferSent, by=by, **paying(town, name, minutes, **said))


def withdraw(town: PaperTown, name: str) -> None:
    """The giver takes a claim on another town back."""
    out = town.tell(town.book.sent_claims[name].peer, m.ClaimWithdrawnMessage, m.Withdrawn(claim=name))
    town.write(e.ClaimWithdrawn, e.ClaimNamed(claim=name), by=MEMBER, out=out)


def dispute(town: PaperTown, name: str, reason: Any) -> None:
    """The receiver of a peer's claim says that it is wrong."""
    out = town.tell(town.book.claims[name].peer, m.ClaimDisputedMessage, m.Disputed(claim=name, reason=reason))
    town.write(e.ClaimDisputedEntry, e.ClaimDisputed(claim=name, reason=reason), by=MEMBER, out=out)


def received_as(town: PaperTown, transfer: str) -> tuple[int, str, str, m.Sent]:
    """Where a peer's transfer was received, the peer, who was credited, and what it said."""
    for entry in town.entries:
        if isinstance(entry, e.TransferReceived) and entry.data.transfer == transfer:
            message = m.decode_message(bytes(entry.in_))  # type: ignore[arg-type]  # the rules demand it
            assert isinstance(message, m.TransferSentMessage)
            assert entry.postings is not UNSET
            return entry.n, message.source, entry.postings[1][0], message.data
    raise LookupError(transfer)


def refunding(town: PaperTown, transfer: str, minutes: int, *, payer: str = "", **said: Any) -> dict[str, Any]:
    """What the entry that gives minutes back says beside its head: data, postings, and the message."""
    position, peer, payee, sent = received_as(town, transfer)
    name = name_of_next(town, peer)
    fields: dict[str, Any] = {
        "transfer": name,
        "at": town.book.n,
        "minutes": minutes,
        "payer_tag": _tag(name),
        "purpose": "refund",
        "refunds": transfer,
        "refunds_at": sent.at,
        "expires_at": NEVER,
    }
    return {
        "data": e.SentTo(peer=peer, original=position),
        "postings": [(payer or payee, -minutes), (transit(peer), minutes)],
        "out": town.tell(peer, m.TransferSentMessage, m.Sent(**(fields | said))),
    }


def refund(town: PaperTown, transfer: str, minutes: int, **said: Any) -> None:
    """Whoever was credited by a peer's transfer gives minutes of it back."""
    town.write(e.TransferSent, by=MEMBER, **refunding(town, transfer, minutes, **said))


def thanking(town: PaperTown, position: int, *, side: Any = None) -> dict[str, Any]:
    """What an entry of thanks says beside its head, for the transfer that began at a position."""
    began = town.entries[position]
    if isinstance(began, e.TransferReceived):
        transfer, ours, peer = began.data.transfer, "payee", str(began.by.id)
    elif isinstance(began, e.TransferSent):
        message = m.decode_message(bytes(began.out))  # type: ignore[arg-type]  # the rules demand it
        assert isinstance(message, m.TransferSentMessage)
        transfer, ours, peer = message.data.transfer, "payer", message.subject
    else:
        transfer, ours, peer = f"{town.node}.g1.{position}", "payee", ""
    data = e.ThanksGiven(transfer=transfer, side=side or ours, position=position)
    out = town.tell(peer, m.ThanksGivenMessage, m.Thanked(transfer=transfer)) if peer else UNSET
    return {"data": data, "out": out}


def thank(town: PaperTown, position: int, *, side: Any = None) -> None:
    """Somebody of the town thanks for the transfer that began at a position."""
    town.write(e.ThanksGivenEntry, by=MEMBER, **thanking(town, position, side=side))


def _tag(transfer: str) -> str:
    return sha256(f"tag {transfer}".encode()).hexdigest()[:30]
