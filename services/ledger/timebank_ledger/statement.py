"""Statements: opening + lines = closing, for every kind of account, over any range of the journal. Pure over the index.

Source: design page 3, "What people do with it".
"""

from __future__ import annotations

from typing import Final, NamedTuple

from timebank_ledger.index import Index, Line

LINES_MAX: Final = 1_000


class Statement(NamedTuple):
    """One account between two journal positions; quantities in minutes. `stop` is the first position not covered."""

    account: str
    start: int
    stop: int
    opening: int
    lines: list[Line]
    closing: int
    more: bool


def make_statement(index: Index, account: str, *, start: int, stop: int, limit: int = LINES_MAX) -> Statement:
    """The statement of an account over journal positions `start` to `stop` − 1.

    When there are more than `limit` lines, the statement ends before the first that it has no room for, and says so:
    each part balances by itself, and the parts join.

    Args:
        index: advanced to `stop` at least.
        account: whose.
        start: first position, 0 or more.
        stop: first position after it, `start` or more.
        limit: lines in one statement, 1 or more.
    """
    found = index.lines(account, start=start, stop=stop, limit=limit + 1)
    lines, more = found[:limit], len(found) > limit
    opening = index.balance_before(account, start)
    return Statement(
        account=account,
        start=start,
        stop=found[limit].position if more else stop,
        opening=opening,
        lines=lines,
        closing=opening + sum(line.minutes for line in lines),
        more=more,
    )
