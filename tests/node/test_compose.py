"""A town from its rooms: opened twice it goes on; what must not run is refused; one port answers for all rooms."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from timebank_contracts.entries import decode_entry, entry_type
from timebank_contracts.keys import SigningKey
from timebank_contracts.names import Identity
from timebank_federation.broker import EmbeddedBroker
from timebank_federation.registries import Registries
from timebank_kit.clock import ManualClock
from timebank_kit.web import AsgiBridge
from timebank_ledger.app import open_ledger
from timebank_ledger.head import JournalBehindHead
from timebank_ledger.replay import replay
from timebank_node.bootstrap import TownPolicy, first_commands
from timebank_node.chance import Seeded
from timebank_node.compose import Surroundings, Town, compose_ledger, environment, open_town
from timebank_node.home import Home, make_home
from timebank_node.network import first_registry

pytestmark = pytest.mark.slow  # every test opens whole towns

OPERATOR = SigningKey(bytes(31) + b"\x01")
FIRST_ENTRIES = ["node.opened", "policy.changed", "account.opened", "account.opened"]


def home_in(folder: Path, name: str = "aberdare") -> Home:
    home = make_home(
        folder / name,
        Identity("timebank.example", name, "g1"),
        url=f"http://{name}.example",
        random=Seeded(1, f"home {name}"),
    )
    registry = first_registry("timebank.example", [home.described], operators=[OPERATOR], k=1)
    Registries(home.registry_folder).add(registry)
    return home


def around(policy: TownPolicy | None = None) -> Surroundings:
    return Surroundings(
        clock=ManualClock(datetime(2026, 3, 2, 10, 0, tzinfo=UTC)),
        random=Seeded(1, "ids"),
        peer_http=httpx.Client(),
        broker=EmbeddedBroker(),
        policy=policy or TownPolicy(),
    )


def types(town: Town) -> list[str]:
    journal = town.ledger.writer.journal
    return [entry_type(decode_entry(record.state)) for record in journal.read(0, journal.length())]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    opened = open_town(home_in(tmp_path), around())
    yield opened
    opened.close()


@pytest.fixture
def http(town: Town) -> Iterator[httpx.Client]:
    with httpx.Client(transport=AsgiBridge(town.app), base_url="http://aberdare.example") as client:
        yield client


def test_an_empty_journal_begins_with_node_policy_pot_and_grant(town: Town) -> None:
    assert types(town) == [*FIRST_ENTRIES, "registry.accepted"]


def test_a_policy_is_entered_as_it_was_planned(tmp_path: Path) -> None:
    policy = TownPolicy(default_floor=-60, default_ceiling=120, debt_limit=180, grant_cap=240)
    opened = open_town(home_in(tmp_path), around(policy))
    with opened.ledger.writer.reading() as book:
        assert (book.default_floor, book.default_ceiling, book.debt_limit) == (-60, 120, 180)
        assert (book.accounts["grant"].floor, book.accounts["pot"].floor) == (-240, 0)
    opened.close()


def test_a_town_that_is_opened_again_goes_on_where_it_was(tmp_path: Path) -> None:
    home = home_in(tmp_path)
    first = open_town(home, around())
    before, checkpoint = types(first), first.ledger.writer.checkpoint(fresh=True)
    first.close()
    again = open_town(home, around())
    assert types(again) == before
    assert again.ledger.writer.checkpoint() == checkpoint
    again.close()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_first_start_that_was_cut_off_is_finished_by_the_next(tmp_path: Path, count: int) -> None:
    home = home_in(tmp_path)
    ledger = open_ledger(environment(home, {}), clock=around().clock, random_bytes=around().random, registry=None)
    for command in list(first_commands(home.identity, TownPolicy()))[:count]:
        ledger.writer.submit(command).result()
    ledger.close()
    opened = open_town(home, around())
    assert types(opened) == [*FIRST_ENTRIES, "registry.accepted"]
    opened.close()


def test_a_journal_shorter_than_its_head_file_is_refused(tmp_path: Path) -> None:
    home = home_in(tmp_path)
    open_town(home, around()).close()
    for path in home.folder.glob("journal.db*"):
        path.unlink()
    with pytest.raises(JournalBehindHead, match="rolled back"):
        compose_ledger(home, around())


def test_a_second_start_goes_on_from_the_snapshot_in_the_home(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """L-3: and from the journal where the snapshot is cut off, with one warning and the same book."""
    home, snapshot = home_in(tmp_path), tmp_path / "aberdare" / "snapshot"
    open_town(home, around()).close()
    for damaged in (False, True):
        if damaged:
            snapshot.write_bytes(snapshot.read_bytes()[:-1])
        caplog.clear()
        town = open_town(home, around())
        warned = [record for record in caplog.records if record.name == "timebank_ledger.snapshot"]
        assert len(warned) == damaged
        assert (town.ledger.writer.snapshot.size == 0) == damaged
        with town.ledger.writer.reading() as book:
            assert book == replay(town.ledger.writer.journal)[0]
        town.close()


def test_a_town_that_cannot_be_opened_leaves_no_thread_behind(tmp_path: Path) -> None:
    """The directory's database is a folder: the ledger is open by then."""
    home = home_in(tmp_path)
    (home.folder / "people.db").mkdir()
    before = {thread.name for thread in threading.enumerate()}
    with pytest.raises(Exception, match="unable to open"):
        open_town(home, around())
    assert {thread.name for thread in threading.enumerate()} == before


