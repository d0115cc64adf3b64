"""One key serves one command, whether its first command is committed, in the same batch, or was refused."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.ledger.town_api import OPERATOR, Town, open_town
from timebank_contracts.errors import Refusal
from timebank_ledger import commands as c
from timebank_ledger.writer import Written


def gift(minutes: int, *, key: str, asked: str = "") -> c.PostTransfer:
    return c.PostTransfer(
        by=OPERATOR,
        key=c.key_of("test", key),
        digest=c.digest_of({"minutes": minutes, "asked": asked}),
        postings=(("alys", -minutes), ("bryn", minutes)),
        purpose="gift",
        confirmed_by="none",
    )


def together(town: Town, *commands: c.Command) -> list[Future[Written]]:
    """Park the commands while no commit can end: the last ones, at the least, share a batch."""
    with town.writer.reading():
        town.writer.submit(c.IssueAlias(by=OPERATOR, account="bryn", alias="a" * 26))
        return [town.writer.submit(command) for command in commands]


def test_a_repeated_key_answers_with_the_entry_that_it_wrote(town: Town) -> None:
    first = town.writer.submit(gift(30, key="k")).result()
    again = town.writer.submit(gift(30, key="k")).result()
    assert (again.entries, again.repeated, first.repeated) == (first.entries, True, False)
    assert town.writer.tail.length == first.entries[0].n + 1


def test_a_key_twice_in_one_batch_writes_once(town: Town) -> None:
    first, again, other = together(town, gift(30, key="k"), gift(30, key="k"), gift(30, key="other"))
    assert again.result().entries == first.result().entries
    assert other.result().entries[0].n == first.result().entries[0].n + 1
    with town.writer.reading() as book:
        assert book.accounts["bryn"].balance == 60


def test_a_key_with_other_content_is_refused_and_spoils_no_neighbour(town: Town) -> None:
    town.writer.submit(gift(30, key="k")).result()
    before, reused, after = together(town, gift(1, key="b"), gift(31, key="k"), gift(2, key="c"))
    with pytest.raises(Refusal, match="key") as refused:
        reused.result()
    assert refused.value.code == "key_reused"
    assert after.result().entries[0].n == before.result().entries[0].n + 1


def test_a_repeated_key_is_answered_though_the_rules_would_refuse_its_command_now(town: Town) -> None:
    first = town.writer.submit(gift(600, key="k")).result()
    town.writer.submit(c.IssueAlias(by=OPERATOR, account="bryn", alias="b" * 32)).result()
    again = town.writer.submit(gift(600, key="k")).result()
    assert (again.entries, again.repeated) == (first.entries, True)


def test_a_batch_with_a_key_of_before_writes_its_new_commands_once(town: Town) -> None:
    first = town.writer.submit(gift(30, key="k")).result()
    town.writer.submit(gift(1, key="a")).result()
    before, again, after = together(town, gift(2, key="b"), gift(30, key="k"), gift(3, key="c"))
    assert (again.result().entries, again.result().repeated) == (first.entries, True)
    assert after.result().entries[0].n == before.result().entries[0].n + 1
    with town.writer.reading() as book:
        assert book.accounts["bryn"].balance == 36


def test_the_key_of_a_refused_command_may_be_used_again(town: Town) -> None:
    too_much, enough = together(town, gift(601, key="k"), gift(600, key="k"))
    with pytest.raises(Refusal):
        too_much.result()
    assert not enough.result().repeated


def test_a_key_is_known_after_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'journal.db'}"
    with open_town(url=url) as town:
        first = town.writer.submit(gift(30, key="k")).result()
    with open_town(url=url, begin=False) as town:
        again = town.writer.submit(gift(30, key="k")).result()
        assert (again.entries, again.repeated) == (list(first.entries), True)


def test_commands_parked_together_are_answered_in_order_each_by_itself(town: Town) -> None:
    commands = [gift(30, key="a"), gift(601, key="b"), gift(30, key="a"), gift(31, key="a"), gift(5, key="c")]
    first, refused, again, reused, last = town.writer.submit_many(commands).result()
    assert isinstance(first, Written)
    assert isinstance(again, Written)
    assert isinstance(last, Written)
    assert (again.entries, again.repeated) == (first.entries, True)
    assert last.entries[0].n == first.entries[0].n + 1
    assert [error.code for error in (refused, reused) if isinstance(error, Refusal)] == ["floor", "key_reused"]
