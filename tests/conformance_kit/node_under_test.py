"""A node in this process for the kit to play with: real rooms, one clock, and a way in which a wrapper may lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.federation.towns import NETWORK, FederatedTown, Line, Network, open_one
from timebank_conformance.door import NodeDoor
from timebank_conformance.findings import Findings
from timebank_conformance.run import run
from timebank_conformance.session import Bounds, Session
from timebank_conformance.setting import KitNetwork, make_network
from timebank_conformance.stage import Stage
from timebank_contracts.keys import b64_decode
from timebank_contracts.names import Identity
from timebank_federation.registries import Registries
from timebank_node.chance import Seeded
from timebank_node.home import make_home

PASS_SECONDS = 11.0
"""Goes by at each look: longer than a node rests between two rounds of asking for a registry."""
HANDLE = "bryn"
Wrap = Callable[["Played", httpx.BaseTransport], httpx.BaseTransport]


class Gifts(Network):
    """A network whose member may send to the kit."""

    def send_gift(self, town: FederatedTown, *, key: str) -> str:
        question = {"handle": "kit", "node": "kit-main"}
        payee = town.http.post("/v1/payees/resolve", json=question, headers=town.headers("transfers:write"))
        assert payee.status_code == 200, payee.text
        body = {"payer": town.accounts[HANDLE], "payee": payee.json(), "minutes": 5, "purpose": "gift"}
        answer = town.ask_ledger("POST", "/v1/transfers", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


@dataclass(kw_only=True)
class Played:
    """A node under test, and the session that plays with it."""

    town: FederatedTown
    kit: KitNetwork
    network: Gifts
    session: Session = field(init=False)

    def run(self, *, sends: int = 0) -> Findings:
        run(self.session, handle=HANDLE, sends=sends, token=lambda: self.town.directory.token("audit:read"))
        return self.session.findings

    def let_time_pass(self, seconds: float) -> None:
        """The node polls once, and much time goes by."""
        self.town.federation.sender.follow(wait_seconds=0)
        self.town.federation.receiver.poll_peers()
        self.network.clock.advance(max(seconds, PASS_SECONDS))

    def do_as_told(self, line: str) -> None:
        """What the kit tells the operator; where it asks for gifts, a member sends them."""
        if "gifts" in line:
            for number in range(2):
                self.network.send_gift(self.town, key=f"gift-{number}")


@contextmanager
def played(folder: Path, wrap: Wrap | None = None) -> Iterator[Played]:
    """A node, and a kit whose registry it accepted.

    Args:
        folder: holds the node's home.
        wrap: stands between the kit and the node, and breaks a rule.
    """
    network = Gifts(on_disk=False)
    home = make_home(
        folder / "home",
        Identity(NETWORK, "aberdare", "g1"),
        url="http://aberdare.example",
        random=Seeded(1, "home"),
    )
    kit = make_network(NETWORK, home.described, url="http://kit.example", random=Seeded(1, "kit"), clock=network.clock)
    keys = tuple(map(b64_decode, home.described.event_keys))
    stage = Stage(kit.towns, keys, network.clock)
    stage.registries[1] = kit.envelope(kit.registries[0])
    Registries(home.registry_folder).add(stage.registries[1])
    with open_one(network, home, with_broker=False) as town:
        network.doors.lines["kit.example"] = Line(stage)
        network.doors.lines["log.example"] = Line(town.ledger.app)
        town.enrol(HANDLE)
        one = Played(town=town, kit=kit, network=network)
        http = httpx.Client(transport=network.doors if wrap is None else wrap(one, network.doors))
        door = NodeDoor(http, url=home.described.url, log_url="http://log.example", clock=network.clock)
        one.session = Session(
            network=kit,
            stage=stage,
            door=door,
            findings=Findings(),
            clock=network.clock,
            pause=one.let_time_pass,
            bounds=Bounds(),
            say=one.do_as_told,
        )
        yield one
        network.doors.lines["kit.example"].close()
        network.doors.lines["log.example"].close()
