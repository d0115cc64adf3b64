"""`timebank node lost` and `timebank node return`: from what is left, from nothing, from a mirror."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from msgspec import UNSET

from tests.node.test_cli import init, made, refusal
from tests.node.test_restore import BY, Place, journal_of
from timebank_contracts.entries import NodeOpened, decode_entry, entry_type
from timebank_contracts.keys import SigningKey
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_kit.files import write_secret
from timebank_kit.journal import open_journal
from timebank_ledger import commands as c
from timebank_node.commands_node import surroundings
from timebank_node.compose import open_town

pytestmark = pytest.mark.slow  # every test opens whole towns


class Returning(Place):
    """A place whose registry one operator signs, with Barry in it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder, self.key = folder, folder / "op.key"
        init(folder / "barry", "barry")
        made("keys", "new", self.key)
        described = [folder / node / "node.json" for node in ("aberdare", "barry")]
        made("network", "sign", *described, "--operator", self.key, "--out", folder / "v1")
        for node in ("aberdare", "barry"):
            made("node", "accept", folder / node, folder / "v1")

    @property
    def request(self) -> Path:
        return self.folder / "return.request"

    def ask(self) -> str:
        return made("node", "lost", self.home, "--out", self.request)

    def publish(self) -> None:
        """The operators let the next generation follow; Aberdare holds their registry."""
        barry, version = self.folder / "barry", self.folder / "v2"
        made("network", "propose", barry, "--request", self.request, "--out", version)
        made("network", "sign", version, "--operator", self.key)
        made("network", "publish", version, "--home", barry)
        made("node", "accept", self.home, version)

    def live(self, *numbers: int, mirrored: bool = False) -> list[bytes]:
        """Run the town for some transfers; returns its journal."""
        town = open_town(self.opened, surroundings(), page=False)
        with town.ledger.writer.reading() as book:
            missing = {"alys", "bryn"}.difference(book.accounts)
        for account in sorted(missing):
            town.ledger.writer.submit(c.OpenAccount(by=BY, account=account, kind="member")).result()
        self.pay(town, *numbers)
        if mirrored:
            self.follow(town)
        town.close()
        return journal_of(self.home)


@pytest.fixture
def place(tmp_path: Path) -> Returning:
    return Returning(tmp_path)


def _kept_seeds(place: Returning) -> tuple[bytes, bytes]:
    return place.opened.seed("tag"), place.opened.seed("token")


def opened_in(journal: list[bytes], position: int) -> NodeOpened:
    entry = decode_entry(journal[position])
    assert isinstance(entry, NodeOpened)
    return entry


def root_of(journal: list[bytes]) -> str:
    tree = Tree()
    for raw in journal:
        tree.append(leaf_hash(raw))
    return tree.root().hex()


def test_a_node_goes_on_from_what_is_left_of_its_journal_under_new_keys(place: Returning) -> None:
    """PROTOCOL.md X7."""
    before = place.live(1, 2)
    event, log, seeds = place.opened.key("event"), place.opened.key("log"), _kept_seeds(place)
    assert "close g1 for ever" in place.ask()
    new = place.opened
    assert (new.identity.generation, new.head_path.name) == ("g2", "head-g2")
    assert {event.public, log.public}.isdisjoint({new.key("event").public, new.key("log").public})
    assert _kept_seeds(place) == seeds, "by them payers are found, and tokens count"
    assert [key.public for key in new.lost_event_keys("g1")] == [event.public]
    place.publish()
    assert f"goes on from {len(before)} restored entries" in made("node", "return", place.home)
    after = journal_of(place.home)
    assert after[: len(before)] == before
    previous = opened_in(after, len(before)).data.previous
    assert previous is not UNSET
    assert (previous.generation, previous.size, previous.root) == ("g1", len(before), root_of(before))
    assert place.live(3)[: len(after)] == after


def test_a_rotation_that_was_under_way_is_put_aside_whole(place: Returning) -> None:
    following = SigningKey(bytes([9]) * 32)
    write_secret(place.home / "keys" / "event-next.key", bytes([9]) * 32)
    first = place.opened.key("event").public
    place.ask()
    assert [key.public for key in place.opened.lost_event_keys("g1")] == [first, following.public]
    assert not (place.home / "keys" / "event-next.key").exists()


def test_with_nothing_left_the_journal_begins_anew(place: Returning) -> None:
    """PROTOCOL.md X7."""
    place.live(1)
    place.lose_journal()
    place.ask()
    place.publish()
    assert "goes on from 0 restored entries" in made("node", "return", place.home)
    after = journal_of(place.home)
    assert opened_in(after, 0).data.generation == "g2"
    assert "policy.changed" in {entry_type(decode_entry(raw)) for raw in after}


def test_a_mirror_that_lacks_the_last_entries_is_gone_on_from(place: Returning) -> None:
    """PROTOCOL.md X7: what the mirror has stays, byte for byte."""
    mirrored = place.live(1, 2, mirrored=True)
    with closing(open_journal(f"sqlite:{place.home}/journal.db", "timebank.example/aberdare")) as whole:
        copied = whole.read(0, 3)
    place.live(3)
    place.lose_journal()
    with closing(open_journal(f"sqlite:{place.home}/journal.db", "timebank.example/aberdare")) as begun:
        # A return that was cut off while it copied is finished by the next.
        begun.append(copied)
    place.ask()
    place.publish()
    said = made("node", "return", place.home, "--from-mirror", place.mirror)
    assert f"goes on from {len(mirrored)} restored entries" in said
    after = journal_of(place.home)
    assert after[: len(mirrored)] == mirrored
    assert opened_in(after, len(mirrored)).data.generation == "g2"


def test_a_request_whose_file_was_not_written_is_asked_for_again(
    place: Returning, capsys: pytest.CaptureFixture[str]
) -> None:
    (place.folder / "op.key.d").write_bytes(b"no folder")
    refusal(capsys, "node", "lost", place.home, "--out", place.folder / "op.key.d" / "request")
    keys = place.opened.seed("event")
    place.ask()
    assert place.opened.seed("event") == keys, "the keys that were made then"
    place.publish()
