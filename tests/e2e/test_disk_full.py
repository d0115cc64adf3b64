"""A full disk: nothing is half written, reads go on, /readyz says what to do, and with room it goes on by itself."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from deploy.servers.errors import ServerMissing
from deploy.servers.postgres import PostgresServer, find_binaries
from tests.e2e.one_ledger import OneLedger, gift, one_ledger
from tests.e2e.running_towns import until
from tests.e2e.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.slow
COMMANDS_MAX = 2_000
STATEMENT = "/v1/accounts/alys/statement"


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


@pytest.mark.servers
def test_a_journal_in_postgresql_on_a_full_disk(tmp_path: Path) -> None:
    with (
        postgres_on_a_small_disk() as (server, disk),
        one_ledger(tmp_path, journal=server.create_database("town")) as ledger,
    ):
        holds_on_a_full_disk(ledger, disk)


@contextmanager
def postgres_on_a_small_disk() -> Iterator[tuple[PostgresServer, SmallDisk]]:
    """A server whose data, and nothing else of it, are on a disk of 128 MB."""
    try:
        binaries = find_binaries()
    except ServerMissing:
        pytest.skip("no binaries of PostgreSQL here: the disk of a container is not filled up")
    # Below a folder that other users may enter: as root, the server runs as one of them.
    with TemporaryDirectory(prefix="timebank-postgres-", ignore_cleanup_errors=True) as folder:
        directory = Path(folder)
        owner = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
        with (
            small_disk(directory / "data", megabytes=128, owner=owner) as disk,
            PostgresServer(binaries, directory) as server,
        ):
            yield server, disk


def test_a_head_file_on_a_full_disk_stops_what_is_published_and_nothing_else(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", megabytes=1) as disk,
        one_ledger(tmp_path, journal=None, variables={"TIMEBANK_LEDGER_HEAD_FILE": f"{disk.folder}/head"}) as ledger,
    ):
        published = ledger.checkpoint_size()
        disk.fill()
        ledger.settle(gift(1), key="k")
        # A new checkpoint is signed at most every second.
        until(lambda: ledger.checkpoint_size() and ledger.trouble(), seconds=10, what="/readyz says what to do")
        assert "head file" in ledger.trouble()
        assert "make room" in ledger.trouble()
        assert ledger.checkpoint_size() == published, "nothing is published that is not noted"
        assert ledger.metric("published") == published
        assert ledger.metric("writer_up") == 1
        disk.make_room()
        until(lambda: ledger.checkpoint_size() != published, seconds=10, what="it publishes again")
        assert ledger.trouble() == ""
        ledger.check()


def test_an_index_on_a_full_disk_stops_statements_and_nothing_else(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        index = tmp_path / "journal.db-index"
        index.symlink_to(disk.folder / "index")
        with one_ledger(tmp_path, journal=f"sqlite:{tmp_path}/journal.db") as ledger:
            until(lambda: ledger.metric("indexed") > 0, seconds=10, what="the index follows")
            disk.fill()
            for number in range(200):
                ledger.settle(gift(1), key=f"k-{number}")
            assert ledger.get("/v1/trial-balance").status_code == 200, "the book knows it"
            waits = ledger.get(STATEMENT)
            assert (waits.status_code, waits.headers["Content-Type"]) == (503, "application/problem+json")
            assert "index" in ledger.trouble()
            assert "make room" in ledger.trouble()
            assert ledger.metric("indexed") < ledger.metric("entries")
            assert ledger.balance("alys") == -320, "balances are the book's"
            disk.make_room()
            until(lambda: ledger.get(STATEMENT).status_code == 200, seconds=10, what="statements come back")
            assert ledger.trouble() == ""
            ledger.check()
