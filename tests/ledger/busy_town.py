"""Random lives of a town for the tests of what its journal adds up to."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.ledger.town_api import OPERATOR, Town
from timebank_contracts.book import Book, apply
from timebank_contracts.entries import decode_entry
from timebank_contracts.errors import Refusal
from timebank_ledger import commands as c
from timebank_ledger.replay import read_entry

ACCOUNTS = ("alys", "bryn", "library", "pot")
Act = tuple[int, int, int, int, bool]

ACTS: st.SearchStrategy[list[Act]] = st.lists(
    st.tuples(
        st.integers(0, 5 * 86_400),  # seconds that pass before it
        st.integers(0, 3),  # the payer
        st.integers(1, 3),  # the payee, counted from the payer
        st.integers(1, 120),  # minutes
        st.booleans(),  # the last transfer is taken back instead
    ),
    max_size=25,
)


def live(town: Town, acts: list[Act]) -> None:
    """Let a town do these things; what the rules refuse does not happen."""
    last = None
    for seconds, payer, further, minutes, back in acts:
        town.clock.advance(seconds)
        if back and last is not None:
            command: c.Command = c.ReverseTransfer(by=OPERATOR, transfer=f"{town.node}.g1.{last}", reason="mistake")
        else:
            command = _transfer(ACCOUNTS[payer], ACCOUNTS[(payer + further) % 4], minutes)
        try:
            last = town.writer.submit(command).result().entries[0].n
        except Refusal:
            continue


def _transfer(payer: str, payee: str, minutes: int) -> c.Command:
    purpose = "pot" if payee == "pot" else "support" if payer == "pot" else "gift"
    said: dict[str, Any] = {"by": OPERATOR, "postings": ((payer, -minutes), (payee, minutes)), "confirmed_by": "none"}
    return c.PostTransfer(purpose=purpose, **said)


def book_at(town: Town, length: int) -> Book:
    """The book that the first `length` entries give, read from the journal alone."""
    book = Book()
    for record in town.journal.read(0, length) if length else []:
        entry = decode_entry(record.state)
        apply(book, entry, read=lambda position: read_entry(town.journal, position))
    return book
