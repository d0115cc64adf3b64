"""Commands about a node's life in its network: it asks to join or leave, changes its event key, gives up a stolen one.

    rotate-key ──▶ request: old and new ── registry with both ──▶ signs with the new one
               ──▶ (again) request: new  ── registry without the old ──▶ the old one is dropped
    retire-key ──▶ the old key is dropped now; request: new ── registry with it ──▶ signs again
The node never changes the registry: it writes a file for the operators (`requests.py`).
Source: design page 2, "What signs what"; PROTOCOL.md R8.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rich.console import Console

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.names import inbox_topic
from timebank_contracts.registry import RegisteredNode
from timebank_federation.registries import Registries
from timebank_kit.files import atomic_write
from timebank_node.home import Home, open_home, read_description
from timebank_node.requests import Request, sign_request

RESTART = "Restart this node's services, so that they read its keys."


def join(out: Console, folder: Path, file: Path) -> None:
    """Write the request to join: name, public keys, URL, topic."""
    home = open_home(folder)
    identity = home.identity
    request = Request(
        network=identity.network,
        node=identity.node,
        kind="join",
        described=read_description(folder / "node.json")[1],
        topic=inbox_topic(identity.network, identity.node),
    )
    _write(out, file, request, [home.event_keys[0]])
    out.print("Ask them by another way for the hash of the network's first registry; accept it, then the later ones.")


def leave(out: Console, folder: Path, file: Path) -> None:
    """Write the request to be closed for ever; what is open with peers is decided or returned first."""
    home = open_home(folder)
    registered(home)
    request = Request(network=home.identity.network, node=home.identity.node, kind="leave")
    _write(out, file, request, home.event_keys)
    out.print("Serve on until the registry that closes this node is in force, and nothing is open with any peer.")


def rotate_key(out: Console, folder: Path, file: Path, *, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
    """Take the next step of a rotation: a second event key, or, when both are in force, the end of the first."""
    home = open_home(folder)
    named = registered(home)
    home.settle_keys(Registries(home.registry_folder).latest)
    described = [b64_encode(key.public) for key in home.event_keys]
    if len(described) == 2 and set(described) <= set(named.event_keys):
        _ask(out, home, file, "rotate", [described[1]], [home.event_keys[1]])
        out.print("Both keys are in force; the old one is dropped with the registry that names it no more.")
        return
    if described[0] not in named.event_keys:
        raise Malformed("The registry in force does not name this node's event key; ask with: timebank node retire-key")
    home.next_event_key(random)
    keys = home.event_keys
    _ask(out, home, file, "rotate", [b64_encode(key.public) for key in keys], keys)
    out.print(f"{RESTART} Once a registry names both keys, the node signs with the new one; then run this again.")


def retire_key(out: Console, folder: Path, file: Path, *, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
    """Drop a stolen event key now; nothing is signed before a registry names the new one."""
    home = open_home(folder)
    named = registered(home)
    if b64_encode(home.event_keys[0].public) in named.event_keys:
        home.next_event_key(random)
        home.drop_event_key(is_registered=True)
        home = open_home(folder)
    keys = home.event_keys[:1]
    _ask(out, home, file, "retire", [b64_encode(key.public) for key in keys], keys)
    out.print(f"The old key is gone from {folder}. {RESTART}")
    out.print("Call the operators: until their registry names the new key only, whoever stole the old one is believed.")


def registered(home: Home) -> RegisteredNode:
    """What the registry in force says of this node; raises `Malformed` when it names it not."""
    latest = Registries(home.registry_folder).latest
    named = None if latest is None else latest.find(home.identity.node)
    if named is None:
        raise Malformed("This node holds no registry that names it; join first: timebank node join")
    return named


def _ask(
    out: Console,
    home: Home,
    file: Path,
    kind: Literal["rotate", "retire"],
    event_keys: list[str],
    signed_by: list[SigningKey],
) -> None:
    identity = home.identity
    request = Request(network=identity.network, node=identity.node, kind=kind, event_keys=event_keys)
    _write(out, file, request, signed_by)


def _write(out: Console, file: Path, request: Request, keys: list[SigningKey]) -> None:
    atomic_write(file, sign_request(request, keys))
    out.print(f"Give {file} to the network's operators: timebank network propose … --request {file.name}")
