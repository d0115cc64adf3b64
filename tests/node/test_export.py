"""`timebank export`: a stopped node's journal for other programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.node.test_cli import init, made, refusal
from timebank_contracts.entries import Actor
from timebank_ledger import commands as c
from timebank_node.commands_node import surroundings
from timebank_node.compose import compose_ledger
from timebank_node.home import open_home

BY = Actor(kind="operator", id="op")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A node whose journal has one transfer."""
    folder = tmp_path / "aberdare"
    init(folder)
    ledger = compose_ledger(open_home(folder), surroundings())
    commands: list[c.Command] = [
        c.OpenAccount(by=BY, account="alys", kind="member"),
        c.OpenAccount(by=BY, account="bryn", kind="member"),
        c.PostTransfer(by=BY, postings=(("alys", -90), ("bryn", 90)), purpose="gift", confirmed_by="none"),
    ]
    for command in commands:
        ledger.writer.submit(command).result()
    ledger.close()
    return folder


def test_the_journal_is_written_as_plain_text_accounting(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "2026.journal"
    said = made("export", "hledger", home, file)
    text = file.read_text("utf-8")
    assert "Europe/London" in said
    assert "    members:alys  -90 min\n    members:bryn  90 min\n" in text
    assert "    members:alys  0 min = -90 min\n    members:bryn  0 min = 90 min\n" in text
    made("export", "hledger", home, file, "--to", "2020-12-31")
    assert "no entries" in file.read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["2026.journal"]


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        (("--from", "1 April"), "A date is written as 2026-01-31"),
        (("--from", "2026-04-01", "--to", "2026-03-31"), "the last day is before the first"),
    ],
)
def test_days_that_are_none_are_refused_in_one_sentence(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], days: tuple[str, ...], sentence: str
) -> None:
    assert sentence in refusal(capsys, "export", "hledger", home, tmp_path / "2026.journal", *days)
    assert not (tmp_path / "2026.journal").exists()
