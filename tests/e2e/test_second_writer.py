"""Two processes on one journal, by mistake: one of them stops with a sentence, and nothing is doubled or lost.

The one that wrote last goes on: to the other, the journal is not the one that it left.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.servers.child import free_port
from tests.e2e.one_ledger import OneLedger, gift, one_ledger
from tests.e2e.running_towns import until

pytestmark = pytest.mark.slow


@contextmanager
def second_process(ledger: OneLedger) -> Iterator[OneLedger]:
    """The same town's ledger once more, on a port of its own."""
    other = ledger.twin(free_port())
    try:
        other.start()
        yield other
    finally:
        other.close()


@pytest.mark.parametrize("first_writes", [True, False])
def test_the_process_that_is_overtaken_stops_and_the_other_goes_on(ledger: OneLedger, first_writes: bool) -> None:
    """L-6, M-8."""
    with second_process(ledger) as other:
        goes_on, stops = (ledger, other) if first_writes else (other, ledger)
        before = goes_on.balance("alys")
        goes_on.settle(gift(5), key="written")
        stopped = stops.post(gift(7), key="refused")
        assert stopped is not None
        assert (stopped.status_code, stopped.json()["code"]) == (503, "writer_stopped")
        assert "run one only" in stopped.json()["detail"]
        assert "run one only" in stops.unready()
        assert stops.metric("writer_up") == 0
        assert stops.balance("alys") == before, "it goes on reading what it knows"
        again = stops.post(gift(5), key="written")
        assert again is not None
        assert again.status_code == 503, "nor does it answer for the other"
        goes_on.settle(gift(7), key="refused")
        assert goes_on.balance("alys") == before - 12
        stops.stop()
        goes_on.check()


def test_a_process_that_is_overtaken_while_nobody_asks_it_says_so_within_seconds(tmp_path: Path) -> None:
    with one_ledger(tmp_path, journal=None) as ledger, second_process(ledger) as other:
        other.settle(gift(5), key="written")
        until(lambda: "run one only" in ledger.unready(), seconds=20, what="/readyz says it")
        assert ledger.metric("writer_up") == 0
        ledger.stop()
        other.check()


def test_one_command_through_two_processes_is_one_entry(ledger: OneLedger) -> None:
    """M-8."""
    with second_process(ledger) as other:
        before = ledger.balance("alys")
        both = ledger, other
        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(lambda each: each.post(gift(5), key="k"), both))
        statuses = [0 if answer is None else answer.status_code for answer in answers]
        assert sorted(statuses) in ([201, 201], [201, 503])
        wrote = next(each for each in both if each.balance("alys") == before - 5)
        wrote.settle(gift(5), key="k")
        for each in both:
            if each is not wrote:
                each.stop()
        wrote.check()
