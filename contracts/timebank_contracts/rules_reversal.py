"""Rules of taking a transfer back, in whole or in part: every account of it, and the pot for what an account cannot.

What was taken back of each posting is remembered, so that all parts together are never more than the original.
Source: design page 3, "What people do with it"; PROTOCOL.md T12, T13.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.amounts import MINUTES_MAX
from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.names import local_transfer, parse_transfer
from timebank_contracts.rules_accounts import BROKERS
from timebank_contracts.rules_claims import note_reopened, reopened
from timebank_contracts.rules_refunds import Read
from timebank_contracts.split import split_minutes
from timebank_contracts.state import Book

WHOLE: Final[tuple[int, ...]] = ()
"""In `Book.reversed`: everything was taken back."""


def reversal_target(book: Book, transfer: str) -> int:
    """Journal position of the transfer that is taken back.

    Raises:
        Refusal: `transfer_unknown` for another journal's, `not_reversible` for one between towns.
    """
    try:
        name = parse_transfer(transfer)
    except Malformed as error:
        raise Refusal("transfer_unknown") from error
    if name.peer is not None:
        raise Refusal("not_reversible")
    if transfer != local_transfer(book.identity_at(name.position), name.position) or name.position >= book.n:
        raise Refusal("transfer_unknown")
    return name.position


def shares_of(book: Book, original: e.Entry, minutes: int | None) -> list[int]:
    """How many minutes of each posting are taken back now: with the posting's own sign, 0 for none.

    Each side is split by largest remainder over what is left of it, in the order of the postings, so that several
    parts never take more of a posting than it moved, and the last one takes exactly what is left.

    Args:
        book: knows what was taken back before.
        original: the transfer.
        minutes: of those that were credited; None: all that is left.

    Raises:
        Refusal: `already_reversed` when nothing is left, `not_reversible` for more than is left.
    """
    assert original.postings is not UNSET
    moved = [posted for _, posted in original.postings]
    taken = book.reversed.get(original.n)
    if taken == WHOLE:
        raise Refusal("already_reversed")
    left = moved if taken is None else [posted - before for posted, before in zip(moved, taken, strict=True)]
    credited = sum(posted for posted in left if posted > 0)
    if minutes is None or minutes == credited:
        return left
    if minutes > credited:
        raise Refusal("not_reversible", f"No more than {credited} minutes are left of this transfer.")
    shares = [0] * len(left)
    for sign in (-1, 1):
        side = [(index, sign * posted) for index, posted in enumerate(left) if sign * posted > 0]
        for (index, _), share in zip(side, split_minutes(minutes, [weight for _, weight in side]), strict=True):
            shares[index] = sign * share
    return shares


def reversal_postings(book: Book, original: e.Entry, minutes: int | None = None) -> list[tuple[str, int]]:
    """The postings that take a transfer back, with the pot bearing what an account cannot.

    No account is taken below its floor; a closed account neither pays nor is paid. The pot's own posting, if any,
    stands last, or joins the pot's leg of the original. See `shares_of` for arguments and refusals.
    """
    assert original.postings is not UNSET
    postings: dict[str, int] = {}
    for (account_id, _), moved in zip(original.postings, shares_of(book, original, minutes), strict=True):
        account = book.accounts[account_id]
        back = -moved
        if account_id != "pot":
            if account.state == "closed":
                back = 0
            elif back < 0:
                back = -min(moved, max(0, account.balance - account.floor))
        postings[account_id] = back
    missing = sum(postings.values())
    if missing:
        postings["pot"] = postings.pop("pot", 0) - missing
    return [(account_id, moved) for account_id, moved in postings.items() if moved]


def reversed_(book: Book, entry: e.TransferReversed, read: Read) -> None:
    if entry.by.kind not in BROKERS:
        raise Refusal("purpose_invalid", "A broker or operator takes a transfer back.")
    position = reversal_target(book, entry.data.transfer)
    original = read(position)
    if original is None or original.n != position:
        raise Refusal("transfer_unknown")
    if type(original) is not e.TransferPosted:
        raise Refusal("not_reversible")
    minutes = None if entry.data.minutes is UNSET else entry.data.minutes
    shares = shares_of(book, original, minutes)
    postings = reversal_postings(book, original, minutes)
    if entry.out is not UNSET or not postings or entry.postings != postings:
        raise Refusal("posting_invalid", "The postings are not those that take the transfer back.")
    pot = book.accounts.get("pot")
    moved = dict(postings).get("pot", 0)
    if moved and pot is None:
        raise Refusal("account_unknown", "The pot would bear a part of this, and the town has none; open it first.")
    if moved < 0 and pot is not None and pot.balance + moved < pot.floor:
        raise Refusal("floor", "The account cannot give the minutes back and the pot cannot bear them.")
    if abs(moved) > MINUTES_MAX:
        raise Refusal("amount_out_of_range", "The pot would bear more than one posting may move.")
    taken = _taken(book, original, shares)
    claim = original.data.claim
    again = None if taken != WHOLE or claim is UNSET else reopened(book, claim, time=entry.time, read=read)
    book.reversed[position] = taken
    for account_id, back in postings:
        book.accounts[account_id].balance += back
    if taken == WHOLE and claim is not UNSET:
        note_reopened(book, claim, again)


def _taken(book: Book, original: e.TransferPosted, shares: list[int]) -> tuple[int, ...]:
    """What is taken back of each posting after these shares, in minutes; `WHOLE` when it is everything."""
    assert original.postings is not UNSET
    before = book.reversed.get(original.n) or (0,) * len(shares)
    taken = tuple(one + share for one, share in zip(before, shares, strict=True))
    return WHOLE if taken == tuple(posted for _, posted in original.postings) else taken
