"""A town on this machine: its home, the three services with a port each, and what they are told.

What is done here to a home is what `timebank node init`, `network sign`, `node accept` and `client add` do.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from rich.console import Console

from timebank_directory.clients import Clients
from timebank_directory.settings import DirectorySettings
from timebank_kit.files import write_secret
from timebank_kit.settings import read_settings
from timebank_node.commands_keys import new_key, sign_registry
from timebank_node.commands_node import accept_registry, init_node
from timebank_node.compose import environment as settings_of
from timebank_node.home import open_home

SERVICES: Final = ("ledger", "directory", "federation")
"""In the order in which they are started."""
NODE: Final = "node"
"""All of them in one process."""
PAIR_LIMIT_MINUTES: Final = 6_000
CLIENT: Final = "local"
CLIENT_SCOPES: Final = ("accounts:read", "audit:read", "operate", "reports:read", "statements:read", "transfers:write")
HTTP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTown:
    """A town whose services listen on loopback."""

    name: str
    home: Path
    ports: Mapping[str, int]
    """By service."""
    public_url: str | None = None
    """Where peers find it; None: at its federation's port."""

    def url(self, service: str) -> str:
        """The address of a service; peers know that of federation."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def command(self, service: str) -> list[str]:
        """The command line of a service; that of `NODE` serves all of them on one port."""
        timebank = Path(sys.executable).with_name("timebank")
        what = ["node", "serve"] if service == NODE else ["serve", service]
        return [sys.executable, str(timebank), *what, str(self.home), "--port", str(self.ports[service])]

    def environment(self, *, journal: str, kafka: str | None, poll_seconds: float) -> dict[str, str]:
        """The variables that tell the services where the others are.

        Args:
            journal: URL of the database that holds the town's journal.
            kafka: host:port of the broker; None: peers are polled.
            poll_seconds: pause between polls of peers while there is no broker.
        """
        broker = {} if kafka is None else {"TIMEBANK_FEDERATION_KAFKA": kafka}
        return {
            **broker,
            "TIMEBANK_LEDGER_JOURNAL_URL": journal,
            "TIMEBANK_DIRECTORY_LEDGER_URL": self.url("ledger"),
            "TIMEBANK_FEDERATION_LEDGER_URL": self.url("ledger"),
            "TIMEBANK_FEDERATION_DIRECTORY_URL": self.url("directory"),
            "TIMEBANK_FEDERATION_POLL_SECONDS": str(poll_seconds),
        }


def make_network(
    network: str, towns: Sequence[LocalTown], *, folder: Path, pair_limit: int = PAIR_LIMIT_MINUTES
) -> None:
    """Make the towns' homes and a registry that names them, signed by one operator and accepted by each town.

    Args:
        network: its DNS name.
        towns: whose homes are made.
        folder: gets the operator's key and the registry.
        pair_limit: what two towns may owe each other, in minutes.
    """
    quiet = Console(quiet=True)
    for town in towns:
        url = town.public_url or town.url("federation")
        init_node(quiet, town.home, network=network, node=town.name, url=url, limit=pair_limit)
    operator, registry = folder / "operator.key", folder / "registry.json"
    new_key(quiet, operator)
    sign_registry(quiet, [town.home / "node.json" for town in towns], [operator], registry, k=1)
    for town in towns:
        accept_registry(quiet, town.home, [registry], pinned=None)


def add_client(town: LocalTown, file: Path) -> None:
    """Add an API client that may do everything in its town; `file` gets the form that asks for its token, mode 600."""
    home = open_home(town.home)
    secret = secrets.token_urlsafe(32)
    clients = Clients(read_settings(DirectorySettings, settings_of(home, {})).database, town.name)
    try:
        clients.add(CLIENT, scopes=list(CLIENT_SCOPES), accounts=None, secret=secret, salt=secrets.token_bytes(16))
    finally:
        clients.close()
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": secret}
    write_secret(file, urlencode(form).encode("ascii"))


def is_ready(url: str) -> bool:
    """Whether the service at this address says that it is ready."""
    try:
        return httpx.get(f"{url}/readyz", timeout=HTTP_SECONDS).status_code == 200
    except httpx.HTTPError:
        return False


def get_token(town: LocalTown, form: Path) -> str:
    """A token of 15 minutes for the client whose form this is."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = httpx.post(
        f"{town.url('directory')}/v1/token", content=form.read_bytes(), headers=headers, timeout=HTTP_SECONDS
    )
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def enrol(
    town: LocalTown,
    token: str,
    handle: str,
    *,
    name: str,
    payable_from_other_towns: bool,
    floor: int | None = None,
) -> str:
    """Enrol a member; returns their account. `floor` in minutes, 0 or less; None: the town's default."""
    person: dict[str, Any] = {
        "handle": handle,
        "name": name,
        "payable_from_other_towns": payable_from_other_towns,
    } | ({} if floor is None else {"floor": floor})
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"enrol/{handle}"}
    answer = httpx.post(f"{town.url('directory')}/v1/members", json=person, headers=headers, timeout=HTTP_SECONDS)
    answer.raise_for_status()
    return str(answer.json()["account"])
