"""Another log key, in two steps, while the log grows: checkpoints are signed with one key at any moment.

    step 1    the next key is made ──▶ request: both          the operators publish; checkpoints still bear the old one
    step 2    the next key takes over ──▶ request: it alone    restart first, then the operators publish

Between the steps a registry names both, so that whoever reads a checkpoint finds its key. Who was told the verifier key
apart (auditors, mirrors) is told the new one: `timebank keys show`.
Source: design page 2, "What signs what"; PROTOCOL.md R8.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_kit.files import atomic_write, read_secret, write_secret
from timebank_node.commands_life import registered
from timebank_node.home import SEED_BYTES, Home, open_home
from timebank_node.requests import Request, sign_request

NEXT_LOG_KEY: Final = "keys/log-next.key"


def rotate_log_key(
    out: Console, folder: Path, file: Path, *, random: Callable[[int], bytes] = secrets.token_bytes
) -> None:
    """Take the next step to another log key, and write what to ask the operators for. Cut off, it is run again.

    Raises:
        Malformed: no registry names this node, or not its log key.
    """
    home = open_home(folder)
    named = registered(home).log_keys
    following = folder / NEXT_LOG_KEY
    own = b64_encode(home.key("log").public)
    if own not in named:
        raise Malformed("The registry in force does not name this node's log key; the operators must register it.")
    if not following.exists() and len(named) > 1:
        # The step before was done, and its request is written anew.
        _ask_for_one(out, home, file)
        return
    if not following.exists():
        write_secret(following, random(SEED_BYTES))
    taking_over = b64_encode(SigningKey(read_secret(following)).public)
    if taking_over in named:
        # In this order: `node.json` names both, so that the home opens wherever this is cut off.
        following.replace(folder / "keys" / "log.key")
        _ask_for_one(out, home, file)
        return
    home.describe_log_keys([own, taking_over])
    _ask(out, home, file, [own, taking_over])
    out.print("Once a registry names both, run this again. Until then checkpoints are signed as before.")


def _ask_for_one(out: Console, home: Home, file: Path) -> None:
    home.describe_log_keys([b64_encode(home.key("log").public)])
    _ask(out, home, file, [b64_encode(home.key("log").public)])
    out.print("Restart the ledger first: the new key signs from then on. Its verifier key, for auditors and mirrors:")
    out.print(home.vkey)


def _ask(out: Console, home: Home, file: Path, log_keys: list[str]) -> None:
    identity = home.identity
    request = Request(network=identity.network, node=identity.node, kind="rotate", log_keys=log_keys)
    atomic_write(file, sign_request(request, home.event_keys))
    out.print(f"Give {file} to the network's operators: timebank network propose … --request {file.name}")
