"""A full disk: nothing is half written, reads go on, /readyz says what to do, and with room it goes on by itself."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.e2e.one_ledger import OneLedger, gift, one_ledger
from tests.e2e.running_towns import until
from tests.e2e.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.slow
COMMANDS_MAX = 2_000


def write_until_full(ledger: OneLedger) -> tuple[str, httpx.Response]:
    """Send transfers until one is not written; returns its key and its answer."""
    for number in range(COMMANDS_MAX):
        answer = ledger.post(gift(1), key=f"fill-{number}")
        assert answer is not None
        if answer.status_code != 201:
            return f"fill-{number}", answer
    raise AssertionError("the disk took everything")


def holds_on_a_full_disk(ledger: OneLedger, disk: SmallDisk) -> None:
    """Fill the disk, meet the refusal, read, make room, and go on with the same key."""
    disk.fill()
    key, refused = write_until_full(ledger)
    balance = ledger.balance("alys")
    assert (refused.status_code, refused.json()["code"]) == (503, "writer_stopped")
    assert "make room" in refused.json()["detail"]
    until(lambda: "make room" in ledger.unready(), seconds=10, what="/readyz says what to do")
    assert ledger.metric("writer_up") == 0
    assert ledger.get("/v1/accounts").status_code == 200
    assert ledger.get("/v1/journal?limit=5").status_code == 200
    later = ledger.post(gift(1), key="later")
    assert later is not None
    assert (later.status_code, later.headers["Retry-After"]) == (503, "1")
    disk.make_room()
    until(lambda: not ledger.unready(), seconds=20, what="the writer goes on by itself")
    assert ledger.balance("alys") == balance, "what was refused was not written"
    ledger.settle(gift(1), key=key)
    ledger.settle(gift(1), key="later")
    assert ledger.balance("alys") == balance - 2
    ledger.check()


def test_a_journal_in_sqlite_on_a_full_disk(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", megabytes=4) as disk,
        one_ledger(tmp_path, journal=f"sqlite:{disk.folder}/journal.db") as ledger,
    ):
        holds_on_a_full_disk(ledger, disk)
