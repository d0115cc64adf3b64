"""From a command to entries: `perform` proposes, applies and returns what is to be stored. Pure.

    command ── propose ──▶ candidate entry ── apply(book, entry) ──▶ written, or a refusal and nothing written

`apply` in the contracts judges; nothing here decides a rule. One command gives one entry, except a segment (one for its
envelope, one for each message) and a registry (one, and one for each peer that it changes).
Source: design page 1, "Life of a transfer"; page 3, "Writer".
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Raw

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.book import Read, apply
from timebank_contracts.errors import Refusal
from timebank_contracts.names import federated_transfer, transit
from timebank_contracts.rules_accounts import RULES_VERSION, open_account
from timebank_contracts.rules_claims import open_claim
from timebank_contracts.rules_closing import closing_postings
from timebank_contracts.rules_reversal import reversal_postings, reversal_target
from timebank_contracts.state import Book
from timebank_ledger import commands as c
from timebank_ledger.tags import check_expected


def perform(book: Book, command: c.Command, *, time: str, cite: Read) -> list[e.Entry]:
    """Apply a command to the book.

    Args:
        book: the writer's own book; changed when entries are returned, unchanged when this raises.
        command: what is asked (segments and registries: see `peers.py`).
        time: the clock's time in wire form; an entry carries the later of this and the previous entry's.
        cite: reads an earlier entry.

    Returns:
        The entries to store, already applied, in order.

    Raises:
        Refusal: the rules say no.
        Malformed: a command of the rarer kinds has a field that no entry can hold (the edge's models know the others).
    """
    now = max(time, book.time)
    if isinstance(command, c.Edit):
        check_expected(book, command)
    entry = propose(book, command, now, cite)
    if not isinstance(command, c.PostTransfer | c.SendTransfer):
        e.decode_entry(e.encode_entry(entry))  # what could not be read back would stop every replay for ever
    apply(book, entry, read=cite)
    return [entry]


def propose(book: Book, command: c.Command, now: str, cite: Read) -> e.Entry:
    """The candidate entry for a command; the book is not changed."""
    match command:
        case c.PostTransfer():
            return _post(book, command, now)
        case c.SendTransfer():
            return _send(book, command, now)
        case c.ReverseTransfer():
            return _reverse(book, command, now, cite)
        case c.ConfirmClaim():
            return _confirm(book, command, now)
        case c.CloseAccount():
            return _close(book, command, now)
    return _keep(book, command, now)


def _head(book: Book, command: c.Command, now: str) -> dict[str, Any]:
    return {
        "n": book.n,
        "time": now,
        "by": command.by,
        "key": UNSET if command.key is None else command.key,
        "command": UNSET if command.digest is None else command.digest,
    }


def _post(book: Book, command: c.PostTransfer, now: str) -> e.TransferPosted:
    postings, given = list(command.postings), None if command.given is None else list(command.given)
    if command.payee is not None:
        alias = book.aliases.get(command.payee)
        if alias is None or alias.audience is not None:
            raise Refusal("alias_unknown")
        postings.append((alias.account, -sum(minutes for _, minutes in postings)))
        given = None if command.given_minutes is None else [(alias.account, command.given_minutes)]
    if len(postings) == 2 and postings[0][0] == postings[1][0]:
        raise Refusal("self_transfer")
    data = e.Posted(
        purpose=command.purpose,  # type: ignore[arg-type]  # a closed set: the edge's model and `apply` both check it
        confirmed_by=command.confirmed_by,  # type: ignore[arg-type]
        activity=_or_unset(command.activity),
        served_on=_or_unset(command.served_on),
        given=_or_unset(given),
        programme=_or_unset(command.programme),
        reason=_or_unset(command.reason),
    )
    return e.TransferPosted(**_head(book, command, now), data=data, postings=postings)


def _send(book: Book, command: c.SendTransfer, now: str) -> e.TransferSent:
    peer = book.peers.get(command.peer)
    if peer is None:
        raise Refusal("peer_unknown")
    me, position = book.me, peer.outgoing.n + 1
    message = m.TransferSentMessage(
        id=m.message_id(peer.peer, me.generation, position),
        source=me.node,
        specversion="1.0",
        subject=peer.peer,
        time=now,
        data=m.Sent(
            transfer=federated_transfer(me.node, me.generation, peer.peer, position),
            minutes=command.minutes,
            payee=command.payee,
            payer_tag=command.payer_tag,
            purpose=command.purpose,  # type: ignore[arg-type]
            expires_at=command.expires_at,
            activity=_or_unset(command.activity),
            served_on=_or_unset(command.served_on),
            given_minutes=_or_unset(command.given_minutes),
        ),
    )
    return e.TransferSent(
        **_head(book, command, now),
        data=e.SentTo(
            peer=peer.peer,
            confirmed_by=_or_unset(command.confirmed_by),
            programme=_or_unset(command.programme),
        ),
        postings=[(command.payer, -command.minutes), (transit(peer.peer), command.minutes)],
        out=Raw(m.encode_message(message)),
    )


def _reverse(book: Book, command: c.ReverseTransfer, now: str, cite: Read) -> e.TransferReversed:
    original = cite(reversal_target(book, command.transfer))
    if original is None:
        raise Refusal("transfer_unknown")
    if type(original) is not e.TransferPosted:
        raise Refusal("not_reversible")
    postings = reversal_postings(book, original, command.minutes)
    if len(postings) < 2:
        raise Refusal("not_reversible", "No account of this transfer is left to take the minutes back from or to.")
    data = e.Reversed(
        transfer=command.transfer,
        reason=command.reason,  # type: ignore[arg-type]
        minutes=_or_unset(command.minutes),
    )
    return e.TransferReversed(**_head(book, command, now), data=data, postings=postings)


def _confirm(book: Book, command: c.ConfirmClaim, now: str) -> e.TransferPosted:
    """Confirmation is the transfer: it says again what was claimed."""
    claim = open_claim(book, command.claim)
    minutes = command.minutes or claim.minutes
    data = e.Posted(
        purpose="service",
        confirmed_by=command.confirmed_by,  # type: ignore[arg-type]
        activity=claim.activity,  # type: ignore[arg-type]
        served_on=claim.served_on,
        given=[(claim.giver, claim.given_minutes)] if claim.given_minutes else UNSET,
        programme=claim.programme or UNSET,
        claim=command.claim,
    )
    postings = [(claim.receiver, -minutes), (claim.giver, minutes)]
    return e.TransferPosted(**_head(book, command, now), data=data, postings=postings)


def _close(book: Book, command: c.CloseAccount, now: str) -> e.AccountClosed:
    postings = closing_postings(open_account(book, command.account), command.taker)
    data = e.AccountNamed(account=command.account)
    return e.AccountClosed(**_head(book, command, now), data=data, postings=postings or UNSET)


def _keep(book: Book, command: c.Command, now: str) -> e.Entry:
    """Entries about accounts, addresses, policy and peers: they move no minutes."""
    head = _head(book, command, now)
    match command:
        case c.OpenNode(network=network, node=node, generation=generation):
            opened = e.Opened(network=network, node=node, generation=generation, rules=RULES_VERSION)
            return e.NodeOpened(**head, data=opened)
        case c.OpenAccount(account=account, kind=kind, floor=floor, ceiling=ceiling, owner=owner):
            data = e.AccountOpened(
                account=account,
                kind=kind,  # type: ignore[arg-type]
                floor=book.default_floor if floor is None else floor,
                ceiling=book.default_ceiling if ceiling is None else ceiling,
                owner=_or_unset(owner),
            )
            return e.AccountOpenedEntry(**head, data=data)
        case c.ChangeAccount(account=account, floor=new_floor, ceiling=new_ceiling):
            changed = e.AccountChanged(account=account, floor=new_floor, ceiling=new_ceiling)
            return e.AccountChangedEntry(**head, data=changed)
        case c.SetAccountState(account=account, state=state):
            named = {"frozen": e.AccountFrozen, "open": e.AccountUnfrozen, "closed": e.AccountClosed}
            return named[state](**head, data=e.AccountNamed(account=account))
        case c.IssueAlias(account=account, alias=alias, audience=audience):
            issued = e.AliasIssued(account=account, alias=alias, audience=_or_unset(audience))
            return e.AliasIssuedEntry(**head, data=issued)
        case c.RevokeAlias(alias=alias):
            return e.AliasRevokedEntry(**head, data=e.AliasRevoked(alias=alias))
        case c.BeginClosing(account=account):
            return e.AccountClosing(**head, data=e.AccountNamed(account=account))
        case c.ChangePolicy():
            names = e.Policy.__struct_fields__
            return e.PolicyChanged(**head, data=e.Policy(**{name: getattr(command, name) for name in names}))
        case c.MakeClaim() | c.DisputeClaim() | c.EndClaim() | c.RecordMoney():
            return _note(command, head)
        case c.ThawPeer(peer=peer, reason=reason):
            return e.PeerThawed(**head, data=e.Thawed(peer=peer, reason=reason))
    raise AssertionError(f"{type(command).__name__} is not proposed here")


def _note(command: c.MakeClaim | c.DisputeClaim | c.EndClaim | c.RecordMoney, head: dict[str, Any]) -> e.Entry:
    """Entries about claims and money."""

    def said(data: type[Any]) -> Any:
        return data(**{name: _or_unset(getattr(command, name)) for name in data.__struct_fields__})

    match command:
        case c.MakeClaim():
            return e.ClaimMadeEntry(**head, data=said(e.ClaimMade))
        case c.DisputeClaim():
            return e.ClaimDisputedEntry(**head, data=said(e.ClaimDisputed))
        case c.RecordMoney():
            return e.MoneyRecordedEntry(**head, data=said(e.MoneyRecorded))
        case c.EndClaim(claim=claim, how=how):
            kinds = {"withdrawn": e.ClaimWithdrawn, "expired": e.ClaimExpired, "upheld": e.ClaimUpheld}
            return kinds[how](**head, data=e.ClaimNamed(claim=claim))


def _or_unset(value: Any) -> Any:
    return UNSET if value is None else value
