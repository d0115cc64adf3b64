"""Commands of a witness: its key, the registry that it goes by, and serving it where it is no town.

folder/
  keys/witness.key     signs cosignatures and nothing else
  registry/            1.json, 2.json, …
  witnessed/           what was cosigned last of each log, and evidence: never restored from a backup
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec
from rich.console import Console

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.note import COSIGNATURE, VerifierKey
from timebank_contracts.registry import Witness
from timebank_federation.registries import Registries
from timebank_federation.witness_app import open_witness
from timebank_kit.clock import SystemClock
from timebank_kit.files import read_secret, write_secret
from timebank_kit.logs import log_to_stderr
from timebank_node.commands_node import serve
from timebank_node.compose import PEER_SECONDS
from timebank_node.home import SEED_BYTES, WITNESS_KEY, HomeExists


def init_witness(out: Console, folder: Path, *, name: str, url: str) -> None:
    """Make the key and say what to propose. Raises `HomeExists`, `Malformed`."""
    path = folder / WITNESS_KEY
    if path.exists():
        raise HomeExists(f"{folder} has a witness's key already; choose another folder.")
    seed = secrets.token_bytes(SEED_BYTES)
    key = b64_encode(SigningKey(seed).public)
    try:
        msgspec.convert({"name": name, "key": key, "url": url}, type=Witness)
    except msgspec.ValidationError as error:
        raise Malformed(f"A witness cannot be described so: {error}.") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    write_secret(path, seed)
    out.print(f"Made the witness {name} in {folder}")
    out.print(f"The network's operators add it with: --add-witness {name}={key}@{url}")
    out.print(f"Auditors know it by: {VerifierKey(name, SigningKey(seed).public, COSIGNATURE).text}")


def accept_for_witness(out: Console, folder: Path, files: Sequence[Path], *, pinned: str | None) -> None:
    """Verify the next versions of the registry and keep them. Raises `Malformed`."""
    registries = Registries(folder / "registry", pinned=pinned)
    for file in files:
        registry = registries.add(file.read_bytes())
    out.print(f"Accepted registry version {registry.version} of {registry.network}, sha256 {registry.sha256}")


def serve_witness(out: Console, folder: Path, *, host: str, port: int) -> None:
    """Serve a witness until a signal comes. Raises `Malformed`, `UnsafeFile`."""
    if (folder / "node.json").exists():
        raise Malformed(f"{folder} is a node's home: `timebank node serve` serves its witness too.")
    key = SigningKey(read_secret(folder / WITNESS_KEY))
    registries = Registries(folder / "registry")
    if registries.latest is None:
        raise Malformed("The witness has no registry yet: timebank witness accept FOLDER registry.json")
    log_to_stderr()
    with httpx.Client(timeout=PEER_SECONDS, follow_redirects=False) as http:
        opened = open_witness(
            key=key, folder=folder / "witnessed", registries=registries, http=http, clock=SystemClock()
        )
        opened.start()
        try:
            serve(out, opened.app, host=host, port=port, what=opened.witness.name or "A witness that is not named yet")
        finally:
            opened.close()
