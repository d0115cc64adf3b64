"""The sandbox's two towns in this process, and who lives there. Everybody in them is invented.

hafod      the partner's town: four members, an organisation, its programme, a pot, two clients
glanmor    its neighbour, with one member, so that hours can be sent to another town
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from timebank_contracts.keys import SigningKey
from timebank_contracts.names import Identity
from timebank_federation.broker import EmbeddedBroker
from timebank_federation.registries import Registries
from timebank_kit.clock import SystemClock
from timebank_kit.web import AsgiBridge
from timebank_node.compose import Surroundings, Town, open_town
from timebank_node.demo_towns import ByAddress
from timebank_node.home import Home, make_home, open_home
from timebank_node.network import first_registry
from timebank_node.sandbox_folder import NEIGHBOUR, NETWORK, TOWN

PORT: Final = 80
"""Of the addresses in the registry, which lead nowhere but through this process."""
MEMBERS: Final = ("mair", "gwyn", "nia", "emlyn")
NOT_GRANTED: Final = "emlyn"
"""A member of whom the partner knows the handle alone."""
ORGANISATION: Final = "tai-hafod"
PROGRAMME: Final = "garden-days"
NEIGHBOURS: Final = ("bryn",)
PROGRAMME_FLOOR: Final = -1_200
"""Minutes that the programme may pay out beyond what it takes in."""
PARTNER_CLIENT: Final = "housing"
OFFICE_CLIENT: Final = "office"
PARTNER_SCOPES: Final = ("accounts:read", "claims:write", "reports:read", "statements:read", "transfers:write")
OFFICE_SCOPES: Final = ("audit:read", "operate", *PARTNER_SCOPES)


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client that was made, with its secret."""

    client_id: str
    client_secret: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Populated:
    """What was made: accounts by handle, and the two clients."""

    accounts: dict[str, dict[str, str]]
    """Handle → account and kind; those that the partner was granted."""
    partner: Client
    office: Client


def make_homes(folder: Path) -> None:
    """Make both homes and the registry that names them; the operator's key is thrown away."""
    homes = [
        make_home(
            folder / name,
            Identity(NETWORK, name, "g1"),
            url=f"http://{name}.{NETWORK}:{PORT}",
            random=secrets.token_bytes,
        )
        for name in (TOWN, NEIGHBOUR)
    ]
    operator = SigningKey(secrets.token_bytes(32))
    registry = first_registry(NETWORK, [home.described for home in homes], operators=[operator], k=1)
    for home in homes:
        Registries(home.registry_folder).add(registry)


@contextmanager
def open_towns(folder: Path, *, url: str | None = None) -> Iterator[dict[str, Town]]:
    """Open both towns; their threads do not run yet. Nothing comes from the environment or leaves the machine.

    Args:
        folder: holds their homes.
        url: where the partner reaches the town, if that is known before it is served.
    """
    by_address = ByAddress()
    broker = EmbeddedBroker()
    towns: dict[str, Town] = {}
    try:
        for name in (TOWN, NEIGHBOUR):
            home = open_home(folder / name)
            # A partner's receiver of webhooks runs on this machine too.
            environ = {"TIMEBANK_LEDGER_WEBHOOK_ALLOW_LOOPBACK": "true"}
            if url and name == TOWN:
                # A client that signs with a key names the town as it sees it.
                environ["TIMEBANK_DIRECTORY_URL"] = url
            towns[name] = town = open_town(
                home, _surroundings(by_address, broker, environ), title=f"{name.capitalize()}, a sandbox"
            )
            by_address.bridges[_address(home)] = AsgiBridge(town.app)
        yield towns
    finally:
        for town in towns.values():
            town.close()
        for bridge in by_address.bridges.values():
            bridge.close()


def _address(home: Home) -> str:
    url = httpx.URL(home.described.url)
    return f"{url.host}:{url.port}"


def _surroundings(by_address: ByAddress, broker: EmbeddedBroker, environ: dict[str, str]) -> Surroundings:
    return Surroundings(
        clock=SystemClock(),
        random=secrets.token_bytes,
        environ=environ,
        peer_http=httpx.Client(transport=by_address),
        broker=broker,
    )


def populate(towns: dict[str, Town]) -> Populated:
    """Enrol everybody and make the clients, in towns that are new."""
    accounts: dict[str, dict[str, str]] = {}
    with _asking(towns[TOWN]) as ask:
        for handle in MEMBERS:
            accounts[handle] = {"account": _enrol(ask, "members", handle), "kind": "member"}
        organisation = _enrol(ask, "organisations", ORGANISATION)
        accounts[ORGANISATION] = {"account": organisation, "kind": "organisation"}
        programme = f"p-{towns[TOWN].directory.directory.new_id()}"
        body = {"account": programme, "kind": "programme", "owner": organisation, "floor": PROGRAMME_FLOOR}
        ask("/v1/accounts", body, key=f"open/{programme}")
        accounts[PROGRAMME] = {"account": programme, "kind": "programme"}
    with _asking(towns[NEIGHBOUR]) as ask:
        for handle in NEIGHBOURS:
            _enrol(ask, "members", handle)
    del accounts[NOT_GRANTED]
    granted = [said["account"] for said in accounts.values()]
    return Populated(
        accounts=accounts,
        partner=_add_client(towns[TOWN], PARTNER_CLIENT, PARTNER_SCOPES, accounts=granted),
        office=_add_client(towns[TOWN], OFFICE_CLIENT, OFFICE_SCOPES, accounts=None),
    )


@contextmanager
def _asking(town: Town) -> Iterator[Any]:
    """The way in which a town is asked as by its operator: (path, body, key) → answer."""
    token = town.directory.token("operate", subject="sandbox")
    with httpx.Client(transport=AsgiBridge(town.app), base_url="http://sandbox", timeout=60.0) as http:

        def ask(path: str, body: dict[str, Any], *, key: str) -> dict[str, Any]:
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
            answer = http.post(path, json=body, headers=headers)
            answer.raise_for_status()
            said: dict[str, Any] = answer.json()
            return said

        yield ask


def _enrol(ask: Any, what: str, handle: str) -> str:
    body = {"handle": handle, "name": handle.capitalize(), "payable_from_other_towns": True}
    account: str = ask(f"/v1/{what}", body, key=f"enrol/{handle}")["account"]
    return account


def _add_client(town: Town, client: str, scopes: tuple[str, ...], *, accounts: list[str] | None) -> Client:
    secret = secrets.token_urlsafe(32)
    town.directory.directory.clients.add(
        client, scopes=list(scopes), accounts=accounts, secret=secret, salt=secrets.token_bytes(16)
    )
    return Client(client_id=client, client_secret=secret, scopes=scopes)
