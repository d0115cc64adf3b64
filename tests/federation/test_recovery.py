"""A town lost what it had published; the registry names its next generation, and its peer hands back the rest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from tests.federation.towns import FederatedTown, Network, changed, open_one, open_towns, signed
from timebank_contracts.entries import decode_entry, entry_type
from timebank_contracts.errors import Malformed
from timebank_contracts.invariants import broken_invariants
from timebank_federation.registries import Registries
from timebank_kit.journal import open_journal
from timebank_kit.web import AsgiBridge
from timebank_node.commands_return import ask_to_return, return_node
from timebank_node.home import Home, open_home
from timebank_node.requests import change_of, read_request
from timebank_node.restore import copy_journal

OUT = Console(file=StringIO())


def balance(town: FederatedTown, account: str) -> int:
    with town.ledger.writer.reading() as book:
        return book.accounts[account].balance


def backed_up(network: Network, folder: Path, size: int) -> Path:
    """Aberdare's home with the first entries of its journal: the backup that is left."""
    town = network["aberdare"]
    copy = folder / "backup"
    shutil.copytree(town.home.folder, copy, ignore=shutil.ignore_patterns("journal.db*", "snapshot"))
    journal = open_journal(f"sqlite:{copy}/journal.db", "timebank.example/aberdare")
    copy_journal(town.ledger.writer.journal, journal, size)
    journal.close()
    return copy


def publish(network: Network, request: Path) -> None:
    """The operators close the old generation; every other town has the registry at once."""
    holder = Registries(None)
    for envelope in network.registries:
        last = holder.add(envelope)
    asked, envelope = read_request(request)
    wanted = change_of(asked, envelope, last)(last).find("aberdare")
    assert wanted is not None
    fields = ("generation", "event_keys", "log_keys")
    registry = changed(last, node="aberdare", **{name: getattr(wanted, name) for name in fields})
    network.registries.append(signed(registry))
    barry = network["barry"].federation
    barry.registries.add(network.registries[-1])
    barry.hand_over_registries()


@contextmanager
def come_back(network: Network, folder: Path, size: int, **given: Any) -> Iterator[FederatedTown]:
    """Aberdare under g2, from its first `size` entries."""
    copy = backed_up(network, folder, size)
    request = folder / "return.request"
    ask_to_return(OUT, copy, request)
    publish(network, request)
    home = open_home(copy)
    Registries(home.registry_folder).add(network.registries[-1])
    return_node(OUT, copy, mirror_folder=None, clock=network.clock)
    with open_one(network, home, **given) as town:
        town.accounts = network["aberdare"].accounts
        network.towns["aberdare"] = town
        yield town


def kinds(town: FederatedTown) -> list[str]:
    journal = town.ledger.writer.journal
    return [entry_type(decode_entry(record.state)) for record in journal.scan(0, journal.length())]


def sound(network: Network) -> None:
    """Both towns hold, and say the same about what they owe each other."""
    for town in network.towns.values():
        with town.ledger.writer.reading() as book:
            assert broken_invariants(book) == []
            assert not book.open_transfers
            assert not book.forced
    aberdare, barry = network["aberdare"], network["barry"]
    assert balance(aberdare, "clearing:barry") == -balance(barry, "clearing:aberdare")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with open_towns(tmp_path, "aberdare", "barry", on_disk=True) as found:
        yield found


def test_what_was_lost_comes_back_with_its_payer_and_is_decided_as_it_was(network: Network, tmp_path: Path) -> None:
    """PROTOCOL.md X7 to X12, W10: page 6, rows 11 and 13."""
    network.send("aberdare", "barry", 30, key="before")
    network.send("barry", "aberdare", 1, key="before-too")
    network.pump()
    size = network["aberdare"].ledger.writer.tail.length
    network.send("aberdare", "barry", 45, key="lost")
    network.send("barry", "aberdare", 20, key="decided-and-lost")
    network.pump()
    with come_back(network, tmp_path, size) as town:
        recovery = town.federation.recovery
        assert recovery.step() == 3, "two segments of ours, as they were sent, and Barry's last word"
        network.pump()
        network["barry"].federation.receiver.poll_peers()
        town.federation.receiver.poll_peers()
        network.pump()
        sound(network)
        assert balance(town, town.accounts["alys"]) == -75
        assert balance(town, town.accounts["bryn"]) == 1 + 20
        assert recovery.step() == 0
        transfer = network.send("aberdare", "barry", 5, key="after")
        network.pump()
        assert transfer.startswith("aberdare.g2.barry.")
        assert network.state("aberdare", transfer) == "settled"
        sound(network)


