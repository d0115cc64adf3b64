"""Figures: pure functions of a book, adding up whatever the balances are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.figures import position_rows, trial_balance
from timebank_contracts.state import Account, Book, OpenTransfer, PeerState
from timebank_contracts.streams import StreamHead

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
KINDS = ("member", "organisation", "pot", "clearing", "transit")


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(-9_999, 9_999)), max_size=30))
def test_a_trial_balance_holds_every_account_once_and_its_total_is_the_sum(found: list[tuple[str, int]]) -> None:
    book = Book(n=7, time="2026-03-02T10:00:00.000Z")
    for number, (kind, balance) in enumerate(found):
        book.accounts[f"a{number}"] = Account(f"a{number}", kind, -10_000, 10_000, balance=balance)
    sums = trial_balance(book)
    assert sum(row.accounts for row in sums.rows) == len(found)
    assert sums.total == sum(balance for _, balance in found) == sums.credit - sums.debit
    assert [row.kind for row in sums.rows] == sorted({kind for kind, _ in found})
    assert all(row.credit >= 0 and row.debit >= 0 for row in sums.rows)


def _peer(name: str, clearing: int, transit: int) -> PeerState:
    return PeerState(
        peer=name,
        generation="g1",
        state="open",
        owe_limit=600,
        owed_limit=600,
        event_keys=(),
        clearing=Account(f"clearing:{name}", "clearing", 0, 0, balance=clearing),
        transit=Account(f"transit:{name}", "transit", 0, 0, balance=transit),
        incoming=StreamHead(0, bytes(32)),
        outgoing=StreamHead(0, bytes(32)),
    )


def test_positions_name_the_oldest_open_transfer_of_each_peer() -> None:
    book = Book(peers={"cardiff": _peer("cardiff", -5, 0), "barry": _peer("barry", 30, 60)})
    for number, sent_at in enumerate(["2026-03-02T09:59:00.500Z", "2026-03-02T09:58:00.000Z"]):
        book.open_transfers[f"t{number}"] = OpenTransfer("barry", "alys", 30, number, sent_at)
    barry, cardiff = position_rows(book, NOW)
    assert (barry.peer, barry.debt, barry.open_transfers, barry.oldest_age_seconds) == ("barry", 90, 2, 120)
    assert (cardiff.peer, cardiff.debt, cardiff.open_transfers, cardiff.oldest_age_seconds) == ("cardiff", -5, 0, None)


def test_an_age_is_never_below_nothing_when_a_clock_stands_behind() -> None:
    book = Book(peers={"barry": _peer("barry", 0, 30)})
    book.open_transfers["t"] = OpenTransfer("barry", "alys", 30, 0, "2026-03-02T10:00:00.000Z")
    assert position_rows(book, NOW - timedelta(hours=1))[0].oldest_age_seconds == 0
