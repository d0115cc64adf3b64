"""From a command to entries: `perform` proposes, applies and returns what is to be stored. Pure.

    command ── propose ──▶ candidate entry ── apply(book, entry) ──▶ written, or a refusal and nothing written

`apply` in the contracts judges; nothing here decides a rule. What sends a message is in `propose_between.py`.
One command gives one entry, except a segment (one for its envelope, one for each message) and a registry (one, and one
for each peer that it changes).
Source: design page 1, "Life of a transfer"; page 3, "Writer".
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.accept import RolledBack
from timebank_contracts.book import Read, apply
from timebank_contracts.errors import Refusal
from timebank_contracts.rules_accounts import RULES_VERSION, open_account
from timebank_contracts.rules_claims import open_claim
from timebank_contracts.rules_closing import closing_postings
from timebank_contracts.rules_reversal import reversal_postings, reversal_target
from timebank_contracts.state import Book, Claim
from timebank_ledger import commands as c
from timebank_ledger import propose_between as between
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
    head = _head(book, command, now)
    match command:
        case c.PostTransfer():
            return _post(book, command, head)
        case c.SendTransfer():
            return between.send(book, command, head)
        case c.ReverseTransfer():
            return _reverse(book, command, head, cite)
        case c.RefundTransfer():
            return between.refund(book, command, head, cite)
        case c.ConfirmClaim():
            claim = open_claim(book, command.claim)
            return between.confirm(book, command, claim, head) if claim.peer else _confirm(command, claim, head)
        case c.SendClaim():
            return between.send_claim(book, command, head)
        case c.DisputeClaim():
            return between.dispute(book, command, head)
        case c.EndClaim():
            return between.end_claim(book, command, head)
        case c.GiveThanks():
            return between.thank(book, command, head, cite)
        case c.RepeatMessage():
            return between.repeat(book, command, head, cite)
        case c.ReturnTransfer():
            return between.give_up(book, command, head)
        case c.CloseAccount():
            return _close(book, command, head)
    return _keep(book, command, head)


def _head(book: Book, command: c.Command, now: str) -> dict[str, Any]:
    return {
        "n": book.n,
        "time": now,
        "by": command.by,
        "key": UNSET if command.key is None else command.key,
        "command": UNSET if command.digest is None else command.digest,
    }


def _post(book: Book, command: c.PostTransfer, head: dict[str, Any]) -> e.TransferPosted:
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
    return e.TransferPosted(**head, data=data, postings=postings)


def _reverse(book: Book, command: c.ReverseTransfer, head: dict[str, Any], cite: Read) -> e.TransferReversed:
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
    return e.TransferReversed(**head, data=data, postings=postings)


def _confirm(command: c.ConfirmClaim, claim: Claim, head: dict[str, Any]) -> e.TransferPosted:
    """Confirmation is the transfer: it says again what was claimed."""
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
    return e.TransferPosted(**head, data=data, postings=postings)


def _close(book: Book, command: c.CloseAccount, head: dict[str, Any]) -> e.AccountClosed:
    postings = closing_postings(open_account(book, command.account), command.taker)
    data = e.AccountNamed(account=command.account)
    return e.AccountClosed(**head, data=data, postings=postings or UNSET)


def _keep(book: Book, command: c.Command, head: dict[str, Any]) -> e.Entry:
    """Entries about accounts, addresses, policy and peers: they move no minutes."""
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
        case c.MakeClaim():
            return e.ClaimMadeEntry(**head, data=_said(e.ClaimMade, command))
        case c.RecordMoney():
            return e.MoneyRecordedEntry(**head, data=_said(e.MoneyRecorded, command))
        case c.StopForProof(text=text):
            raise RolledBack(text)
        case c.ThawPeer(peer=peer, reason=reason):
            return e.PeerThawed(**head, data=e.Thawed(peer=peer, reason=reason))
    raise AssertionError(f"{type(command).__name__} is not proposed here")


def _said(data: type[Any], command: c.MakeClaim | c.RecordMoney) -> Any:
    """The data of an entry whose fields are those of the command."""
    return data(**{name: _or_unset(getattr(command, name)) for name in data.__struct_fields__})


def _or_unset(value: Any) -> Any:
    return UNSET if value is None else value
