"""What is wrong with a home is told line by line, in words that say what to change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from tests.federation.towns import Line, Network, open_towns
from tests.node.test_cli import init, refusal, run
from timebank_federation.witness_door import HttpWitnessDoor
from timebank_kit.clock import Clock
from timebank_node.commands_doctor import Doctor
from timebank_node.operator_door import OperatorDoor, door_of_home
from timebank_node.peer_visit import PeerVisitor

NO_BROKER = "127.0.0.1:1"


class Visit:
    """What the doctor says of Aberdare's home, whose ledger runs in this process."""

    def __init__(self, network: Network) -> None:
        self.network = network
        town = network["aberdare"]
        self.folder = town.home.folder
        self.line = Line(town.ledger.app)
        self._http = httpx.Client(transport=self.line)

    def _door(self) -> OperatorDoor:
        return door_of_home(self.folder, self._http, clock=self.network.clock)

    def says(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        clock: Clock | None = None,
        room_bytes_min: int = 0,
        visitor: Callable[[int], PeerVisitor] | None = None,
    ) -> tuple[bool, dict[str, str]]:
        """Whether nothing must be changed, and the line of each check."""
        text = StringIO()
        found = Doctor(
            self.folder,
            environ=environ or {},
            clock=clock or self.network.clock,
            door=self._door,
            room_bytes_min=room_bytes_min,
            visitor=visitor,
            witnesses=None if visitor is None else HttpWitnessDoor(self._http),
        )
        fine = found.examine(Console(file=text, width=500, markup=False))
        lines = text.getvalue().splitlines()
        return fine, {line[8:18].strip(): f"{line[:8].strip()} {line[18:].strip()}" for line in lines}


@pytest.mark.slow
def test_a_home_in_order_is_fine_line_by_line_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with open_towns(tmp_path, "aberdare", "barry", on_disk=True) as network:
        visit = Visit(network)
        before = sorted(path.name for path in visit.folder.iterdir())
        fine, said = visit.says()
        assert fine, said
        assert said["in force"] == "FINE The running ledger accepted version 1, the latest one held."
        assert said["broker"].startswith("- None is named")
        assert {line.split()[0] for name, line in said.items() if name != "broker"} == {"FINE"}
        assert sorted(path.name for path in visit.folder.iterdir()) == before
        visit.line.is_cut = True
        fine, said = visit.says()
        assert fine, "a node that does not run is no fault of its home"
        assert said["in force"].startswith("- aberdare does not answer")


@pytest.mark.slow
def test_each_thing_that_is_wrong_says_what_to_change(tmp_path: Path) -> None:
    with open_towns(tmp_path, "aberdare", "barry", on_disk=True) as network:
        visit = Visit(network)
        _, said = visit.says(room_bytes_min=1 << 62)
        assert said["disk"].startswith("CHANGE")
        assert "make room" in said["disk"]
        _, said = visit.says({"TIMEBANK_FEDERATION_KAFKA": NO_BROKER})
        assert said["broker"].startswith("CHANGE")
        _, said = visit.says({"TIMEBANK_LEGDER_NODE": "x"})
        assert "did you mean TIMEBANK_LEDGER" in said["settings"]
        assert said["journal"] == "- Not looked at before the settings."
        network["barry"].federation.registries.add(network.next_registry(limit=1))
        envelope = network["barry"].federation.registries.envelopes[2]
        (visit.folder / "registry" / "2.json").write_bytes(envelope)
        fine, said = visit.says()
        assert said["in force"].startswith("CHANGE The home holds version 2 of the registry, the running ledger 1")
        assert not fine
        network.clock.advance(timedelta(days=31).total_seconds())
        _, said = visit.says()
        assert "TIMEBANK_LEDGER_CLOCK_CONFIRMED" in said["clock"]
        (visit.folder / "head").write_text(f"9999 {'0' * 64}\n")
        _, said = visit.says()
        assert "timebank restore" in said["journal"]


def test_a_key_that_others_can_read_and_a_registry_that_is_missing_are_told_with_exit_status_1(tmp_path: Path) -> None:
    init(tmp_path / "a")
    told = run("doctor", tmp_path / "a", "--url", "http://127.0.0.1:1")
    assert told.exit_code == 1
    assert "timebank node accept" in told.output
    assert "the first start makes it" in told.output
    key = tmp_path / "a" / "keys" / "log.key"
    key.chmod(0o644)
    told = run("doctor", tmp_path / "a", "--url", "http://127.0.0.1:1")
    assert told.exit_code == 1
    assert f"chmod 600 {key}" in told.output


def test_a_folder_that_is_no_home_is_exit_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "does not describe a node" in refusal(capsys, "doctor", tmp_path)


def test_peers_are_looked_at_and_one_that_is_away_is_no_fault_of_this_home(tmp_path: Path) -> None:
    with open_towns(tmp_path, "aberdare", "barry", "cardiff", on_disk=True) as network:
        visit = Visit(network)
        http = httpx.Client(transport=network.doors)

        def visitor(held: int) -> PeerVisitor:
            return PeerVisitor(http, clock=network.clock, held=held)

        fine, said = visit.says(visitor=visitor)
        assert said["peer"] == "FINE cardiff: registry 1."
        assert said["witness"].startswith("- The registry names none")
        assert fine
        network["cardiff"].door.is_cut = True
        fine, said = visit.says(visitor=visitor)
        assert said["peer"].startswith("- cardiff does not answer at http://cardiff.example")
        assert fine
        network["barry"].door.is_cut = True
        fine, said = visit.says(visitor=visitor)
        assert "this machine's way out" in said["peer"]
        assert not fine
