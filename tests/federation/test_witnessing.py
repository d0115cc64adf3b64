"""A node and its witnesses: cosignatures come by themselves, nothing waits for them, and a rolled-back node stops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copytree

import httpx
import pytest

from tests.federation.towns import (
    FederatedTown,
    Line,
    Network,
    following,
    open_one,
    open_towns,
    signed,
)
from timebank_contracts.checkpoint import open_checkpoint, open_cosignatures
from timebank_contracts.equivocation import check_evidence
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.note import COSIGNATURE, VerifierKey, parse_vkey
from timebank_contracts.registry import Witness as RegisteredWitness
from timebank_federation.registries import Registries
from timebank_federation.witness_app import OpenWitness, open_witness
from timebank_kit.web import App, Receive, Scope, Send
from timebank_node.home import Home, open_home

WITNESS_KEY = SigningKey(bytes([7]) * 32)
WITNESS = VerifierKey("witness.example/w1", WITNESS_KEY.public, COSIGNATURE)


def named(network: Network, *witnesses: RegisteredWitness) -> bytes:
    """The next registry, which names witnesses."""
    holder = Registries(None)
    for envelope in network.registries:
        last = holder.add(envelope)
    network.registries.append(signed(following(last, witnesses=list(witnesses))))
    return network.registries[-1]


def registered(key: SigningKey = WITNESS_KEY, *, name: str = WITNESS.name, host: str = "witness") -> RegisteredWitness:
    return RegisteredWitness(name=name, key=b64_encode(key.public), url=f"http://{host}.example")


def tell(network: Network, envelope: bytes) -> None:
    for town in network.towns.values():
        town.federation.registries.add(envelope)
        town.federation.hand_over_registries()


@contextmanager
def open_all(folder: Path, *, on_disk: bool = False) -> Iterator[tuple[Network, OpenWitness]]:
    """Two towns, and a witness that is no town and answers."""
    with open_towns(folder, "aberdare", "barry", on_disk=on_disk) as network:
        tell(network, named(network, registered()))
        registries = Registries(None)
        for envelope in network.registries:
            registries.add(envelope)
        http = httpx.Client(transport=network.doors)
        witness = open_witness(
            key=WITNESS_KEY, folder=folder / "witness", registries=registries, http=http, clock=network.clock
        )
        network.doors.lines["witness.example"] = Line(witness.app)
        try:
            yield network, witness
        finally:
            network.doors.lines["witness.example"].close()


def vkey(town: FederatedTown) -> VerifierKey:
    return parse_vkey(town.home.vkey)


def asks(network: Network, town: FederatedTown, *, after_seconds: float = 60) -> int:
    network.clock.advance(after_seconds)
    return town.federation.witnessing.step()


def cosigned_size(town: FederatedTown) -> int:
    note = town.federation.witnessing.cosigned()
    assert note is not None
    assert WITNESS in open_cosignatures(note, vkey(town), [WITNESS])
    return open_checkpoint(note, vkey(town)).size


def grow(town: FederatedTown, account: str) -> None:
    """One entry more."""
    body = {"account": account, "kind": "member"}
    answer = town.ask_ledger("POST", "/v1/accounts", json=body, headers={"Idempotency-Key": account})
    assert answer.status_code == 201, answer.text


def is_stopped(town: FederatedTown) -> bool:
    body = {"account": "somebody-new", "kind": "member"}
    answer = town.ask_ledger("POST", "/v1/accounts", json=body, headers={"Idempotency-Key": "is-it-stopped"})
    assert answer.status_code in (201, 503), answer.text
    return answer.status_code == 503


def test_the_newest_checkpoint_is_cosigned_and_shown_whole(tmp_path: Path) -> None:
    """PROTOCOL.md V5."""
    with open_all(tmp_path) as (network, _):
        town = network["aberdare"]
        for _ in range(3):
            assert asks(network, town) == 1
            assert cosigned_size(town) == town.ledger.writer.tail.length
            grow(town, f"member-{town.ledger.writer.tail.length}")
        with httpx.Client(transport=town.door, base_url="http://aberdare.example") as http:
            assert http.get("/v1/cosigned").content == town.federation.witnessing.cosigned()
            assert "timebank_witness_contradicted 0.0" in http.get("/metrics").text


def test_a_quiet_town_is_cosigned_once_an_hour(tmp_path: Path) -> None:
    """PROTOCOL.md V5."""
    with open_all(tmp_path) as (network, witness):
        town = network["aberdare"]
        asks(network, town)
        for _ in range(59):
            assert asks(network, town) == 0
        assert asks(network, town) == 1
        assert witness.witness.counts["cosigned"] == 2


def test_a_witness_that_is_away_is_asked_again_and_holds_up_nothing(tmp_path: Path) -> None:
    with open_all(tmp_path) as (network, _):
        town = network["aberdare"]
        network.doors.lines["witness.example"].is_cut = True
        assert asks(network, town) == 0
        [row] = town.federation.witnessing.state()["witnesses"]
        assert row["trouble"] == "does not answer"
        transfer = network.send("aberdare", "barry", key="while-it-is-away")
        network.pump()
        assert network.state("aberdare", transfer) == "settled"
        network.doors.lines["witness.example"].is_cut = False
        assert asks(network, town) == 1
        assert town.federation.witnessing.state()["witnesses"][0]["trouble"] is None


def test_a_node_that_forgot_what_was_cosigned_is_told_and_goes_on(tmp_path: Path) -> None:
    """PROTOCOL.md V2: a 409 that the journal explains."""
    with open_all(tmp_path, on_disk=True) as (network, witness):
        town = network["aberdare"]
        asks(network, town)
        for file in (town.home.folder / "cosigned").iterdir():
            file.unlink()
        town.federation.close()
        with reopened(network, town.home) as again:
            grow(again, "cai")
            assert asks(network, again) == 1
            assert not is_stopped(again)
        assert witness.witness.counts["proof_invalid"] == 1


@contextmanager
def reopened(network: Network, home: Home) -> Iterator[FederatedTown]:
    """The town of a home once more, after its ledger was closed."""
    with ExitStack() as stack:
        old = network.towns[home.identity.node]
        old.ledger.close()
        town = stack.enter_context(open_one(network, home))
        town.federation.hand_over_registries()
        yield town


def test_a_town_restored_from_an_old_backup_that_only_the_witness_heard_of_is_stopped(tmp_path: Path) -> None:
    """PROTOCOL.md V5; fault 12: head file and keys came back with the backup, and no peer had heard."""
    with open_all(tmp_path, on_disk=True) as (network, witness):
        town = network["aberdare"]
        asks(network, town)
        town.federation.close()
        town.ledger.close()
        copytree(town.home.folder, tmp_path / "backup")
        with open_one(network, town.home) as later:
            grow(later, "cai")
            grow(later, "dewi")
            assert asks(network, later) == 1
        with open_one(network, open_home(tmp_path / "backup")) as restored:
            assert not is_stopped(restored)
            assert asks(network, restored) == 0
            assert is_stopped(restored)
            ready = restored.ask_ledger("GET", "/readyz").text
            assert "witness.example/w1" in ready
            assert "timebank restore" in ready
            assert list((tmp_path / "backup" / "cosigned").glob("contradiction-*.json"))
        # What the witness showed was signed by the town's own key: the head file has it, whatever is started next.
        size = int((tmp_path / "backup" / "head").read_text("ascii").split()[0])
        assert size > 0
        assert witness.witness.counts["cosigned"] == 2


def test_of_two_clones_that_talk_to_nobody_else_the_second_is_stopped_and_convicted(tmp_path: Path) -> None:
    """PROTOCOL.md V5, V6; fault 14: the roots differ at the witness."""
    with open_all(tmp_path, on_disk=True) as (network, witness):
        town = network["aberdare"]
        asks(network, town)
        town.federation.close()
        town.ledger.close()
        copytree(town.home.folder, tmp_path / "clone")
        with (
            open_one(network, town.home) as first,
            open_one(network, open_home(tmp_path / "clone")) as second,
        ):
            grow(first, "cai")
            grow(second, "dewi")
            assert asks(network, first) == 1
            assert asks(network, second) == 0
            assert is_stopped(second)
            assert not is_stopped(first)
        [file] = witness.witness.evidence
        assert "two roots" in check_evidence(file.read_bytes())[1]


def answering(status: int, body: bytes, *, shown: bytes | None = None) -> App:
    """A witness that always answers the same, and shows what it likes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        said = (status, body) if scope["method"] == "POST" else (404 if shown is None else 200, shown or b"")
        await send({"type": "http.response.start", "status": said[0], "headers": []})
        await send({"type": "http.response.body", "body": said[1]})

    return app


