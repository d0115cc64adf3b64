"""The directory, wired: the only place where its parts meet.

Reading order of the room: `people.py` (the erasable table), `clients.py`, `assertions.py`, `rooms.py` (whom it calls),
`edge.py`, `api.py`, `api_tokens.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI

from timebank_contracts.keys import SigningKey
from timebank_contracts.names import Identity
from timebank_contracts.registry import Registry
from timebank_contracts.tokens import TOKEN_SECONDS_MAX, TokenKey, audience
from timebank_directory.api import make_app
from timebank_directory.assertions import Assertions
from timebank_directory.attempts import Attempts
from timebank_directory.clients import Clients
from timebank_directory.edge import Directory
from timebank_directory.metrics import directory_metrics
from timebank_directory.people import People
from timebank_directory.rooms import LedgerDoor, PeerDirectories
from timebank_directory.used_keys import UsedKeys
from timebank_kit.clock import Clock
from timebank_kit.oidc import OutsideIssuer


@dataclass(frozen=True, kw_only=True)
class OpenDirectory:
    """The running parts."""

    directory: Directory
    app: FastAPI

    def token(self, *scopes: str, subject: str = "operator", accounts: frozenset[str] | None = None) -> str:
        """A token of 15 minutes in the directory's name, for the node's own rooms and commands."""
        own = self.directory
        return own.token_key.issue(
            issuer=own.issuer.name,
            subject=subject,
            audience=audience(own.identity.network, own.identity.node),
            scopes=frozenset(scopes),
            accounts=accounts,
            now_seconds=int(own.clock.now().timestamp()),
            seconds=TOKEN_SECONDS_MAX,
        )

    def close(self) -> None:
        """Release the databases."""
        self.directory.people.close()
        self.directory.clients.close()
        self.directory.used_keys.close()


def open_directory(
    *,
    identity: Identity,
    token_seed: bytes,
    database: str,
    ledger_http: httpx.Client,
    peer_http: httpx.Client,
    node_token: Callable[[str], str],
    registry: Callable[[], Registry | None],
    clock: Clock,
    new_id: Callable[[], str],
    erasures: Path | None = None,
    addresses: Collection[str] = (),
    outside: OutsideIssuer | None = None,
) -> OpenDirectory:
    """Wire one town's directory.

    Args:
        identity: this node.
        token_seed: seed of the key that signs tokens.
        database: SQLAlchemy URL of the erasable tables.
        ledger_http: a client whose base URL is the town's ledger.
        peer_http: a client for peers' URLs.
        node_token: makes a node token: audience → text.
        registry: the registry in force.
        clock: for tokens.
        new_id: makes an opaque id of 20 characters.
        erasures: file of the erased accounts, kept apart from the database.
        addresses: URLs under which clients know this town, beside `<network>/<node>`.
        outside: an issuer that the town believes beside this directory.
    """
    key = SigningKey(token_seed)
    people = People(database, identity.node, erasures=erasures)
    people.apply_erasures()
    own = TokenKey(token_seed, key.public)

    def operate() -> str:
        return own.issue(
            issuer=f"{identity.node}/directory",
            subject="directory",
            audience=audience(identity.network, identity.node),
            scopes=frozenset({"operate"}),
            accounts=None,
            now_seconds=int(clock.now().timestamp()),
            seconds=TOKEN_SECONDS_MAX,
        )

    clients = Clients(database, identity.node)
    attempts = Attempts()
    directory = Directory(
        identity=identity,
        people=people,
        clients=clients,
        assertions=Assertions(clients, identity.node, _audiences(identity, addresses)),
        ledger=LedgerDoor(ledger_http, operate),
        peers=PeerDirectories(peer_http, node_token, registry),
        registry=registry,
        token_key=own,
        token_public=key.public,
        clock=clock,
        new_id=new_id,
        metrics=directory_metrics(lambda: people.page(after="", limit=1), attempts),
        attempts=attempts,
        outside=outside,
        used_keys=UsedKeys(database, identity.node),
    )
    return OpenDirectory(directory=directory, app=make_app(directory))


def _audiences(identity: Identity, addresses: Collection[str]) -> set[str]:
    """What a client may name as this town: its name, its addresses, and the token route at them."""
    bare = [address.rstrip("/") for address in addresses]
    return {audience(identity.network, identity.node), *bare, *(f"{address}/v1/token" for address in bare)}
