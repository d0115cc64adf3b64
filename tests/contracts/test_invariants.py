"""Invariants: what holds after every entry, and that each breach of it is noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contracts.vectors.vectors_journal import tell_two_towns
from timebank_contracts.book import Book, apply
from timebank_contracts.invariants import broken_invariants


def test_every_invariant_holds_after_every_entry_of_two_towns() -> None:
    """PROTOCOL.md I1, I2, I3, I4."""
    for town in tell_two_towns():
        book = Book()
        for entry in town.entries:
            apply(book, entry, read=town.entries.__getitem__)
            assert broken_invariants(book) == []
            assert sum(minutes for _, minutes in book.balances()) == 0
            assert all(peer.transit.balance >= 0 for peer in book.peers.values())
        assert book == town.book


def change_a_balance(book: Book) -> None:
    """PROTOCOL.md I1."""
    book.accounts["alys"].balance += 1


def forget_a_transfer(book: Book) -> None:
    """PROTOCOL.md I2."""
    book.open_transfers.popitem()


def forget_what_is_in_transit(book: Book) -> None:
    """PROTOCOL.md I3."""
    book.accounts["library"].in_transit = 0


def forget_the_debt(book: Book) -> None:
    """PROTOCOL.md I4."""
    book.debt = 0


def hear_too_much(book: Book) -> None:
    """PROTOCOL.md I4."""
    book.peers["barry"].heard = 99


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (change_a_balance, "sum to 1 minutes"),
        (forget_a_transfer, "transit:barry holds 25 minutes"),
        (forget_what_is_in_transit, "library has 0 minutes in transit, sent 25"),
        (forget_the_debt, "owes its peers 153 minutes, the book says 0"),
        (hear_too_much, "barry heard 99 messages"),
    ],
)
def test_damage_is_named(damage: Callable[[Book], None], words: str) -> None:
    book = tell_two_towns()[0].book
    damage(book)
    assert any(words in sentence for sentence in broken_invariants(book))
