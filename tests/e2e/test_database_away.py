"""PostgreSQL killed, or stopped without a word, under a ledger: everybody is answered, and it resumes by itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.servers.find import OwnDatabase
from tests.e2e.one_ledger import OneLedger, gift, one_ledger
from tests.e2e.running_towns import until

pytestmark = [pytest.mark.servers, pytest.mark.slow]
BOUNDS = "?options=-cstatement_timeout%3D1000&connect_timeout=2"
"""An answer is waited for three seconds, and not twelve."""
QUEUE_LIMIT = 8
STATEMENT = "/v1/accounts/alys/statement"
NEEDS_THE_DATABASE = (STATEMENT, "/v1/journal?limit=5")
READ_SECONDS = 15.0
"""Twice what a reader waits for a connection and its answer, with some room for a busy machine."""


@pytest.fixture
def ledger(private_postgres: OwnDatabase, tmp_path: Path) -> Iterator[OneLedger]:
    journal = private_postgres.create_database("town") + BOUNDS
    variables = {"TIMEBANK_LEDGER_QUEUE_LIMIT": str(QUEUE_LIMIT)}
    with one_ledger(tmp_path, journal=journal, variables=variables) as running:
        yield running


def check_reads(ledger: OneLedger, balance: set[int]) -> None:
    """What the book knows is answered; what only the database knows is a problem, and in time."""
    assert ledger.balance("alys") in balance
    assert ledger.get("/v1/trial-balance").status_code == 200
    for path in NEEDS_THE_DATABASE:
        began = time.monotonic()
        answer = ledger.get(path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json"), path
        assert answer.headers["Retry-After"]
        assert time.monotonic() - began < READ_SECONDS


def reads_come_back(ledger: OneLedger) -> None:
    """Every question has its answer again."""
    until(
        lambda: all(ledger.get(path).status_code == 200 for path in NEEDS_THE_DATABASE),
        seconds=20,
        what="statements and entries come back",
    )


def test_a_killed_database_costs_time_only(ledger: OneLedger, private_postgres: OwnDatabase) -> None:
    before = ledger.balance("alys")
    private_postgres.kill()
    for key in ("k", "later"):
        refused = ledger.post(gift(5), key=key)
        assert refused is not None
        assert (refused.status_code, refused.json()["code"]) == (503, "writer_stopped"), "it was surely not written"
    assert "PostgreSQL" in ledger.unready()
    assert ledger.metric("writer_up") == 0
    check_reads(ledger, {before})
    private_postgres.restart()
    until(lambda: not ledger.unready(), seconds=20, what="the writer resumes by itself")
    reads_come_back(ledger)
    assert ledger.metric("doubts") == 1
    ledger.settle(gift(5), key="k")
    ledger.settle(gift(5), key="later")
    assert ledger.balance("alys") == before - 10
    ledger.check()


def test_a_stopped_database_holds_nobody_up_and_every_command_has_an_answer(
    ledger: OneLedger, private_postgres: OwnDatabase
) -> None:
    before = ledger.balance("alys")
    private_postgres.pause()
    with ThreadPoolExecutor(3 * QUEUE_LIMIT) as threads:
        sent = [threads.submit(ledger.post, gift(1), key=f"k-{number}") for number in range(3 * QUEUE_LIMIT)]
        check_reads(ledger, {before})
        answers = [future.result(timeout=30) for future in sent]
    codes = Counter("none" if answer is None else answer.json()["code"] for answer in answers)
    assert codes.keys() <= {"outcome_unknown", "queue_full", "writer_stopped"}
    assert codes["queue_full"] >= 1
    assert all(answer is not None and answer.headers["Retry-After"] for answer in answers)
    assert "PostgreSQL" in ledger.unready()
    private_postgres.resume()
    until(lambda: not ledger.unready(), seconds=20, what="the writer resumes by itself")
    reads_come_back(ledger)
    for number in range(3 * QUEUE_LIMIT):
        ledger.settle(gift(1), key=f"k-{number}")
    assert ledger.balance("alys") == before - 3 * QUEUE_LIMIT
    ledger.check()
