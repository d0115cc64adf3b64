"""The three rooms with an API, each with a document, a town behind it, and a token for whatever a route demands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from tests.documented import Documented, Json
from tests.federation.towns import open_towns
from tests.ledger.pair_of_towns import open_pair
from tests.ledger.town_api import gift
from timebank_contracts.tokens import SCOPES
from timebank_directory.api import document as directory_document
from timebank_federation.api import document as federation_document
from timebank_kit.web import App
from timebank_ledger.api import document as ledger_document

DOCUMENTS: dict[str, Documented] = {
    "ledger": Documented(ledger_document()),
    "directory": Documented(directory_document()),
    "federation": Documented(federation_document()),
}
ALL = tuple(sorted(SCOPES - {"federation"}))
_UNBOUND = {"rate_per_second": 1_000_000, "rate_burst": 1_000_000}


@dataclass
class Room:
    """One room's API over a town in memory."""

    name: str
    http: httpx.Client
    tokens: dict[str, str]
    """For `federation`, and for every other scope at once."""
    bound: dict[str, str]
    """What a parameter of a path stands for, where there is such a thing in the town."""
    length: Callable[[], int]
    """Of the town's journal."""
    app: App
    keys: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def documented(self) -> Documented:
        return DOCUMENTS[self.name]

    def headers(self, operation: Json) -> dict[str, str]:
        """The token that an operation demands, and a new Idempotency-Key for what writes."""
        scopes = {scope for way in operation["security"] for scope in way["bearer"]}
        said = {}
        if scopes:
            kind = "federation" if scopes == {"federation"} else "other"
            said["Authorization"] = f"Bearer {self.tokens[kind]}"
        if any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", [])):
            said["Idempotency-Key"] = f"room-{next(self.keys)}"
        return said

    def send(self, operation: Json, **options: Any) -> httpx.Response:
        """Call an operation with whatever is given; path parameters are those that are bound."""
        path = options.pop("path", None) or operation["path"].format_map(self.bound)
        headers = {**self.headers(operation), **options.pop("headers", {})}
        sent = {name: value for name, value in headers.items() if value is not None}
        return self.http.request(operation["method"], path, headers=sent, **options)


@contextmanager
def open_room(name: str, folder: Path) -> Iterator[Room]:
    """A room of the town of Aberdare, whose peer is Barry."""
    with _open_ledger() if name == "ledger" else _open_other(name, folder) as room:
        yield room


@contextmanager
def _open_ledger() -> Iterator[Room]:
    with open_pair(wait_seconds_max=0, **_UNBOUND) as (town, _):
        operator, broker = town.operator(), town.client("transfers:write", "claims:write", subject="broker")
        assert operator.post("/v1/accounts", {"account": "dewi", "kind": "member"}).status_code == 201
        transfer = broker.post("/v1/transfers", gift("dewi", "alys", 60)).json()["id"]
        served = {"activity": "garden", "served_on": "2026-03-01", "minutes": 30}
        claim = broker.post("/v1/claims", {"giver": "alys", "receiver": "dewi", **served}).json()["id"]
        alias = operator.post("/v1/accounts/alys/aliases", {}).json()["alias"]
        yield Room(
            name="ledger",
            http=town.http,
            tokens={"federation": town.federation().token, "other": town.client(*ALL).token},
            bound={
                "account": "alys",
                "transfer": transfer,
                "claim": claim,
                "alias": alias,
                "peer": "barry",
                "level": "0",
                "path": f"000.p/{town.writer.tail.length}",
                "delivery": "1",
                "webhook": "wh-1",
            },
            length=lambda: town.writer.tail.length,
            app=town.app,
        )


@contextmanager
def _open_other(name: str, folder: Path) -> Iterator[Room]:
    with open_towns(folder, "aberdare", "barry") as network:
        town = network["aberdare"]
        door = httpx.Client(transport=town.door, base_url="http://aberdare.example")
        node = network["barry"].node_headers(to="aberdare")["Authorization"].removeprefix("Bearer ")
        yield Room(
            name=name,
            http=town.http if name == "directory" else door,
            tokens={"federation": node, "other": town.directory.token(*ALL)},
            bound={
                "account": town.accounts["alys"],
                "sender_node": "aberdare",
                "generation": "g1",
                "to": "barry",
                "peer": "barry",
                "version": "latest",
                "digest": "0" * 64,
            },
            length=lambda: town.ledger.writer.tail.length,
            app=town.directory.app if name == "directory" else town.federation.app,
        )
