"""Rules of claims between towns: made at the giver's town, put to the receiver at theirs, confirmed by a transfer.

    giver's town                 receiver's town
    claim.sent ────────────────▶ claim.received ── transfer.sent that names it ──▶ received: both have ended it
        │                   └──▶ claim.refused (nobody to put it to) ──▶ claim.disputed: ended
        └ claim.withdrawn ─────▶ claim.withdrawn: a transfer for it is rejected from now on
                                 claim.disputed ──▶ claim.disputed: a broker there decides

Source: design page 3, "Claim"; page 2, "Transfer between towns"; PROTOCOL.md D8 to D12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final, get_args

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts import rules_claims
from timebank_contracts.errors import Breach, Malformed, Refusal
from timebank_contracts.fields import ClaimRefusal
from timebank_contracts.moments import parse_time, served_on_is_possible, show_time
from timebank_contracts.names import federated_transfer, parse_transfer
from timebank_contracts.rules_accounts import check_programme, no_postings, open_account
from timebank_contracts.rules_claims import (
    DECIDERS,
    OPEN_CLAIMS_MAX,
    check_person,
    check_tolerance,
    days_after,
    end_claim,
    open_claim,
    put_claim,
)
from timebank_contracts.rules_generations import is_born_there, note_said_again, was_said, we_said
from timebank_contracts.rules_returning import is_silent, take_forced
from timebank_contracts.rules_streams import (
    advance_incoming,
    advance_outgoing,
    incoming_message,
    outgoing_message,
)
from timebank_contracts.state import PAYABLE_KINDS, Account, Book, Claim, PeerState, SentClaim

GRACE_DAYS: Final = 7
"""How long a claim of ours waits, after its time, for what is under way."""
REFUSED: Final = frozenset(get_args(ClaimRefusal))


def claim_sent(book: Book, entry: e.ClaimSentEntry) -> None:
    check_person(entry)
    _no_postings(entry)
    said = entry.data
    peer = book.peers.get(said.peer)
    if peer is None:
        raise Refusal("peer_unknown")
    message = outgoing_message(book, peer, entry)
    if not isinstance(message, m.ClaimMadeMessage):
        raise Refusal("segment_invalid", "claim.sent sends the message claim.made.")
    data = message.data
    name = federated_transfer(book.me.node, book.me.generation, peer.peer, peer.outgoing.n + 1)
    if data.claim != name:
        raise Refusal("segment_invalid", "A claim's id is its position in its stream.")
    if peer.state != "open":
        raise Refusal("peer_suspended")
    if peer.frozen:
        raise Refusal("stream_frozen")
    giver = open_account(book, said.giver)
    _check_giver(book, giver, peer, data)
    if not served_on_is_possible(data.served_on, entry.time[:10]):
        raise Refusal("served_on_invalid")
    if data.expires_at != days_after(entry.time, book.claim_expires_after_days):
        raise Refusal("claim_mismatch", "A claim's time is the town's policy.")
    if said.programme is not UNSET:
        check_programme(book, said.programme)
    book.sent_claims[name] = SentClaim(said.giver, peer.peer, entry.n, data.expires_at)
    giver.open_claims += 1
    advance_outgoing(peer, entry)


def _check_giver(book: Book, giver: Account, peer: PeerState, data: m.Claimed) -> None:
    if giver.kind not in PAYABLE_KINDS:
        raise Refusal("account_kind", "Members, organisations and programmes give and receive.")
    if giver.state == "closing":
        raise Refusal("account_closing")
    if giver.open_claims >= OPEN_CLAIMS_MAX:
        raise Refusal("claim_limit")
    alias = book.aliases.get(data.giver)
    if alias is None or alias.account != giver.account or alias.audience not in (None, peer.peer):
        raise Refusal("alias_unknown", "The giver's address must be in force, for that town or for anybody.")


def claimed_data(message: m.AnyMessage, peer: PeerState, position: int) -> m.Claimed:
    """What a peer's `claim.made` says; raises `Breach` unless it is one, named by its own stream position."""
    if not isinstance(message, m.ClaimMadeMessage):
        raise Breach("message_misplaced", position, "Only claim.made is put to a receiver.")
    if not is_born_there(peer, message.data.claim, receiver=message.subject, position=position):
        raise Breach("message_misplaced", position, "A claim's id is its position in its stream.")
    return message.data


def judge_claim(book: Book, peer: PeerState, data: m.Claimed, time: str) -> Account | str:
    """Whom a peer's claim is put to, or why it is put to nobody; the order of the reasons is part of the rules."""
    forced = book.forced.get(data.claim)
    if forced is not None and forced.outcome == "refused":
        return forced.reason
    alias = book.aliases.get(data.receiver)
    if alias is None or alias.audience not in (None, peer.peer):
        return "alias_unknown"
    account = book.accounts[alias.account]
    if account.state in ("closing", "closed"):
        return "account_closed"
    if time > data.expires_at:
        return "expired"
    if account.open_claims >= OPEN_CLAIMS_MAX:
        return "claim_limit"
    return account


