"""A commit of which nobody knows the outcome: the client is told so, sends it again, and there is one entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cut_line import CutLine, cut_line
from tests.e2e.one_ledger import OneLedger, every_kind, gift, one_ledger
from tests.e2e.running_towns import until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("order", ["lose before append", "lose after append"])
def test_a_lost_outcome_is_said_and_the_same_key_ends_in_one_entry_of_every_kind(ledger: OneLedger, order: str) -> None:
    """A-5."""
    for doubts, (kind, path, body) in enumerate(every_kind(ledger)):
        ledger.order(order)
        before = ledger.balance("alys")
        unknown = ledger.post(body, key=kind, path=path)
        assert unknown is not None
        assert (unknown.status_code, unknown.json()["code"]) == (503, "outcome_unknown")
        assert unknown.headers["Retry-After"]
        assert ledger.balance("alys") in (before, before + ledger.moved(body)), "reads go on"
        ledger.settle(body, key=kind, path=path)
        assert ledger.balance("alys") == before + ledger.moved(body)
        assert ledger.metric("doubts") == doubts + 1
    assert ledger.unready() == ""
    ledger.check()


@pytest.mark.servers
@pytest.mark.parametrize("lost", ["answer", "question"])
def test_a_line_that_is_cut_in_mid_commit_ends_in_one_entry(lost: str, postgres_dsn: str, tmp_path: Path) -> None:
    with cut_line(postgres_dsn) as line, one_ledger(tmp_path, journal=line.dsn) as ledger:
        before = ledger.balance("alys")
        cut(line, lost)
        unknown = ledger.post(gift(7), key="k")
        assert line.cut.is_set()
        assert unknown is not None
        assert (unknown.status_code, unknown.json()["code"]) == (503, "outcome_unknown")
        assert ledger.balance("alys") in (before, before - 7), "reads go on"
        until(lambda: not ledger.unready(), seconds=10, what="the writer resumes by itself")
        assert ledger.balance("alys") == before - (7 if lost == "answer" else 0), "the tail was read back"
        ledger.settle(gift(7), key="k")
        assert ledger.balance("alys") == before - 7
        ledger.settle(gift(1), key="next")
        ledger.check()


def cut(line: CutLine, lost: str) -> None:
    """Lose the next append's answer, or itself."""
    if lost == "answer":
        line.lose_answer()
    else:
        line.lose_question()
