"""A layer over a book: a batch that is not committed yet, or a dry run."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from contracts.vectors.vectors_journal import tell_two_towns
from timebank_contracts.book import Book, apply
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.state import Account
from timebank_ledger.layer import LayerMap, LayerSet, layer_over, settle


def test_a_layer_says_what_its_book_says_and_keeps_changes_to_itself() -> None:
    for town in tell_two_towns():
        before = deepcopy(town.book)
        layer = layer_over(town.book)
        for field in fields(Book):
            below, above = getattr(town.book, field.name), getattr(layer, field.name)
            assert list(above) == list(below) if isinstance(below, dict) else above == below, field.name
        for account in layer.accounts.values():
            account.balance += 1
            account.state = "closed"
        for peer in layer.peers.values():
            assert peer.clearing is layer.accounts[peer.clearing.account]
            peer.unheard.clear()
            layer.change_debt(peer, 5, 7)
        layer.aliases.clear()
        layer.open_transfers.clear()
        layer.revoked_aliases.add("new")
        layer.n += 1
        assert town.book == before


@given(
    st.dictionaries(st.integers(0, 5), st.integers()),
    st.lists(st.tuples(st.sampled_from(["put", "drop", "get"]), st.integers(0, 5), st.integers())),
)
def test_a_layered_dictionary_is_one(below: dict[int, int], steps: list[tuple[str, int, int]]) -> None:
    before, plain, layer = dict(below), dict(below), LayerMap(below, lambda value: value)
    values, plain_set, layer_set = set(below), set(below), LayerSet(set(below))
    for step, key, value in steps:
        if step == "put":
            plain[key], layer[key] = value, value
            plain_set.add(key)
            layer_set.add(key)
        elif step == "drop":
            assert plain.pop(key, None) == layer.pop(key, None)
            plain_set.discard(key)
            layer_set.discard(key)
        else:
            assert plain.get(key) == layer.get(key)
        assert (list(plain.items()), len(plain)) == (list(layer.items()), len(layer))
        assert (plain_set, len(plain_set)) == (set(layer_set), len(layer_set))
        assert [one in plain for one in range(6)] == [one in layer for one in range(6)]
    assert (below, values) == (before, set(before))
    layer.settle()
    layer_set.settle()
    assert list(below.items()) == list(plain.items()), "in the same order, too"
    assert layer_set.below == plain_set


def test_what_changes_in_place_is_copied_once() -> None:
    below = {"alys": Account("alys", "member", -60, 60)}
    layer = LayerMap(below, replace)
    layer["alys"].balance = 5
    assert (layer["alys"].balance, below["alys"].balance) == (5, 0)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.lists(st.booleans(), min_size=1, max_size=7))
def test_batches_that_settle_make_the_same_book_as_entries_one_by_one(sizes: list[int], tried: list[bool]) -> None:
    for town in tell_two_towns():
        book, turn = Book(), 0
        while book.n < len(town.entries):
            batch = town.entries[book.n : book.n + sizes[turn % len(sizes)]]
            if tried[turn % len(tried)]:
                forgotten = layer_over(layer_over(book))
                for entry in batch:
                    apply(forgotten, entry, read=town.entries.__getitem__)
            layer = layer_over(book)
            for entry in batch:
                apply(layer, entry, read=town.entries.__getitem__)
            settle(layer, book)
            turn += 1
        assert book == town.book
        assert broken_invariants(book) == []
        for peer in book.peers.values():
            assert type(peer.unheard) is dict
            assert peer.clearing is book.accounts[peer.clearing.account]
            assert peer.transit is book.accounts[peer.transit.account]
