"""Towns in this process, whose ways to their ledger and to each other can be cut. The rooms are the real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from timebank_contracts import canonical, dsse
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.names import Identity, inbox_topic
from timebank_contracts.registry import PAYLOAD_TYPE, RegisteredNode, Registry
from timebank_contracts.segments import Heard, make_segment
from timebank_contracts.streams import StreamHead
from timebank_contracts.tokens import TokenKey, audience
from timebank_directory.app import OpenDirectory
from timebank_federation.app import Federation, node_token
from timebank_federation.broker import EmbeddedBroker
from timebank_federation.registries import Registries
from timebank_kit.clock import ManualClock
from timebank_kit.web import App, AsgiBridge
from timebank_ledger.app import OpenLedger
from timebank_node.chance import Seeded
from timebank_node.compose import Surroundings, compose_directory, compose_federation, compose_ledger
from timebank_node.home import Home, make_home
from timebank_node.network import first_registry

NETWORK = "timebank.example"
START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
OPERATORS = [SigningKey(Seeded(1, f"operator {number}")(32)) for number in range(2)]


class Line(httpx.BaseTransport):
    """A way to an application of this process that can be cut."""

    def __init__(self, app: App) -> None:
        self._bridge = AsgiBridge(app)
        self.is_cut = False
        self.instead: dict[str, tuple[int, Any]] = {}
        """By path: status and JSON with which an application of another version answers there."""
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if self.is_cut:
            raise httpx.ConnectError("The line is cut.", request=request)
        if request.url.path in self.instead:
            status, body = self.instead[request.url.path]
            return httpx.Response(status, json=body, request=request)
        return self._bridge.handle_request(request)

    def close(self) -> None:
        self._bridge.close()


class Doors(httpx.BaseTransport):
    """The towns' doors by host name; what is not here does not answer."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}

    def ask(self, town: str, path: str) -> httpx.Response:
        """What the federation of a town answers to anybody."""
        with httpx.Client(transport=self.lines[f"{town}.example"]) as http:
            return http.get(f"http://{town}.example{path}")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        line = self.lines.get(request.url.host)
        if line is None:
            raise httpx.ConnectError("There is no such town.", request=request)
        return line.handle_request(request)


@dataclass(kw_only=True)
class FederatedTown:
    """One town: its rooms, and how to act in it."""

    home: Home
    around: Surroundings
    ledger: OpenLedger
    directory: OpenDirectory
    federation: Federation
    to_ledger: Line
    door: Line
    http: httpx.Client
    """To its directory."""
    accounts: dict[str, str] = field(default_factory=dict)
    keys: Iterator[int] = field(default_factory=count)

    @property
    def name(self) -> str:
        return self.home.identity.node

    @property
    def key(self) -> SigningKey:
        return self.home.key("event")

    def headers(self, *scopes: str, key: str | None = None) -> dict[str, str]:
        """A token, and a new Idempotency-Key unless one is given."""
        key = key or f"key-{next(self.keys)}"
        return {"Authorization": f"Bearer {self.directory.token(*scopes)}", "Idempotency-Key": key}

    def node_headers(self, *, to: str) -> dict[str, str]:
        """The header with which this node calls another."""
        key = TokenKey(self.home.seed("event"), self.key.public)
        token = node_token(key, self.home.identity, self.around.clock, aud=audience(NETWORK, to))
        return {"Authorization": f"Bearer {token}"}

    def enrol(self, handle: str, *, payable: bool = True) -> str:
        body = {"handle": handle, "name": f"Name of {handle}", "payable_from_other_towns": payable}
        answer = self.http.post("/v1/members", json=body, headers=self.headers("operate"))
        assert answer.status_code == 201, answer.text
        self.accounts[handle] = answer.json()["account"]
        return self.accounts[handle]

    def ask_ledger(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self.headers("operate", "transfers:write", "audit:read"), **options.pop("headers", {})}
        with httpx.Client(transport=AsgiBridge(self.ledger.app), base_url="http://ledger") as http:
            return http.request(method, path, headers=headers, **options)

    def stream(self, peer: str) -> dict[str, Any]:
        """What the ledger says of its streams with a peer."""
        streams: list[dict[str, Any]] = self.ask_ledger("GET", "/v1/streams").json()["streams"]
        return next(stream for stream in streams if stream["peer"] == peer)

    def receive(self) -> int:
        """Take what the broker has; returns how many records."""
        assert self.federation.inbox is not None
        return self.federation.receiver.step(self.federation.inbox, timeout_seconds=0)

    def segment(
        self,
        to: str,
        messages: list[bytes],
        *,
        after: StreamHead | None = None,
        key: SigningKey | None = None,
        registry: int = 1,
        network: str = NETWORK,
    ) -> bytes:
        """A segment as this town would sign it, with any messages."""
        peer = self.federation.sender.peers[to]
        return make_segment(
            identity=self.home.identity._replace(network=network),
            to=to,
            after=after or peer.head,
            messages=messages,
            heard=Heard(generation="g1", n=peer.incoming.n, chain=peer.incoming.chain.hex()),
            registry=registry,
            size=0,
            root=bytes(32),
            key=key or self.key,
        )