def test_a_closed_town_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = {thread.name for thread in threading.enumerate()}
    opened = open_town(home_in(tmp_path), around())
    opened.start()
    opened.close()
    opened.close()
    assert {thread.name for thread in threading.enumerate()} == before


@pytest.mark.parametrize(
    ("method", "path", "room"),
    [
        ("GET", "/", "console"),
        ("POST", "/v1/members", "directory"),
        ("GET", "/v1/people", "directory"),
        ("POST", "/v1/token", "directory"),
        ("GET", "/v1/public-key", "directory"),
        ("POST", "/v1/payees/resolve", "directory"),
        ("POST", "/v1/payees", "federation"),
        ("GET", "/v1/streams/aberdare/g1/barry", "federation"),
        ("GET", "/v1/federation/state", "federation"),
        ("GET", "/.well-known/timebank/registry/1", "federation"),
        ("GET", "/v1/streams", "ledger"),
        ("GET", "/v1/streams/barry/messages", "ledger"),
        ("POST", "/v1/transfers", "ledger"),
        ("GET", "/checkpoint", "ledger"),
        ("GET", "/livez", "ledger"),
        ("GET", "/tile/entries/000.p/5", "ledger"),
    ],
)
def test_a_path_belongs_to_one_room(http: httpx.Client, method: str, path: str, room: str) -> None:
    answer = http.request(method, path)
    assert answer.status_code not in (404, 405, 500)
    assert ("text/html" in answer.headers["content-type"]) == (room == "console")


@pytest.mark.parametrize(
    "path", ["/v1/peoples", "/v1/membersx", "/v1/payees/resolve/x/y", "/v1/token2", "/x/v1/members"]
)
def test_a_path_of_no_room_is_a_problem(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.json()["code"]) in {(404, "not_found"), (405, "method_not_allowed")}


def test_one_port_is_ready_when_every_room_is(town: Town, http: httpx.Client) -> None:
    said = http.get("/readyz").json()
    assert (said["state"], said["rooms"].keys()) == ("ready", {"ledger", "directory", "federation"})
    town.directory.directory.people._engine.dispose()
    (town.home.folder / "people.db").write_bytes(b"no database" * 1_000)
    answer = http.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert answer.json()["detail"].startswith("directory: ")


def test_one_port_shows_every_room_s_figures_once(http: httpx.Client) -> None:
    lines = http.get("/metrics").text.splitlines()
    kinds = [line for line in lines if line.startswith("# TYPE")]
    assert len(set(kinds)) == len(kinds)
    assert any("timebank_federation_segments" in line for line in lines)
    assert any("timebank_ledger" in line for line in lines)
