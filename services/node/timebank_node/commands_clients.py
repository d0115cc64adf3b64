"""Commands about clients: add one, give it a new secret or key beside the old one, list them, revoke one.

They write the directory's database, whether the directory runs or not. A secret is printed once and kept nowhere.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from rich.console import Console

from timebank_contracts.errors import Malformed
from timebank_contracts.tokens import TOKEN_SECONDS_MAX
from timebank_directory.clients import SALT_BYTES_MIN, Client, Clients
from timebank_directory.settings import DirectorySettings
from timebank_kit.clock import SystemClock
from timebank_kit.settings import read_settings
from timebank_node.commands_node import own_variables
from timebank_node.compose import environment
from timebank_node.home import open_home

KEY_FILE_BYTES_MAX: Final = 16_384


def add_client(
    out: Console,
    folder: Path,
    client: str,
    *,
    scopes: list[str],
    accounts: list[str] | None,
    key: Path | None = None,
    mandate: str | None = None,
) -> None:
    """Add a client and say what it was given.

    Args:
        scopes: what it may do; none named, none granted.
        accounts: those that it may act for; None: all of the town.
        key: file of its public key, a JWK or PEM; None: it gets a secret, which is printed once.
        mandate: under which it acts for somebody else.
    """
    secret = None if key is not None else secrets.token_urlsafe(32)
    jwk = None if key is None else read_key_file(key)
    with _open(folder) as clients:
        kept = clients.add(
            client,
            scopes=scopes,
            accounts=accounts,
            secret=secret,
            salt=secrets.token_bytes(SALT_BYTES_MIN),
            key=jwk,
            mandate=mandate,
        )
    _say(out, kept, secret)


def rotate_client(out: Console, folder: Path, client: str, *, overlap_days: int, key: Path | None) -> None:
    """Give a client a new secret, or the public key in a file; the old one counts for `overlap_days` (0 to 30) more."""
    secret = None if key is not None else secrets.token_urlsafe(32)
    jwk = None if key is None else read_key_file(key)
    now_seconds = int(SystemClock().now().timestamp())
    with _open(folder) as clients:
        kept = clients.rotate(
            client, now_seconds=now_seconds, overlap_seconds=overlap_days * 86_400, secret=secret, key=jwk
        )
    _say(out, kept, secret)
    what = "key" if secret is None else "secret"
    ends = _moment(now_seconds + overlap_days * 86_400)
    out.print(f"The old {what} counts until {ends}." if overlap_days else f"The old {what} counts no more.")


def list_clients(out: Console, folder: Path) -> None:
    """Print every client: what it may do and how it proves who it is, never a secret."""
    with _open(folder) as clients:
        found = clients.listed()
    for client in found:
        out.print(f"{client.client}  {_proofs(client)}  scopes={_scopes(client)}  accounts={_accounts(client)}")
    if not found:
        out.print("There are no clients; make one with `timebank client add`.")


def revoke_client(out: Console, folder: Path, client: str) -> None:
    """Take every proof from a client, for good."""
    with _open(folder) as clients:
        clients.revoke(client)
    out.print(f"{client} gets no more tokens; those that it has end within {TOKEN_SECONDS_MAX // 60} minutes.")


def read_key_file(path: Path) -> dict[str, Any]:
    """The public JWK in a file: a JWK as JSON, or a public key as PEM (`openssl pkey -pubout`).

    Raises:
        Malformed: neither, or a private key.
    """
    with path.open("rb") as file:
        raw = file.read(KEY_FILE_BYTES_MAX)
    if b"PRIVATE" in raw:
        raise Malformed(f"{path} holds a private key; keep it, and give its public part: openssl pkey -pubout.")
    if not raw.lstrip().startswith(b"-----BEGIN PUBLIC KEY-----"):
        try:
            said = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"{path} is neither a JWK nor a public key as PEM.") from error
        if not isinstance(said, dict):
            raise Malformed(f"{path} is no JWK: a JSON object with kty and the key's own members.")
        return said
    for kind in (OKPKey, ECKey):
        try:
            return dict(kind.import_key(raw).as_dict(private=False))
        except (JoseError, ValueError, TypeError):
            continue
    raise Malformed(f"{path} holds no key of Ed25519 or P-256.")


@contextmanager
def _open(folder: Path) -> Iterator[Clients]:
    home = open_home(folder)
    settings = read_settings(DirectorySettings, environment(home, own_variables()))
    clients = Clients(settings.database, home.identity.node)
    try:
        yield clients
    finally:
        clients.close()


def _say(out: Console, client: Client, secret: str | None) -> None:
    out.print(f"client_id={client.client}")
    if secret is not None:
        out.print(f"client_secret={secret}")
    out.print(f"scopes={_scopes(client)}")
    out.print(f"accounts={_accounts(client)}")
    if client.mandate is not None:
        out.print(f"mandate={client.mandate}")


def _scopes(client: Client) -> str:
    return ",".join(client.scopes) or "(none)"


def _accounts(client: Client) -> str:
    return "*" if client.accounts is None else ",".join(client.accounts) or "(none)"


def _proofs(client: Client) -> str:
    if client.revoked:
        return "revoked"
    said = ["secret"] if client.secret_hash else []
    said += [f"secret until {_moment(one.until_seconds)}" for one in client.former]
    said += ["key" if one.until_seconds is None else f"key until {_moment(one.until_seconds)}" for one in client.keys]
    return ", ".join(said)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