def test_what_the_peer_never_heard_is_said_again_or_never_happened(network: Network, tmp_path: Path) -> None:
    """PROTOCOL.md X11: page 6, row 12."""
    transfer = network.send("aberdare", "barry", 30, key="kept-and-unheard")
    size = network["aberdare"].ledger.writer.tail.length
    network.send("aberdare", "barry", 45, key="lost-and-unheard")
    with come_back(network, tmp_path, size) as town:
        assert town.federation.recovery.step() == 1
        assert "message.repeated" in kinds(town)
        network.pump()
        assert network.state("aberdare", transfer) == "settled"
        assert balance(town, town.accounts["alys"]) == -30
        sound(network)


def test_while_a_peer_is_away_the_town_works_and_says_so(network: Network, tmp_path: Path) -> None:
    """PROTOCOL.md X8."""
    network.send("aberdare", "barry", 30, key="before")
    network.pump()
    with come_back(network, tmp_path, network["aberdare"].ledger.writer.tail.length - 2) as town:
        network["barry"].door.is_cut = True
        assert town.federation.recovery.step() == 0
        assert town.stream("barry")["returning"]["stage"] == "recovers"
        assert "timebank_ledger_peers_recovering 1.0" in town.ask_ledger("GET", "/metrics").text
        body = {"payer": town.accounts["alys"], "payee": {"account": town.accounts["bryn"]}, "minutes": 5}
        here = town.ask_ledger(
            "POST", "/v1/transfers", json=body | {"purpose": "gift"}, headers={"Idempotency-Key": "x"}
        )
        assert here.status_code == 201
        there = body | {"payee": {"node": "barry", "alias": "0" * 32}, "purpose": "gift"}
        answer = town.ask_ledger("POST", "/v1/transfers", json=there, headers={"Idempotency-Key": "y"})
        assert answer.json()["code"] == "peer_recovering"
        network["barry"].door.is_cut = False
        assert town.federation.recovery.step() == 1
        network.pump()
        town.federation.receiver.poll_peers()
        network.pump()
        sound(network)


def test_a_peer_gives_back_nothing_of_a_generation_that_is_open(network: Network) -> None:
    """PROTOCOL.md W10."""
    network.send("aberdare", "barry", 30, key="before")
    network.pump()
    aberdare, barry = network["aberdare"], network["barry"]
    with httpx.Client(transport=AsgiBridge(barry.federation.app), base_url="http://barry") as http:
        answer = http.get("/v1/streams/aberdare/g1/barry?after=0", headers=aberdare.node_headers(to="barry"))
        assert answer.json()["code"] == "stream_unknown"
        stranger = http.get("/v1/streams/cardiff/g1/barry?after=0", headers=aberdare.node_headers(to="barry"))
        assert stranger.json()["code"] == "forbidden"


def test_the_way_back_is_refused_with_a_sentence_where_it_leads_nowhere(network: Network, tmp_path: Path) -> None:
    copy = backed_up(network, tmp_path, 3)
    with pytest.raises(Malformed, match="does not name"):
        return_node(OUT, fresh(copy, tmp_path), mirror_folder=None, clock=network.clock)
    request = tmp_path / "return.request"
    ask_to_return(OUT, copy, request)
    first = request.read_bytes()
    request.unlink()
    ask_to_return(OUT, copy, request)
    assert request.read_bytes() == first, "who lost the file asks again"
    publish(network, request)
    Registries(open_home(copy).registry_folder).add(network.registries[-1])
    with pytest.raises(Malformed, match="let it go on first"):
        ask_to_return(OUT, copy, request)
    return_node(OUT, copy, mirror_folder=None, clock=network.clock)
    with pytest.raises(Malformed, match="already: start the node"):
        return_node(OUT, copy, mirror_folder=None, clock=network.clock)


def fresh(copy: Path, folder: Path) -> Path:
    """A home that asked, and whose operators have not answered yet."""
    other = folder / "other"
    shutil.copytree(copy, other)
    ask_to_return(OUT, other, folder / "other.request")
    home: Home = open_home(other)
    assert home.identity.generation == "g2"
    return other
