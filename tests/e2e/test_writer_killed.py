"""A ledger killed at every edge of a commit: what it acknowledged is there, once; what it did not may be sent again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.one_ledger import OneLedger, every_kind, gift, one_ledger

pytestmark = pytest.mark.slow


def killed(ledger: OneLedger, order: str, *, key: str, minutes: int = 5) -> None:
    """Send a transfer to a process that dies there, and start it again."""
    ledger.order(order)
    answer = ledger.post(gift(minutes), key=key)
    assert (answer is None) == (order != "kill after answer"), "only after the answer does the client know"
    ledger.wait_killed()
    ledger.start()


def test_killed_before_the_append_nothing_was_written_and_the_key_runs_afresh(ledger: OneLedger) -> None:
    """A-5."""
    before = ledger.balance("alys")
    killed(ledger, "kill before append", key="k")
    assert ledger.balance("alys") == before
    ledger.settle(gift(5), key="k")
    assert ledger.balance("alys") == before - 5
    ledger.check()


def test_killed_between_commit_and_answer_every_kind_of_entry_is_there_once(ledger: OneLedger) -> None:
    """A-5."""
    for kind, path, body in every_kind(ledger):
        ledger.order("kill after append")
        assert ledger.post(body, key=kind, path=path) is None
        ledger.wait_killed()
        ledger.start()
        after = {account: ledger.balance(account) for account in ("alys", "bryn", "pot", "grant", "opening")}
        ledger.settle(body, key=kind, path=path)
        assert after == {account: ledger.balance(account) for account in after}, f"the {kind} was written, and once"
    ledger.check()


def test_killed_around_the_answer_the_key_gives_the_first_answer(ledger: OneLedger) -> None:
    before = ledger.balance("alys")
    for number, order in enumerate(("kill before answer", "kill after answer")):
        killed(ledger, order, key=f"k-{number}")
        assert ledger.balance("alys") == before - 5 * (number + 1)
        ledger.settle(gift(5), key=f"k-{number}")
    assert ledger.balance("alys") == before - 10
    ledger.check()


@pytest.mark.parametrize("step", ["open", "rename", "sync"])
def test_killed_while_it_writes_the_head_file_it_starts_and_publishes_again(step: str, tmp_path: Path) -> None:
    with one_ledger(tmp_path, journal=None) as ledger:
        published = ledger.checkpoint_size()
        ledger.stop()
        ledger.start()
        ledger.settle(gift(5), key="k")
        ledger.order(f"kill head {step}")
        assert ledger.checkpoint_size() is None
        ledger.wait_killed()
        ledger.start()
        size = ledger.checkpoint_size()
        assert published is not None
        assert size is not None
        assert size > published
        ledger.check()
