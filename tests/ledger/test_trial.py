"""A dry run answers what the real run would, and leaves everything as it was."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.test_writer_keys import gift
from tests.ledger.town_api import OPERATOR, Town, open_town
from timebank_contracts.errors import Refusal
from timebank_ledger import commands as c
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
