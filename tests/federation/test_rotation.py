"""An event key gives way to another, or is given up at once, while transfers flow between towns: nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console

from tests.federation.towns import OPERATORS, Network, open_one, open_towns, public, signed
from timebank_contracts import canonical, dsse
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_encode
from timebank_contracts.segments import is_signed_by, parse_segment
from timebank_federation.registry_fetch import PAUSE_SECONDS
from timebank_node.chance import Seeded
from timebank_node.commands_life import leave, retire_key, rotate_key
from timebank_node.registry_changes import follow, set_field
from timebank_node.requests import change_of, read_request

pytestmark = pytest.mark.slow  # every test opens whole towns

QUIET = Console(quiet=True)
DAY_SECONDS = 86_400.0


class Life:
    """Two towns of which Aberdare changes its keys, and the operators who do what it asks."""

    def __init__(self, network: Network, stack: ExitStack, folder: Path) -> None:
        self.network = network
        self._stack = stack
        self._folder = folder
        self._chance = Seeded(5, "next keys")
        self.sent: list[str] = []
        self._payees: dict[str, object] = {}

    def rotate(self) -> bytes:
        """The next step of a rotation: the registry that the operators sign for it."""
        rotate_key(QUIET, self.network["aberdare"].home.folder, self._folder / "request", random=self._chance)
        return self.signed_request()

    def retire(self) -> bytes:
        retire_key(QUIET, self.network["aberdare"].home.folder, self._folder / "request", random=self._chance)
        return self.signed_request()

    def signed_request(self) -> bytes:
        request, envelope = read_request(self._folder / "request")
        chain = self.network["aberdare"].federation.registries.chain
        following = follow(chain[-1][0], change_of(request, envelope, chain[-1][0]))
        return signed(following)

    def restart(self) -> None:
        """Aberdare's services read their keys."""
        town = self.network["aberdare"]
        town.federation.close()
        town.ledger.close()
        again = self._stack.enter_context(open_one(self.network, town.home))
        again.accounts.update(town.accounts)
        again.keys = town.keys
        self.network.towns["aberdare"] = again

    def publish(self, envelope: bytes, *towns: str) -> None:
        for name in towns:
            self.network[name].federation.registries.add(envelope)
            self.network[name].federation.hand_over_registries()

    def send(self, payer_town: str = "aberdare", payee_town: str = "barry") -> None:
        """Five minutes from `alys` to `bryn`, whose address was asked for when both towns were there."""
        town, key = self.network[payer_town], f"flow-{len(self.sent)}"
        if payee_town not in self._payees:
            question = {"handle": "bryn", "node": payee_town}
            found = town.http.post("/v1/payees/resolve", json=question, headers=town.headers("transfers:write"))
            self._payees[payee_town] = found.json()
        body = {"payer": town.accounts["alys"], "payee": self._payees[payee_town], "minutes": 5, "purpose": "gift"}
        answer = town.ask_ledger("POST", "/v1/transfers", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        self.sent.append(answer.json()["id"])

    def states(self) -> set[str]:
        return {self.network.state(transfer.partition(".")[0], transfer) for transfer in self.sent}

    def last_signer(self) -> str:
        """The town's key that signed the last segment in Barry's topic."""
        envelope = parse_segment(self.network.records("barry")[-1]).envelope
        keys = self.network["aberdare"].home.event_keys
        return next((b64_encode(key.public) for key in keys if is_signed_by(envelope, (key.public,))), "another")


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    with open_towns(tmp_path, "aberdare", "barry", on_disk=True) as network, ExitStack() as stack:
        yield Life(network, stack, tmp_path)


def test_a_key_is_rotated_while_transfers_flow_both_ways(life: Life) -> None:
    """PROTOCOL.md R8."""
    aberdare = life.network["aberdare"].home
    old = public(aberdare.event_keys[0])
    life.send()
    both = life.rotate()
    life.restart()
    life.send()
    life.network.pump()
    assert life.last_signer() == old, "a key that no registry names signs nothing"
    life.publish(both, "aberdare")
    life.send()
    life.send("barry", "aberdare")
    life.network.pump()
    new = public(aberdare.event_keys[1])
    assert life.last_signer() == new
    assert life.network["barry"].federation.registries.version == 2
    alone = life.rotate()
    life.publish(alone, "barry")
    life.send()
    life.send("barry", "aberdare")
    life.network.pump()
    assert life.network["aberdare"].federation.registries.version == 3
    assert [public(key) for key in aberdare.event_keys] == [new], "the old key is dropped with the registry without it"
    life.restart()
    life.send()
    life.network.pump()
    assert life.states() == {"settled"}
    assert not life.network["barry"].federation.receiver.quarantine.kept


def test_a_segment_under_a_key_no_longer_in_force_is_refused_and_signed_anew(life: Life) -> None:
    """PROTOCOL.md R5, R8; J-12: the registries come before the segment."""
    first = life.rotate()
    life.restart()
    life.send()
    life.network["aberdare"].federation.sender.step(wait_seconds=0)
    life.publish(first, "barry")
    new = public(life.network["aberdare"].home.event_keys[1])
    with_both = life.network["barry"].federation.registries.chain[-1][0]
    life.publish(signed(follow(with_both, set_field("aberdare", event_keys=[new]))), "barry")
    life.network["barry"].receive()
    assert life.network["barry"].federation.receiver.counts["unsigned"] == 1
    assert life.states() == {"sent"}
    life.network.clock.advance(PAUSE_SECONDS + 60)
    life.network.pump()
    assert life.network["aberdare"].federation.registries.version == 3
    assert life.states() == {"settled"}


def test_a_stolen_key_is_given_up_now_and_nothing_is_lost(life: Life) -> None:
    """PROTOCOL.md R8."""
    stolen = life.network["aberdare"].home.event_keys[0]
    life.send()
    life.network.pump()
    only_new = life.retire()
    life.restart()
    life.send()
    records = len(life.network.records("barry"))
    life.network.pump()
    assert len(life.network.records("barry")) == records, "nothing is sent while no key of the node is in force"
    assert life.network["aberdare"].federation.sender.identity is not None
    life.publish(only_new, "barry")
    forged = life.network["aberdare"].segment("barry", [], key=stolen, registry=2)
    assert life.network["barry"].federation.receiver.take(forged) == "unsigned"
    life.publish(only_new, "aberdare")
    life.network.pump()
    assert life.states() == {"settled"}


def test_a_town_that_was_off_for_three_days_follows_a_whole_rotation(life: Life) -> None:
    """PROTOCOL.md R7, R8; J-12: the segments come before the registries."""
    network = life.network
    life.send()
    both = life.rotate()
    life.restart()
    network["aberdare"].federation.sender.step(wait_seconds=0)
    life.publish(both, "aberdare")
    network.clock.advance(DAY_SECONDS)
    life.send()
    network["aberdare"].federation.sender.step(wait_seconds=0)
    life.publish(life.rotate(), "aberdare")
    network.clock.advance(2 * DAY_SECONDS)
    life.send()
    network["aberdare"].federation.sender.step(wait_seconds=0)
    assert network["barry"].federation.registries.version == 1
    network.pump()
    network.clock.advance(PAUSE_SECONDS + 60)
    network.pump()
    assert network["barry"].federation.registries.version == 3
    assert life.states() == {"settled"}


def test_only_the_key_in_force_asks_for_a_rotation_and_only_the_node_leaves(life: Life, tmp_path: Path) -> None:
    home = life.network["aberdare"].home
    leave(QUIET, home.folder, tmp_path / "leave")
    request, envelope = read_request(tmp_path / "leave")
    [(registry, _)] = life.network["aberdare"].federation.registries.chain
    closed = follow(registry, change_of(request, envelope, registry)).find("aberdare")
    assert closed is not None
    assert closed.state == "closed"
    forged = dsse.sign(canonical.encode(request), payload_type="application/vnd.timebank.request+json", keys=OPERATORS)
    with pytest.raises(Malformed, match="not signed"):
        change_of(request, forged, registry)
