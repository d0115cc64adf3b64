"""A dry run answers what the real run would, and leaves everything as it was."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.vectors.vectors_journal import tell_two_towns
from tests.ledger.test_writer_keys import gift
from tests.ledger.town_api import OPERATOR, Town, open_town
from timebank_contracts.book import Book
from timebank_contracts.errors import Refusal
from timebank_contracts.state import Account
from timebank_ledger import commands as c
from timebank_ledger.trial import LayerMap, LayerSet, layer_over
from timebank_ledger.written import Written

ACCOUNTS = "alys", "bryn", "cai", "library", "pot", "nobody"
account = st.sampled_from(ACCOUNTS)
minutes = st.integers(min_value=1, max_value=400)


def pay(payer: str, payee: str, minutes: int) -> c.PostTransfer:
    return c.PostTransfer(
        by=OPERATOR,
        postings=((payer, -minutes), (payee, minutes)),
        purpose="correction",
        confirmed_by="none",
        reason=None,
    )


def claim(giver: str, receiver: str, minutes: int) -> c.MakeClaim:
    return c.MakeClaim(
        by=OPERATOR, giver=giver, receiver=receiver, minutes=minutes, activity="garden", served_on="2026-03-01"
    )


positions = st.integers(min_value=0, max_value=30).map(lambda position: f"aberdare.g1.{position}")
commands = st.one_of(
    st.builds(pay, account, account, minutes),
    st.builds(claim, account, account, minutes),
    st.builds(c.OpenAccount, by=st.just(OPERATOR), account=account, kind=st.sampled_from(["member", "programme"])),
    st.builds(c.ChangeAccount, by=st.just(OPERATOR), account=account, floor=st.integers(-600, 0), ceiling=minutes),
    st.builds(
        c.SetAccountState, by=st.just(OPERATOR), account=account, state=st.sampled_from(["frozen", "open", "closed"])
    ),
    st.builds(c.BeginClosing, by=st.just(OPERATOR), account=account),
    st.builds(c.CloseAccount, by=st.just(OPERATOR), account=account, taker=account),
    st.builds(c.IssueAlias, by=st.just(OPERATOR), account=account, alias=st.sampled_from(["a" * 32, "b" * 32])),
    st.builds(c.RevokeAlias, by=st.just(OPERATOR), alias=st.sampled_from(["a" * 32, "b" * 32])),
    st.builds(
        c.ChangePolicy,
        by=st.just(OPERATOR),
        default_floor=st.integers(-600, 0),
        default_ceiling=minutes,
        debt_limit=minutes,
    ),
    st.builds(c.ConfirmClaim, by=st.just(OPERATOR), claim=positions, confirmed_by=st.just("broker")),
    st.builds(c.EndClaim, by=st.just(OPERATOR), claim=positions, how=st.sampled_from(["withdrawn", "upheld"])),
    st.builds(c.DisputeClaim, by=st.just(OPERATOR), claim=positions, reason=st.just("never_happened")),
    st.builds(c.ReverseTransfer, by=st.just(OPERATOR), transfer=positions, reason=st.just("mistake")),
)


def answered(answer: Written | Exception) -> object:
    if isinstance(answer, Written):
        return list(answer.entries), answer.repeated
    return type(answer), str(answer)


@given(st.lists(st.tuples(commands, st.integers(0, 2)), max_size=25))
@settings(max_examples=60, deadline=None)
def test_what_a_dry_run_answers_is_what_the_real_run_writes(asked: list[tuple[c.Command, int]]) -> None:
    with open_town() as town:
        while asked:
            # Together, so that later ones of a dry run stand on what earlier ones would have written.
            part = [command for command, _ in asked[: 1 + asked[0][1]]]
            asked = asked[len(part) :]
            with town.writer.reading() as book:
                before = deepcopy(book)
            length = town.writer.tail.length
            tried = town.writer.submit_trial(part).result()
            assert town.writer.tail.length == length
            with town.writer.reading() as book:
                assert book == before
            done = town.writer.submit_many(part).result()
            assert [answered(one) for one in tried] == [answered(one) for one in done]


def test_a_dry_run_uses_no_key_up_and_knows_the_used_ones(town: Town) -> None:
    first, again, other = town.writer.submit_trial([gift(30, key="k"), gift(30, key="k"), gift(31, key="k")]).result()
    assert isinstance(first, Written)
    assert isinstance(again, Written)
    assert (again.entries, again.repeated, first.repeated) == (first.entries, True, False)
    assert isinstance(other, Refusal)
    assert other.code == "key_reused"
    written = town.writer.submit(gift(31, key="k")).result()
    assert not written.repeated
    [known, reused] = town.writer.submit_trial([gift(31, key="k"), gift(30, key="k")]).result()
    assert isinstance(known, Written)
    assert known.repeated
    assert isinstance(reused, Refusal)


def test_a_dry_run_stands_in_the_order_of_the_queue(town: Town) -> None:
    with town.writer.reading():
        town.writer.submit(c.IssueAlias(by=OPERATOR, account="bryn", alias="a" * 26))
        before = town.writer.submit_trial([gift(600, key="a")])
        paid = town.writer.submit(gift(600, key="b"))
        after = town.writer.submit_trial([gift(600, key="a")])
    [possible], [too_much] = before.result(), after.result()
    assert isinstance(possible, Written)
    assert possible.entries[0].n == paid.result().entries[0].n
    assert isinstance(too_much, Refusal)
    assert too_much.code == "floor"


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


def test_what_changes_in_place_is_copied_once() -> None:
    below = {"alys": Account("alys", "member", -60, 60)}
    layer = LayerMap(below, replace)
    layer["alys"].balance = 5
    assert (layer["alys"].balance, below["alys"].balance) == (5, 0)
