"""Commands about keys and the first registry."""

from __future__ import annotations

import secrets
from pathlib import Path

from rich.console import Console

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_encode, key_id
from timebank_contracts.registry import open_registry
from timebank_kit.files import read_secret, write_secret
from timebank_node.home import open_home, read_description
from timebank_node.network import first_registry


def new_key(out: Console, file: Path) -> None:
    """Write a fresh seed and print its public key; raises `Malformed` when the file exists."""
    if file.exists():
        raise Malformed(f"{file} exists; a key is never overwritten. Choose another name.")
    write_secret(file, secrets.token_bytes(32))
    show_keys(out, file)


def show_keys(out: Console, path: Path) -> None:
    """Print what is public of a key file or a node's home."""
    if path.is_dir():
        home = open_home(path)
        out.print(f"node   {home.identity.origin}")
        out.print(f"vkey   {home.vkey}")
        keys = {use: home.key(use).public for use in ("event", "log", "token")}
    else:
        keys = {"key": SigningKey(read_secret(path)).public}
    for use, public in keys.items():
        out.print(f"{use:6} {b64_encode(public)}  id {key_id(public)[:16]}")


def sign_registry(out: Console, nodes: list[Path], operators: list[Path], file: Path, *, k: int) -> None:
    """Sign version 1 of the registry of the nodes described in these files."""
    described = [read_description(path) for path in nodes]
    networks = {network for network, _ in described}
    if len(networks) != 1:
        raise Malformed(f"The nodes belong to different networks: {', '.join(sorted(networks))}.")
    keys = [SigningKey(read_secret(path)) for path in operators]
    envelope = first_registry(networks.pop(), [node for _, node in described], operators=keys, k=k)
    file.write_bytes(envelope)
    registry = open_registry(envelope, previous=None)
    out.print(f"Registry version 1 of {registry.network}: {len(registry.nodes)} nodes, in {file}")
    out.print(f"sha256 {registry.sha256}  (tell it to every node's operator by another way)")
