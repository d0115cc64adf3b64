"""A journal or head file that was changed behind the ledger's back: the start is refused in a sentence (P10)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.ledger.town_api import START, Keys, gift, open_town
from timebank_contracts.errors import Malformed
from timebank_kit.clock import ManualClock
from timebank_kit.journal import JournalTrouble, open_journal
from timebank_ledger.head import HeadFile, JournalBehindHead
from timebank_ledger.replay import JournalDamaged
from timebank_ledger.writer import Writer

_SET = "UPDATE stored_events SET"
DAMAGE = {
    "a flipped bit": [f"{_SET} state = replace(state, 'bryn\",5', 'bryn\",7') WHERE originator_version = 8"],
    "a flipped bit in a name": [f"{_SET} state = replace(state, 'alys', 'alyq') WHERE originator_version = 8"],
    "a deleted row": ["DELETE FROM stored_events WHERE originator_version = 8"],
    "two swapped rows": [
        f"{_SET} originator_version = -1 WHERE originator_version = 8",
        f"{_SET} originator_version = 8 WHERE originator_version = 9",
        f"{_SET} originator_version = 9 WHERE originator_version = -1",
    ],
    "a lost key": [f"{_SET} idempotency_key = NULL WHERE originator_version = 8"],
}


def make_journal(path: Path) -> str:
    url = f"sqlite:{path}"
    with open_town(url=url) as town:
        for number in range(6):
            assert town.member("alys").post("/v1/transfers", gift("alys", "bryn", 5), key=f"k{number}").is_success
    return url


def start(url: str, head: HeadFile | None = None) -> None:
    journal = open_journal(url, "aberdare")
    try:
        Writer(journal, clock=ManualClock(START), log_key=Keys(1).log, head=head or HeadFile(None)).close()
    finally:
        journal.close()


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_journal_is_refused_by_the_entry_s_number(tmp_path: Path, damage: str) -> None:
    url = make_journal(tmp_path / "journal.db")
    start(url)
    with sqlite3.connect(tmp_path / "journal.db", isolation_level=None) as connection:
        for statement in DAMAGE[damage]:
            assert connection.execute(statement).rowcount == 1
    connection.close()
    with pytest.raises(JournalDamaged, match=r"entry 8 is not what was written there.*from a backup"):
        start(url)


def test_an_entry_changed_so_that_the_rules_allow_it_is_refused_by_the_head_file(tmp_path: Path) -> None:
    url, head = make_journal(tmp_path / "journal.db"), HeadFile(tmp_path / "head")
    start(url, head)
    with sqlite3.connect(tmp_path / "journal.db", isolation_level=None) as connection:
        changed = connection.execute(f"{_SET} state = replace(state, '5]', '7]') WHERE originator_version = 8")
        assert changed.rowcount == 1
    connection.close()
    with pytest.raises(JournalBehindHead, match="not those that were published"):
        start(url, HeadFile(tmp_path / "head"))


def test_a_damaged_file_is_refused_and_named(tmp_path: Path) -> None:
    url = make_journal(tmp_path / "journal.db")
    raw = (tmp_path / "journal.db").read_bytes()
    (tmp_path / "journal.db").write_bytes(raw[:4_096] + bytes(range(256)) * ((len(raw) - 4_096) // 256))
    with pytest.raises(JournalTrouble, match=r"journal\.db.*backup"):
        start(url)


@pytest.mark.parametrize(
    "content",
    [b"", b"7", b"\xff\xfe\x00", b"7 " + b"g" * 64 + b"\n", b"9" * 5_000 + b" " + b"0" * 64 + b"\n", b"7 " + b"0" * 64],
)
def test_a_damaged_head_file_is_refused_and_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "head").write_bytes(content)
    with pytest.raises(Malformed, match="head file head is damaged"):
        HeadFile(tmp_path / "head")
