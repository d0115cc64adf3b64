"""Splitting minutes: a shared cost by largest remainder, and the postings of a group session. Pure.

Nothing is lost in a split: the shares are whole minutes and sum to what was split.
Source: design page 3, "Group session" (60 over 7 = 9, 9, 9, 9, 8, 8, 8); PROTOCOL.md A4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from timebank_contracts.amounts import MINUTES_MAX
from timebank_contracts.errors import Refusal


def split_minutes(minutes: int, weights: Sequence[int]) -> list[int]:
    """Shares of `minutes` in proportion to `weights`, by largest remainder; among equals the first gets the minute.

    A share is never above its weight as long as `minutes` is not above their sum.

    Args:
        minutes: 0 or more.
        weights: 1 or more of them, each 1 or more.

    Returns:
        One share for each weight, in order; their sum is `minutes`.
    """
    assert minutes >= 0
    assert weights
    assert min(weights) > 0
    total = sum(weights)
    shares = [minutes * weight // total for weight in weights]
    remainders = [minutes * weight % total for weight in weights]
    largest = sorted(range(len(weights)), key=lambda index: -remainders[index])
    for index in largest[: minutes - sum(shares)]:
        shares[index] += 1
    return shares


def session_postings(
    *, attendees: Mapping[str, int | None], leaders: Mapping[str, int], shared_minutes: int | None
) -> list[tuple[str, int]]:
    """The postings of a group session: attendees pay, leaders earn, the pot takes or bears the difference.

    Args:
        attendees: account → minutes that it pays; None: its share of `shared_minutes`.
        leaders: account → minutes of time given, each 1 or more.
        shared_minutes: what the attendees without own minutes pay together; None: all have their own.

    Returns:
        [account, minutes], attendees first, each group in order of account id, the pot last if it is needed.

    Raises:
        Refusal: `session_invalid` when an account stands on both sides, somebody would pay nothing, or own minutes and
            `shared_minutes` do not fit; `amount_out_of_range`.
    """
    sharing = sorted(account for account, minutes in attendees.items() if minutes is None)
    if (shared_minutes is None) != (not sharing):
        raise Refusal("session_invalid", "shared_minutes is for the attendees without minutes of their own.")
    if attendees.keys() & leaders.keys() or "pot" in attendees or "pot" in leaders:
        raise Refusal("session_invalid", "An account attends or leads; the pot does neither.")
    paid = {account: minutes for account, minutes in attendees.items() if minutes is not None}
    if shared_minutes is not None:
        paid |= dict(zip(sharing, split_minutes(shared_minutes, [1] * len(sharing)), strict=True))
    if not paid or not leaders or min(paid.values()) < 1 or min(leaders.values()) < 1:
        raise Refusal("session_invalid")
    postings = [(account, -paid[account]) for account in sorted(paid)]
    postings += [(account, leaders[account]) for account in sorted(leaders)]
    rest = -sum(minutes for _, minutes in postings)
    if rest:
        postings.append(("pot", rest))
    if max(abs(minutes) for _, minutes in postings) > MINUTES_MAX:
        raise Refusal("amount_out_of_range")
    return postings