class Network:
    """Some towns that hold one registry, one broker and one clock."""

    def __init__(self, *, on_disk: bool) -> None:
        self.on_disk = on_disk
        self.clock = ManualClock(START)
        self.broker = EmbeddedBroker()
        self.doors = Doors()
        self.towns: dict[str, FederatedTown] = {}
        self.registries: list[bytes] = []

    def __getitem__(self, name: str) -> FederatedTown:
        return self.towns[name]

    def pump(self) -> None:
        """Let every message on its way arrive and be answered."""
        for _ in range(1_000):
            moved = sum(town.federation.sender.step(wait_seconds=0) for town in self.towns.values())
            moved += sum(town.receive() for town in self.towns.values())
            if not moved:
                return
        raise AssertionError("the towns never come to rest")

    def records(self, to: str) -> list[bytes]:
        """What the topic of a town holds."""
        return [record.value for record in self.broker.records(inbox_topic(NETWORK, to))]

    def send(self, payer_town: str, payee_town: str, minutes: int = 30, *, key: str) -> str:
        """A gift from `alys` of one town to `bryn` of another; returns the transfer's id."""
        town = self[payer_town]
        question = {"handle": "bryn", "node": payee_town}
        payee = town.http.post("/v1/payees/resolve", json=question, headers=town.headers("transfers:write"))
        assert payee.status_code == 200, payee.text
        body = {"payer": town.accounts["alys"], "payee": payee.json(), "minutes": minutes, "purpose": "gift"}
        answer = town.ask_ledger("POST", "/v1/transfers", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def state(self, town: str, transfer: str) -> str:
        return str(self[town].ask_ledger("GET", f"/v1/transfers/{transfer}").json()["state"])

    def next_registry(self, **changes: Any) -> bytes:
        """The next version of the registry, with changes to Barry's line, signed by its operators."""
        holder = Registries(None)
        for envelope in self.registries:
            last = holder.add(envelope)
        return signed(changed(last, **changes))


def changed(registry: Registry, *, node: str = "barry", **changes: Any) -> Registry:
    """The following version, with changes to the line of a node."""
    said = canonical_fields(registry)
    said |= {"version": registry.version + 1, "previous": registry.sha256}
    said["nodes"] = [
        RegisteredNode(**{**fields_of(one), **(changes if one.node == node else {})}) for one in registry.nodes
    ]
    return Registry(**said)


def following(registry: Registry, **changes: Any) -> Registry:
    """The following version, with other fields."""
    said = canonical_fields(registry) | {"version": registry.version + 1, "previous": registry.sha256}
    return Registry(**(said | changes))


def fields_of(node: RegisteredNode) -> dict[str, Any]:
    return {name: getattr(node, name) for name in RegisteredNode.__struct_fields__}


def canonical_fields(registry: Registry) -> dict[str, Any]:
    return {name: getattr(registry, name) for name in Registry.__struct_fields__}


def signed(registry: Registry) -> bytes:
    return dsse.sign(canonical.encode(registry), payload_type=PAYLOAD_TYPE, keys=OPERATORS)


def public(key: SigningKey) -> str:
    return b64_encode(key.public)


@contextmanager
def open_towns(
    folder: Path,
    *names: str,
    with_broker: bool = True,
    on_disk: bool = False,
    settings: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Network]:
    """Towns with `alys` and `bryn` in each; everything is closed at the end.

    Args:
        folder: holds their homes.
        with_broker: else their federation polls.
        on_disk: journals and people outlive a town that is closed.
        settings: further variables by town, such as those that name a real broker (`with_broker` is False then).
    """
    network = Network(on_disk=on_disk)
    homes = [
        make_home(
            folder / name,
            Identity(NETWORK, name, "g1"),
            url=f"http://{name}.example",
            random=Seeded(1, f"home {name}"),
        )
        for name in names
    ]
    network.registries.append(first_registry(NETWORK, [home.described for home in homes], operators=OPERATORS, k=2))
    with ExitStack() as stack:
        for home in homes:
            Registries(home.registry_folder).add(network.registries[0])
            more = (settings or {}).get(home.identity.node, {})
            opened = open_one(network, home, with_broker=with_broker, settings=more)
            network.towns[home.identity.node] = stack.enter_context(opened)
        for town in network.towns.values():
            town.enrol("alys")
            town.enrol("bryn")
        yield network


@contextmanager
def open_one(
    network: Network, home: Home, *, with_broker: bool = True, settings: Mapping[str, str] | None = None
) -> Iterator[FederatedTown]:
    """One town of a network, from its home; it may have been open before."""
    around = Surroundings(
        clock=network.clock,
        random=Seeded(1, f"ids {home.identity.node}"),
        environ={
            "TIMEBANK_LEDGER_JOURNAL_URL": f"sqlite:{home.folder}/journal.db" if network.on_disk else "memory:",
            "TIMEBANK_DIRECTORY_DATABASE": f"sqlite:///{home.folder}/people.db" if network.on_disk else "sqlite://",
            **(settings or {}),
        },
        peer_http=httpx.Client(transport=network.doors),
        broker=network.broker if with_broker else None,
    )
    with ExitStack() as stack:
        ledger = compose_ledger(home, around)
        stack.callback(ledger.close)
        to_ledger = Line(ledger.app)
        ledger_http = stack.enter_context(httpx.Client(transport=to_ledger, base_url="http://ledger"))
        directory = compose_directory(home, around, ledger_http)
        stack.callback(directory.close)
        http = stack.enter_context(httpx.Client(transport=AsgiBridge(directory.app), base_url="http://directory"))
        federation = compose_federation(home, around, ledger_http, http)
        stack.callback(federation.close)
        federation.hand_over_registries()
        door = Line(federation.app)
        stack.callback(door.close)
        network.doors.lines[f"{home.identity.node}.example"] = door
        yield FederatedTown(
            home=home,
            around=around,
            ledger=ledger,
            directory=directory,
            federation=federation,
            to_ledger=to_ledger,
            door=door,
            http=http,
        )
