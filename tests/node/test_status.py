"""One screen of a running node: what it shows, and what needs an operator. Two towns run in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from tests.federation.towns import Line, Network, following, open_towns, signed
from tests.node.test_cli import init, refusal
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.registry import Witness
from timebank_node.commands_status import ROOMS, show_status
from timebank_node.operator_door import NodeAway, OperatorDoor, door_of_home

slow = pytest.mark.slow  # every place opens whole towns


class Place:
    """Aberdare and Barry, and an operator's doors to Aberdare's rooms, each of which can be cut."""

    def __init__(self, network: Network, stack: ExitStack) -> None:
        self.network = network
        town = network["aberdare"]
        rooms = (town.ledger.app, town.directory.app, town.federation.app)
        self.lines = {room: Line(app) for room, app in zip(ROOMS, rooms, strict=True)}
        self.doors: dict[str, OperatorDoor] = {}
        for room, line in self.lines.items():
            http = stack.enter_context(httpx.Client(transport=line))
            self.doors[room] = door_of_home(town.home.folder, http, clock=network.clock)

    def screen(self) -> tuple[bool, str]:
        text = StringIO()
        fine = show_status(Console(file=text, width=200, markup=False), self.doors, clock=self.network.clock)
        return fine, " ".join(text.getvalue().split())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with open_towns(tmp_path, "aberdare", "barry") as network, ExitStack() as stack:
        yield Place(network, stack)


@slow
def test_a_node_without_trouble_is_one_screen_and_nothing_needs_anybody(place: Place) -> None:
    network = place.network
    network.send("aberdare", "barry", 30, key="k")
    network.pump()
    network.clock.advance(7)
    fine, said = place.screen()
    length = place.network["aberdare"].ask_ledger("GET", "/v1/streams").json()["position"]
    assert f"journal {length} entries of aberdare g1, the last one 7 s ago" in said
    assert "barry open 1 1 1 7 s ago −0:30 0" in said
    assert "ledger ready" in said
    assert "writer takes commands, 0 wait, journal read back 0 times" in said
    assert "registry version 1 quarantine 0 kept, 0 given up" in said
    assert said.endswith("Nothing needs you.")
    assert fine


@slow
def test_a_transfer_that_stays_open_and_a_peer_that_is_silent_need_an_operator(place: Place) -> None:
    network = place.network
    network.pump()
    network.send("aberdare", "barry", 30, key="k")
    network["aberdare"].federation.sender.step(wait_seconds=0)
    assert place.screen()[0]
    network.clock.advance(3_601)
    for room, line in place.lines.items():
        # The operator's tokens are short: new ones an hour later.
        http = httpx.Client(transport=line)
        place.doors[room] = door_of_home(network["aberdare"].home.folder, http, clock=network.clock)
    fine, said = place.screen()
    assert "NEEDS YOU A transfer with barry is open for 3601 s" in said
    assert not fine


@slow
def test_a_room_that_is_away_needs_an_operator_and_without_the_ledger_there_is_no_screen(place: Place) -> None:
    place.lines["federation"].is_cut = True
    fine, said = place.screen()
    assert "NEEDS YOU aberdare does not answer at http://aberdare.example (ConnectError)." in said
    assert "barry open" in said
    assert not fine
    place.lines["ledger"].is_cut = True
    with pytest.raises(NodeAway):
        place.screen()


def test_a_node_that_does_not_answer_is_one_sentence_and_exit_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path / "a")
    assert "does not answer" in refusal(capsys, "status", tmp_path / "a", "--url", "http://127.0.0.1:1")
    (tmp_path / "token").write_text("x")
    (tmp_path / "token").chmod(0o600)
    at = f"http://127.0.0.1:1={tmp_path / 'token'}"
    assert "does not answer" in refusal(capsys, "status", "--at", at)
    assert "Name the node's home" in refusal(capsys, "status", tmp_path / "a", "--at", at)


@slow
def test_an_intake_that_is_stopped_and_a_stream_that_waits_for_a_newer_version_need_an_operator(place: Place) -> None:
    receiver = place.network["aberdare"].federation.receiver
    receiver.intake.reason = "Nearly all is bad here."
    receiver.waits_for_upgrade.add("barry")
    fine, said = place.screen()
    assert "NEEDS YOU Nothing is taken from the broker: Nearly all is bad here. timebank doctor." in said
    assert "NEEDS YOU barry sends what this version does not know: update this node." in said
    assert not fine


@slow
def test_the_witnesses_have_a_line_and_one_that_is_away_needs_a_call(place: Place) -> None:
    network = place.network
    town = network["aberdare"]
    assert "witnesses none in the registry" in place.screen()[1]
    key = b64_encode(SigningKey(bytes([7]) * 32).public)
    named = Witness(name="witness.example/w1", key=key, url="http://witness.example")
    in_force = town.federation.registries.latest
    assert in_force is not None
    town.federation.registries.add(signed(following(in_force, witnesses=[named])))
    town.federation.hand_over_registries()
    assert town.federation.witnessing.step() == 0
    fine, said = place.screen()
    assert "witnesses 0 of 1 cosigned" in said
    assert "NEEDS YOU The witness witness.example/w1 does not answer" in said
    assert not fine


@slow
def test_the_line_of_witnesses_counts_those_that_cosigned_the_newest_checkpoint(place: Place) -> None:
    path = "/v1/federation/state"
    state = place.doors["federation"].ask("GET", path)
    at = int(place.network.clock.now().timestamp()) - 12
    rows = [("w1", 815, at), ("w2", 790, at - 60), ("w3", 815, at - 5), ("w4", 0, None)]
    state["witnessing"]["witnesses"] = [
        {"name": name, "size": size, "cosigned_at": cosigned_at, "trouble": None} for name, size, cosigned_at in rows
    ]
    place.lines["federation"].instead[path] = (200, state)
    assert "witnesses 815 entries cosigned 12 s ago by w1, w3 (2 of 4 cosigned)" in place.screen()[1]
