"""`timebank doctor` and the witnesses: what each says of them, and what must be changed."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import httpx
import pytest

from tests.federation.test_witnessing import WITNESS, asks, named, open_all, registered, tell
from tests.federation.towns import Network, open_towns
from timebank_contracts.checkpoint import open_checkpoint
from timebank_contracts.keys import SigningKey
from timebank_contracts.note import parse_vkey
from timebank_federation.witness_door import HttpWitnessDoor
from timebank_node.home import WITNESS_KEY as KEY_FILE
from timebank_node.witness_visit import LATE_SECONDS, WitnessVisitor

pytestmark = pytest.mark.slow  # every place opens whole towns


def says(network: Network, *, runs: bool = True, length: int | None = None) -> list[tuple[str, str]]:
    town = network["aberdare"]
    latest = town.federation.registries.latest
    assert latest is not None
    with httpx.Client(transport=network.doors) as http:
        door = HttpWitnessDoor(http)
        visitor = WitnessVisitor(town.home, latest, door=door, clock=network.clock, runs=runs, length=length)
        return list(visitor.look())


def test_what_a_witness_cosigned_last_is_told_with_its_age(tmp_path: Path) -> None:
    with open_all(tmp_path) as (network, _):
        town = network["aberdare"]
        [(verdict, sentence)] = says(network)
        assert (verdict, "or has cosigned nothing" in sentence) == ("-", True)
        asks(network, town)
        note = town.federation.witnessing.cosigned()
        assert note is not None
        size = open_checkpoint(note, parse_vkey(town.home.vkey)).size
        network.clock.advance(7)
        assert says(network) == [("FINE", f"{WITNESS.name} cosigned {size} entries 7 s ago.")]
        [(verdict, sentence)] = says(network, runs=False, length=size - 1)
        assert (verdict, "timebank restore" in sentence) == ("CHANGE", True)
        network.clock.advance(LATE_SECONDS)
        assert says(network)[0][0] == "CHANGE"
        assert says(network, runs=False, length=size)[0][0] == "FINE", "a node that does not run asks nobody"
        network.doors.lines["witness.example"].is_cut = True
        assert says(network)[0][0] == "-", "that one is away is its operator's matter"


def test_a_registry_without_witnesses_or_with_towns_alone_is_told(tmp_path: Path) -> None:
    with open_towns(tmp_path, "aberdare", "barry") as network:
        [(verdict, sentence)] = says(network)
        assert (verdict, "names none" in sentence) == ("-", True)
        tell(network, named(network, registered(name="barry.example/w", host="barry")))
        assert [verdict for verdict, _ in says(network)] == ["CHANGE", "-"]
        away = SigningKey(bytes([8]) * 32)
        tell(network, named(network, registered(host="away"), registered(away, name="w.example/2", host="gone")))
        assert [verdict for verdict, _ in says(network)] == ["-", "-", "CHANGE"]


def test_a_node_does_not_look_at_itself(tmp_path: Path) -> None:
    with open_all(tmp_path) as (network, _):
        (network["aberdare"].home.folder / KEY_FILE).write_bytes(bytes([7]) * 32)
        (network["aberdare"].home.folder / KEY_FILE).chmod(0o600)
        assert says(network) == []


def test_a_checkpoint_that_the_witness_did_not_sign_is_told(tmp_path: Path) -> None:
    with open_all(tmp_path) as (network, _):
        asks(network, network["aberdare"])
        folder = tmp_path / "witness"
        copytree(folder, tmp_path / "kept")
        [file] = folder.glob("*.note")
        file.write_bytes(network["barry"].ledger.writer.checkpoint(fresh=True))
        assert says(network)[0][0] == "CHANGE"
