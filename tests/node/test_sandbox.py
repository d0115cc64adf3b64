"""The sandbox: what it makes can be used at once, is kept, and nothing but a sandbox is ever deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from timebank_client import Forbidden, Timebank
from timebank_contracts.errors import Malformed
from timebank_kit.web import AsgiBridge
from timebank_node.cli import main
from timebank_node.compose import Town
from timebank_node.sandbox_folder import MARK, PARTNER, clear, delete, hold, read_partner, write_partner
from timebank_node.sandbox_towns import Client, Populated, make_homes, open_towns, populate


@contextmanager
def client_of(town: Town, client: Client) -> Iterator[Timebank]:
    with Timebank(
        "http://town",
        client_id=client.client_id,
        client_secret=client.client_secret,
        transport=AsgiBridge(town.app),
    ) as opened:
        yield opened


def pump(towns: dict[str, Town]) -> None:
    """Let every message on its way arrive and be answered."""
    rooms = [town.federation for town in towns.values()]
    for _ in range(100):
        moved = sum(room.sender.step(wait_seconds=0) for room in rooms)
        for room in rooms:
            assert room.inbox is not None
            moved += room.receiver.step(room.inbox, timeout_seconds=0)
        if not moved:
            return
    raise AssertionError("the towns never come to rest")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Town], Populated]]:
    folder = tmp_path_factory.mktemp("sandbox")
    make_homes(folder)
    with open_towns(folder) as towns:
        yield towns, populate(towns)


def test_a_partner_pays_within_the_town_and_into_the_next(made: tuple[dict[str, Town], Populated]) -> None:
    towns, people = made
    accounts = {handle: said["account"] for handle, said in people.accounts.items()}
    with client_of(towns["hafod"], people.partner) as town:
        emlyn = town.payees.resolve("emlyn", node="hafod")
        bryn = town.payees.resolve("bryn", node="glanmor")
        for payee in (emlyn, bryn):
            town.transfers.post(
                payer=accounts["mair"], payee=payee, minutes=30, purpose="gift", confirmed_by="receiver", key=payee.node
            )
        pump(towns)
        mair = town.accounts.get(accounts["mair"])
        assert (mair.balance, mair.in_transit) == (-60, 0)
        assert [account.kind for account in town.accounts.list()].count("member") == 3


def test_a_partner_sees_what_it_was_granted_and_the_office_sees_all(made: tuple[dict[str, Town], Populated]) -> None:
    towns, people = made
    with client_of(towns["hafod"], people.office) as office, client_of(towns["hafod"], people.partner) as town:
        all_of_it = {account.account for account in office.accounts.list()}
        granted = {account.account for account in town.accounts.list()}
        assert granted < all_of_it
        with pytest.raises(Forbidden):
            town.accounts.get("pot")
        assert office.accounts.get("pot").balance == 0


def test_the_programme_belongs_to_the_organisation_and_may_pay_out(made: tuple[dict[str, Town], Populated]) -> None:
    towns, people = made
    with client_of(towns["hafod"], people.partner) as town:
        programme = town.accounts.get(people.accounts["garden-days"]["account"])
        assert (programme.kind, programme.floor) == ("programme", -1_200)


def test_an_empty_or_missing_folder_becomes_a_sandbox_and_a_held_one_is_not_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "sandbox"
    with hold(folder):
        assert folder.stat().st_mode & 0o077 == 0
        with pytest.raises(Malformed, match="running"):
            delete(folder)
        with pytest.raises(Malformed, match="running"), hold(folder):
            pass
    with hold(folder):
        pass
    assert delete(folder)
    assert not folder.exists()
    assert not delete(folder)


def test_a_folder_that_is_no_sandbox_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("Dear Mair,")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "letters")
    (tmp_path / "other-link").symlink_to(tmp_path / "empty")
    for folder in (tmp_path / "letters", tmp_path / "link", tmp_path / "other-link"):
        with pytest.raises(Malformed):
            delete(folder)
        with pytest.raises(Malformed), hold(folder):
            pass
    assert (tmp_path / "letters" / "dear.txt").read_text() == "Dear Mair,"
    assert list((tmp_path / "empty").iterdir()) == []


def test_what_a_sandbox_did_not_make_is_not_deleted_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "sandbox"
    with hold(folder):
        (folder / "notes.txt").write_text("mine")
    with pytest.raises(Malformed, match=r"notes\.txt"):
        delete(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / MARK).exists()


def test_a_making_that_was_cut_off_is_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / "sandbox"
    with hold(folder):
        make_homes(folder)
        assert read_partner(folder) is None
        clear(folder)
        make_homes(folder)
        write_partner(folder, {"client_id": "housing"}, "export CLIENT_ID=housing\n")
        write_partner(folder, {"client_id": "other"}, "export CLIENT_ID=other\n")
        assert read_partner(folder) == {"client_id": "other"}
        assert (folder / PARTNER).stat().st_mode & 0o077 == 0
        assert json.loads((folder / PARTNER).read_text())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.org"])
def test_a_sandbox_serves_this_machine_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sandbox", "--folder", str(tmp_path / "sandbox"), "--host", host])
    assert ended.value.code == 2
    assert "this machine alone" in capsys.readouterr().err
    assert not (tmp_path / "sandbox").exists()


def test_reset_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sandbox"
    with hold(folder):
        pass
    for words in ("Deleted the sandbox", "There is no sandbox"):
        with pytest.raises(SystemExit) as ended:
            main(["sandbox", "--folder", str(folder), "reset"])
        assert ended.value.code == 0
        assert words in capsys.readouterr().out


def test_the_towns_reach_each_other_and_nobody_else(made: tuple[dict[str, Town], Populated]) -> None:
    towns, _ = made
    assert towns["hafod"].home.identity.network == "sandbox.timebank.test"
    described = httpx.URL(towns["hafod"].home.described.url)
    assert described.host.endswith(".test"), "a name that is never registered"