def claim_received(book: Book, entry: e.ClaimReceived) -> None:
    peer, message, chain = incoming_message(book, entry)
    data = claimed_data(message, peer, peer.incoming.n + 1)
    _no_postings(entry)
    account = judge_claim(book, peer, data, entry.time)
    if isinstance(account, str) or entry.data != e.ClaimPut(claim=data.claim, account=account.account):
        raise Refusal("segment_invalid", "The rules do not put this claim to that account.")
    if entry.out is not UNSET:
        raise Refusal("segment_invalid", "A claim that is put to somebody sends no message.")
    claim = Claim(
        giver="",
        receiver=account.account,
        minutes=data.minutes,
        activity=data.activity,
        served_on=data.served_on,
        given_minutes=0 if data.given_minutes is UNSET else data.given_minutes,
        programme="",
        agreed_minutes=0,
        made_at=entry.time,
        expires_at=data.expires_at,
        position=entry.n,
        peer=peer.peer,
        alias=data.giver,
    )
    before = take_forced(book, peer, data.claim)
    if before != "paid":
        put_claim(book, data.claim, replace(claim, disputed=before == "disputed"))
    note_said_again(peer, data.claim)
    advance_incoming(book, peer, chain)


def claim_refused(book: Book, entry: e.ClaimRefusedEntry) -> None:
    peer, message, chain = incoming_message(book, entry)
    data = claimed_data(message, peer, peer.incoming.n + 1)
    _no_postings(entry)
    reason = judge_claim(book, peer, data, entry.time)
    if reason != entry.data.reason or entry.data.claim != data.claim:
        raise Refusal("segment_invalid", f"The rules do not refuse this claim for {entry.data.reason}.")
    if is_silent(book, data.claim):
        if entry.out is not UNSET:
            raise Refusal("segment_invalid", "The peer heard this before; it is not sent again.")
        take_forced(book, peer, data.claim)
        note_said_again(peer, data.claim)
        advance_incoming(book, peer, chain)
        return
    answer = outgoing_message(book, peer, entry)
    if not isinstance(answer, m.ClaimDisputedMessage) or answer.data != m.Disputed(claim=data.claim, reason=reason):
        raise Refusal("segment_invalid", "The answer sent is not the one written.")
    take_forced(book, peer, data.claim)
    note_said_again(peer, data.claim)
    advance_outgoing(peer, entry)
    advance_incoming(book, peer, chain)


def claim_withdrawn(book: Book, entry: e.ClaimWithdrawn) -> None:
    """Of a claim within the town, of one of ours on another town, and of a peer's."""
    if entry.in_ is not UNSET:
        _withdrawn_there(book, entry)
        return
    found = book.sent_claims.get(entry.data.claim)
    if found is None:
        rules_claims.claim_withdrawn(book, entry)
    else:
        check_person(entry)
        _withdraw_sent(book, entry, found)


def claim_disputed(book: Book, entry: e.ClaimDisputedEntry) -> None:
    """By somebody here, of a claim within the town or of a peer's, who is told; or by a peer, of one of ours."""
    if entry.in_ is not UNSET:
        _disputed_there(book, entry)
        return
    claim = book.claims.get(entry.data.claim)
    if claim is None or not claim.peer:
        rules_claims.claim_disputed(book, entry)
        return
    peer = _peer_told(book, entry, claim)
    rules_claims.claim_disputed(book, entry, told=True)
    advance_outgoing(peer, entry)


def claim_expired(book: Book, entry: e.ClaimExpired) -> None:
    """By the rule, of a claim that is open here, or of one of ours on another town."""
    found = book.sent_claims.get(entry.data.claim)
    if found is None:
        rules_claims.claim_expired(book, entry)
        return
    no_postings(entry)
    if entry.by.kind != "rule" or not is_sent_claim_expired(found, entry.time):
        raise Refusal("claim_not_due")
    end_sent_claim(book, entry.data.claim)


def _withdraw_sent(book: Book, entry: e.ClaimWithdrawn, found: SentClaim) -> None:
    """The giver's side takes a claim on another town back."""
    peer = book.peers[found.peer]
    message = outgoing_message(book, peer, entry)
    if not isinstance(message, m.ClaimWithdrawnMessage) or message.data.claim != entry.data.claim:
        raise Refusal("segment_invalid", "The withdrawal sent is not the one written.")
    _no_postings(entry)
    end_sent_claim(book, entry.data.claim)
    advance_outgoing(peer, entry)


