"""The properties P1 to P8: each holds for two towns as they are told, and each breach of it is noticed."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from contracts.vectors.vectors_journal import tell_two_towns
from timebank_contracts import entries as e
from timebank_contracts import properties
from timebank_contracts.book import Book, apply
from timebank_contracts.cut import town_at_cut
from timebank_contracts.properties import Told


def told_until(town: int, entry: e.Entry) -> dict[str, Told]:
    """What both journals say in all, and one of them before this entry only."""
    towns = tell_two_towns()
    whole = {one.book.me.node: Told(one.book.me.node) for one in towns}
    for one in towns:
        for each in one.entries:
            if one is towns[town] and each.n >= entry.n:
                break
            whole[one.book.me.node].note(each)
    return whole


def first(town: int, kind: type[e.Entry]) -> e.Entry:
    """The first entry of a kind in one of the two journals."""
    return next(entry for entry in tell_two_towns()[town].entries if isinstance(entry, kind))


def test_everything_that_two_towns_did_keeps_every_property() -> None:
    towns = tell_two_towns()
    others = {one.book.me.node: Told(one.book.me.node) for one in towns}
    for one in towns:
        for entry in one.entries:
            others[one.book.me.node].note(entry)
    for one in towns:
        book, told = Book(), Told(one.book.me.node)
        for entry in one.entries:
            apply(book, entry, read=one.entries.__getitem__)
            assert properties.conserved(book) == []
            assert properties.applied_once(told, entry) == []
            assert properties.validly_caused(told, entry, others) == []
            assert properties.one_outcome(told, entry, others) == []
            assert properties.within_limits(entry, book.accounts, book.peers, debt_limit=book.debt_limit) == []
            told.note(entry)
        assert properties.replays_alike(one.book, book, [b"root", b"root"]) == []


def test_an_acknowledged_entry_that_is_gone_or_another_is_lost() -> None:
    assert properties.nothing_lost({0: b"a", 1: b"b"}, [b"a", b"b"]) == []
    assert len(properties.nothing_lost({0: b"a", 1: b"b", 2: b"c"}, [b"a", b"x"])) == 2


@pytest.mark.parametrize("kind", [e.TransferReceived, e.TransferSettled])
def test_a_second_effect_of_a_position_and_a_second_outcome_are_noticed(kind: type[e.Entry]) -> None:
    town = 1 if kind is e.TransferReceived else 0
    towns = tell_two_towns()
    entry = next((one for one in towns[town].entries if isinstance(one, kind)), None)
    town, entry = (town, entry) if entry is not None else (1 - town, first(1 - town, kind))
    others = told_until(town, entry)
    told = others[towns[town].book.me.node]
    assert properties.applied_once(told, entry) == properties.one_outcome(told, entry, others) == []
    told.note(entry)
    assert "as message" in properties.applied_once(told, entry)[0]
    assert "twice" in properties.one_outcome(told, entry, others)[0]


def test_what_no_journal_wrote_has_no_valid_cause() -> None:
    entry = next(one for one in tell_two_towns()[0].entries if one.in_ is not msgspec.UNSET)
    others = told_until(0, entry)
    told = others["aberdare"]
    assert properties.validly_caused(told, entry, others) == []
    assert "did not write" in properties.validly_caused(told, entry, {})[0]


def test_another_book_or_root_is_no_replay_and_an_open_transfer_is_no_end() -> None:
    book = tell_two_towns()[0].book
    other = tell_two_towns()[0].book
    assert properties.replays_alike(book, other, [b"r", b"s"])
    other.time = ""
    assert properties.replays_alike(book, other, [b"r"])
    assert bool(properties.ended([book])) == bool(book.open_transfers)


def test_minutes_that_appear_in_one_town_are_noticed_between_towns() -> None:
    towns = [town_at_cut(one.book, {}) for one in tell_two_towns()]
    broken = properties.conserved_between(towns)
    more = [replace(towns[0], others=towns[0].others + 1_000_000), towns[1]]
    assert properties.conserved_between(more) != broken
