"""An operator's commands about peers, against two towns that run in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from tests.federation.towns import Network, open_towns
from timebank_contracts.errors import Malformed
from timebank_contracts.segments import parse_segment
from timebank_kit.web import AsgiBridge
from timebank_node.commands_peers import (
    assent_limit,
    listed_limits,
    propose_limit,
    rows_of_exports,
    set_policy,
    show_limits,
    show_matrix,
    take_limit,
    thaw,
)
from timebank_node.operator_door import OperatorDoor, door_of_home, door_with_token

pytestmark = pytest.mark.slow  # every test opens whole towns

PAIRS = (("aberdare", "barry"), ("barry", "aberdare"))


class Place:
    """Two towns, an operator's door to each, and what the commands printed."""

    def __init__(self, network: Network, stack: ExitStack) -> None:
        self.network = network
        self.doors: dict[str, OperatorDoor] = {}
        for name, town in network.towns.items():
            http = stack.enter_context(httpx.Client(transport=AsgiBridge(town.ledger.app)))
            self.doors[name] = door_of_home(town.home.folder, http, clock=network.clock)
        self._text = StringIO()
        self.out = Console(file=self._text, width=200)

    @property
    def said(self) -> str:
        return " ".join(self._text.getvalue().split())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with open_towns(tmp_path, "aberdare", "barry") as network, ExitStack() as stack:
        yield Place(network, stack)


def test_limits_say_what_is_used_and_what_is_near(place: Place) -> None:
    set_policy(place.out, place.doors["aberdare"], "barry", dry_run=False, own_limit=60)
    place.network.send("aberdare", "barry", 50, key="k")
    show_limits(place.out, place.doors["aberdare"], [])
    assert "barry open 0:50 1:00 0:00 1:00 1:00 near a limit" in place.said
    assert "All peers together: 0:50 of 1,000:00" in place.said


def test_a_peer_is_suspended_and_resumed_and_keeps_its_own_limit(place: Place) -> None:
    door = place.doors["aberdare"]
    set_policy(place.out, door, "barry", dry_run=False, own_limit=60)
    set_policy(place.out, door, "barry", dry_run=True, suspended=True)
    assert "barry would be suspended at aberdare; limit 1:00." in place.said
    assert place.network["aberdare"].stream("barry")["state"] == "open"
    set_policy(place.out, door, "barry", dry_run=False, suspended=True)
    assert place.network["aberdare"].stream("barry")["state"] == "suspended"
    set_policy(place.out, door, "barry", dry_run=False, suspended=False)
    stream = place.network["aberdare"].stream("barry")
    assert (stream["state"], stream["owe_limit"]) == ("open", 60)
    with pytest.raises(Malformed, match="no peer of the name cardiff"):
        set_policy(place.out, door, "cardiff", dry_run=False, suspended=True)


def test_the_matrix_shows_every_pair_what_is_under_way_and_a_town_that_is_silent(place: Place, tmp_path: Path) -> None:
    network = place.network
    network.send("aberdare", "barry", 30, key="settled")
    network.pump()
    network.send("aberdare", "barry", 10, key="open")
    network.clock.advance(7)
    (tmp_path / "token").write_text("x")
    (tmp_path / "token").chmod(0o600)
    away = door_with_token(f"http://cardiff.example={tmp_path / 'token'}", httpx.Client(transport=network.doors))
    show_matrix(place.out, [*place.doors.values(), away])
    assert "aberdare barry open −0:30 0:10 1 7 s" in place.said
    assert "barry aberdare open 0:30 0:00 0" in place.said
    assert "http://cardiff.example does not answer" in place.said


def test_the_matrix_is_read_from_exported_towns_as_from_running_ones(place: Place, tmp_path: Path) -> None:
    network = place.network
    network.send("aberdare", "barry", 30, key="settled")
    network.pump()
    network.send("aberdare", "barry", 10, key="open")
    network.clock.advance(7)
    folders = [tmp_path / "exported" / name for name in network.towns]
    for folder in folders:
        town = network[folder.name]
        town.ledger.export(folder, vkey=town.home.vkey, registries=town.federation.registries.envelopes)
    show_matrix(place.out, [], rows_of_exports(folders, network.clock.now()))
    from_exports = place.said
    show_matrix(place.out, list(place.doors.values()))
    assert place.said == f"{from_exports} {from_exports}"
    assert "aberdare barry open −0:30 0:10 1 7 s" in from_exports


def test_a_limit_is_proposed_and_assented_to_by_file_and_listed(place: Place, tmp_path: Path) -> None:
    """PROTOCOL.md R10."""
    network = place.network
    with ExitStack() as stack:
        doors = {}
        for name, town in network.towns.items():
            http = stack.enter_context(httpx.Client(transport=AsgiBridge(town.federation.app)))
            doors[name] = door_of_home(town.home.folder, http, clock=network.clock)
            town.door.is_cut = True
        propose_limit(place.out, doors["aberdare"], "barry", minutes=120, file=tmp_path / "proposal")
        take_limit(place.out, doors["barry"], "aberdare", tmp_path / "proposal")
        assent_limit(place.out, doors["barry"], "aberdare", file=tmp_path / "assent")
        take_limit(place.out, doors["aberdare"], "barry", tmp_path / "assent")
        show_limits(place.out, place.doors["aberdare"], listed_limits(doors["aberdare"]))
    assert "2:00 with aberdare waits for your assent." in place.said
    assert "Signed by aberdare, barry, in" in place.said
    assert "2:00 agreed with barry, 2026-03-02T10:00:00.000Z" in place.said
    assert [network[one].stream(other)["owe_limit"] for one, other in PAIRS] == [120, 120]


def test_a_frozen_stream_is_taken_up_again_with_a_reason(place: Place) -> None:
    barry, door = place.network["barry"], place.doors["aberdare"]
    place.network.send("barry", "aberdare", key="k")
    raw = barry.federation.sender.segment_after("aberdare", 0, limit=1)
    assert raw is not None
    place.network.pump()
    again = barry.segment("aberdare", [parse_segment(raw).messages[0]])
    assert place.network["aberdare"].federation.receiver.take(again) == "frozen"
    thaw(place.out, door, "barry", reason="node_mended", dry_run=True)
    assert place.network["aberdare"].stream("barry")["frozen"]
    thaw(place.out, door, "barry", reason="node_mended", dry_run=False)
    assert not place.network["aberdare"].stream("barry")["frozen"]
    assert "barry's messages are taken again at aberdare" in place.said
    with pytest.raises(Malformed):
        thaw(place.out, door, "barry", reason="node_mended", dry_run=False)