def _withdrawn_there(book: Book, entry: e.ClaimWithdrawn) -> None:
    """A peer's withdrawal: its claim is over here, and a transfer under way for it does not open it again."""
    peer, message, chain = incoming_message(book, entry)
    name = named_claim(book, message, peer, peer.incoming.n + 1)
    _no_postings(entry)
    if entry.data.claim != name or entry.out is not UNSET:
        raise Refusal("segment_invalid", "The entry names another claim than the message.")
    claim = book.claims.get(name)
    if claim is not None:
        end_claim(book, name, claim)
    else:
        for transfer, found in book.open_transfers.items():
            if found.claim == name:
                book.open_transfers[transfer] = replace(found, claimed=None)
                break
    advance_incoming(book, peer, chain)


def _peer_told(book: Book, entry: e.ClaimDisputedEntry, claim: Claim) -> PeerState:
    """The peer that is told that its claim is disputed here; raises unless the entry tells it so."""
    peer = book.peers[claim.peer]
    message = outgoing_message(book, peer, entry)
    said = m.Disputed(claim=entry.data.claim, reason=entry.data.reason)
    if not isinstance(message, m.ClaimDisputedMessage) or message.data != said or said.reason in REFUSED:
        raise Refusal("segment_invalid", "The dispute sent is not the one written.")
    _no_postings(entry)
    return peer


def _disputed_there(book: Book, entry: e.ClaimDisputedEntry) -> None:
    """A peer's dispute of a claim of ours: a broker there decides it; or it could be put to nobody, and is over."""
    peer, message, chain = incoming_message(book, entry)
    name = named_claim(book, message, peer, peer.incoming.n + 1)
    assert isinstance(message, m.ClaimDisputedMessage)
    _no_postings(entry)
    if (entry.data.claim, entry.data.reason) != (name, message.data.reason) or entry.out is not UNSET:
        raise Refusal("segment_invalid", "The entry says another dispute than the message.")
    found = book.sent_claims.get(name)
    if found is not None:
        if message.data.reason in REFUSED:
            end_sent_claim(book, name)
        else:
            book.sent_claims[name] = replace(found, disputed=True)
    advance_incoming(book, peer, chain)


def named_claim(
    book: Book, message: m.AnyMessage, peer: PeerState, position: int, *, ended: Mapping[str, int] | None = None
) -> str:
    """The claim that a peer withdraws (its own) or disputes (ours); raises `Breach` when there never was one."""
    assert isinstance(message, m.ClaimWithdrawnMessage | m.ClaimDisputedMessage)
    me = book.me
    try:
        name = parse_transfer(message.data.claim)
    except Malformed as error:
        raise Breach("claim_unfounded", position, str(error)) from error
    if isinstance(message, m.ClaimWithdrawnMessage):
        theirs = (name.node, name.peer) == (peer.peer, me.node)
        is_known = theirs and was_said(peer, name.generation, name.position, last=position - 1, ended=ended)
    else:
        is_known = we_said(book, peer, name)
    if not is_known:
        raise Breach("claim_unfounded", position, "There never was a claim of this id.")
    return message.data.claim


def check_claim_paid(book: Book, entry: e.TransferSent, payer: str, data: m.Sent) -> Claim:
    """The claim from the payee's town that a transfer confirms.

    Raises:
        Refusal: `claim_unknown`, `claim_mismatch`, `claim_tolerance`, `claim_disputed`, `claim_not_due`.
    """
    assert data.claim is not UNSET
    claim = open_claim(book, data.claim)
    given = 0 if data.given_minutes is UNSET else data.given_minutes
    said = (entry.data.peer, data.payee, payer, data.purpose, data.activity, data.served_on, given)
    wanted = (claim.peer, claim.alias, claim.receiver, "service", claim.activity, claim.served_on, claim.given_minutes)
    if said != wanted:
        raise Refusal("claim_mismatch")
    if entry.by.kind == "rule":
        raise Refusal("claim_not_due", "The rule confirms nothing across towns.")
    if claim.disputed and entry.by.kind not in DECIDERS:
        raise Refusal("claim_disputed")
    check_tolerance(book, claim, data.minutes)
    return claim


def end_sent_claim(book: Book, name: str) -> None:
    """A claim of ours is over: paid, withdrawn, refused there, or expired."""
    found = book.sent_claims.pop(name)
    book.accounts[found.giver].open_claims -= 1


def is_sent_claim_expired(found: SentClaim, time: str) -> bool:
    """Whether the rule ends a claim of ours now: its time is over, and what was under way had time to come."""
    return time >= show_time(parse_time(found.expires_at) + timedelta(days=GRACE_DAYS))


def _no_postings(entry: e.Entry) -> None:
    if entry.postings is not UNSET:
        raise Refusal("posting_invalid", "A claim moves no minutes.")
