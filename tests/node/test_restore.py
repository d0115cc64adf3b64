"""A lost journal comes back from a mirror byte for byte, or the command says why this generation cannot go on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.node.test_cli import init, made, refusal
from timebank_contracts.entries import Actor
from timebank_kit.files import write_secret
from timebank_kit.journal import open_journal
from timebank_kit.web import RunningServer
from timebank_ledger import commands as c
from timebank_node.commands_node import surroundings
from timebank_node.compose import Town, open_town
from timebank_node.home import Home, open_home

pytestmark = pytest.mark.slow  # every test opens whole towns
BY = Actor(kind="operator", id="op")


class Place:
    """A home, a mirror beside it, and a client that may read."""

    def __init__(self, folder: Path) -> None:
        self.home, self.mirror, self.secret = folder / "aberdare", folder / "mirror", folder / "mirror.secret"
        init(self.home)
        said = made("client", "add", self.home, "mirror", "--scope", "audit:read")
        found = re.search(r"client_secret=(\S+)", said)
        assert found
        write_secret(self.secret, found[1].encode("ascii"))

    @property
    def opened(self) -> Home:
        return open_home(self.home)

    def pay(self, town: Town, *numbers: int) -> None:
        for number in numbers:
            town.ledger.writer.submit(
                c.PostTransfer(
                    by=BY,
                    key=c.key_of("test", str(number)),
                    digest=c.digest_of(number),
                    postings=(("alys", -1), ("bryn", 1)),
                    purpose="gift",
                    confirmed_by="none",
                )
            ).result()

    def open(self) -> Town:
        town = open_town(self.opened, surroundings(), page=False)
        for account in ("alys", "bryn"):
            if town.ledger.writer.tail.length < 6:
                town.ledger.writer.submit(c.OpenAccount(by=BY, account=account, kind="member")).result()
        return town

    def follow(self, town: Town) -> str:
        server = RunningServer(town.app)
        try:
            more = [] if self.mirror.exists() else ["--vkey", self.opened.vkey]
            return made(
                "mirror", self.mirror, "--from", server.url, "--client", "mirror", "--secret-file", self.secret, *more
            )
        finally:
            server.stop()

    def lose_journal(self) -> None:
        for path in self.home.glob("journal.db*"):
            path.unlink()

    def restore_words(self) -> list[object]:
        return ["restore", self.home, "--from-mirror", self.mirror]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def journal_of(home: Path) -> list[bytes]:
    journal = open_journal(f"sqlite:{home}/journal.db", "timebank.example/aberdare")
    try:
        return [record.state for record in journal.scan(0, journal.length())]
    finally:
        journal.close()


def test_a_lost_journal_comes_back_and_the_same_generation_goes_on(place: Place) -> None:
    town = place.open()
    place.pay(town, 1, 2, 3)
    assert "of timebank.example/aberdare/g1" in place.follow(town)
    town.close()
    before = journal_of(place.home)
    place.lose_journal()
    assert f"Restored {len(before)} entries" in made(*place.restore_words())
    assert journal_of(place.home) == before
    again = place.open()
    place.pay(again, 3, 4)
    assert again.ledger.writer.tail.length == len(before) + 1, "an old key has its old answer"
    place.follow(again)
    again.close()


def test_a_restore_that_was_cut_off_is_finished_by_the_next(place: Place) -> None:
    town = place.open()
    place.pay(town, 1, 2, 3)
    place.follow(town)
    records = town.ledger.writer.journal.read(0, 5)
    town.close()
    before = journal_of(place.home)
    place.lose_journal()
    begun = open_journal(f"sqlite:{place.home}/journal.db", "timebank.example/aberdare")
    begun.append(records)
    begun.close()
    made(*place.restore_words())
    assert journal_of(place.home) == before


def test_a_mirror_that_lacks_published_entries_does_not_restore(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    town = place.open()
    place.pay(town, 1)
    place.follow(town)
    place.pay(town, 2)
    town.close()
    place.lose_journal()
    assert "ask the network's operators for a new one" in refusal(capsys, *place.restore_words())


def test_a_store_that_holds_another_journal_is_left_alone(
    tmp_path: Path, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    town = place.open()
    place.pay(town, 1)
    place.follow(town)
    first = town.ledger.writer.journal.read(0, 1)[0]
    town.close()
    place.lose_journal()
    begun = open_journal(f"sqlite:{place.home}/journal.db", "timebank.example/aberdare")
    begun.append([first._replace(state=b"{}")])
    begun.close()
    assert "holds another journal" in refusal(capsys, *place.restore_words())


def test_another_node_s_mirror_does_not_restore(
    tmp_path: Path, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    town = place.open()
    place.follow(town)
    town.close()
    init(tmp_path / "barry", "barry")
    words = ["restore", tmp_path / "barry", "--from-mirror", place.mirror]
    assert "not this home's log key" in refusal(capsys, *words)


def test_a_client_that_may_not_read_entries_mirrors_none(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    town = place.open()
    made("client", "revoke", place.home, "mirror")
    server = RunningServer(town.app)
    try:
        words = ["mirror", place.mirror, "--from", server.url, "--client", "mirror", "--secret-file", place.secret]
        assert "does not let this client in" in refusal(capsys, *words, "--vkey", place.opened.vkey)
    finally:
        server.stop()
        town.close()