@pytest.mark.parametrize("status", [409, 422])
def test_a_witness_that_shows_a_checkpoint_which_the_journal_has_stops_nothing(tmp_path: Path, status: int) -> None:
    """PROTOCOL.md V5: its own word is against it."""
    with open_all(tmp_path) as (network, _):
        town = network["aberdare"]
        asks(network, town)
        good = town.federation.witnessing.cosigned()
        grow(town, "cai")
        network.doors.lines["witness.example"] = Line(answering(status, b"9000\n", shown=good))
        assert asks(network, town) == 0
        assert not is_stopped(town)
        assert "which" not in str(town.federation.witnessing.contradicted)
        assert "has" in town.federation.witnessing.state()["witnesses"][0]["trouble"]


@pytest.mark.parametrize("shown", [None, b"no note", b"another/log/g1\n5\n\n"], ids=["none", "no-note", "unsigned"])
def test_a_claim_without_a_checkpoint_stops_the_town_all_the_same(tmp_path: Path, shown: bytes | None) -> None:
    """PROTOCOL.md V5: the operators chose this witness."""
    with open_all(tmp_path) as (network, _):
        town = network["aberdare"]
        network.doors.lines["witness.example"] = Line(answering(409, b"9000\n", shown=shown))
        assert asks(network, town) == 0
        assert is_stopped(town)
        assert asks(network, town) == 0, "it is said once"


@pytest.mark.parametrize("body", [b"", b"no line\n", "\N{EM DASH} witness.example/w1 AAAAAAAA\n".encode()])
def test_an_answer_that_is_no_cosignature_is_trouble_and_nothing_more(tmp_path: Path, body: bytes) -> None:
    with open_all(tmp_path) as (network, _):
        network.doors.lines["witness.example"] = Line(answering(200, body))
        town = network["aberdare"]
        assert asks(network, town) == 0
        assert "no cosignature" in town.federation.witnessing.state()["witnesses"][0]["trouble"]
        assert not is_stopped(town)
