"""`timebank audit collect`: an auditor's own copy of a town's log, from its node or from files, brought up to date."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from timebank_audit.collect import Collected
from timebank_audit.collect import collect as take
from timebank_audit.doors import FilesDoor, LogDoor, NodeDoor
from timebank_audit.edge import Policy, Vkeys, ended_by_exit_code, trust_of
from timebank_audit.files import TownFiles, find_towns
from timebank_audit.policy import read_small
from timebank_audit.stores import show_path
from timebank_audit.trust import VKEY_BYTES_MAX, Trust
from timebank_contracts.checkpoint import parse_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.names import parse_origin
from timebank_contracts.note import VerifierKey, open_note, parse_vkey

SECRET_BYTES_MAX = 65_536


def collect(
    source: Annotated[str, typer.Argument(help="A node's https address; or a directory or bundle.")],
    into: Annotated[Path, typer.Option("--into", help="Where towns are kept, each in a folder of its name.")],
    client: Annotated[str | None, typer.Option(help="A client of that town with the scope audit:read.")] = None,
    secret_file: Annotated[Path | None, typer.Option(help="Its secret, readable by nobody else.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="A token, in place of a client.")] = None,
    directory: Annotated[str | None, typer.Option(help="The directory's address, where it has another.")] = None,
    cosigned: Annotated[bool, typer.Option("--cosigned", help="Up to what most witnesses cosigned.")] = False,
    vkey: Vkeys = None,
    policy: Policy = None,
) -> None:
    """Take what is new of a town's log; nothing is kept that does not lead to the root that its key signed.

    Example: timebank audit collect https://aberdare.example --into mine --client auditor --secret-file s --vkey KEY
    """
    with ended_by_exit_code():
        trust = trust_of(vkey or [], policy)
        if source.startswith(("http://", "https://")):
            _collect(
                _node(source, directory, client, secret_file, token_file), into, trust, own=None, only_cosigned=cosigned
            )
        else:
            given, _ = find_towns([Path(source)])
            for files in given:
                _collect(FilesDoor(files), into, trust, own=files, only_cosigned=cosigned)


def _node(
    url: str, directory: str | None, client: str | None, secret_file: Path | None, token_file: Path | None
) -> NodeDoor:
    if token_file is not None:
        return NodeDoor(url, directory=directory, token=_secret(token_file))
    if client is None or secret_file is None:
        raise Malformed("Entries are read by a client: name --client and --secret-file, or --token-file.")
    form = {"grant_type": "client_credentials", "client_id": client, "scope": "audit:read"}
    form["client_secret"] = _secret(secret_file)
    return NodeDoor(url, directory=directory, form=lambda: form)


def _secret(path: Path) -> str:
    raw = read_small(path, SECRET_BYTES_MAX)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Malformed(f"{show_path(path)} is open to others; run: chmod 600 {show_path(path)}")
    text = raw.decode("ascii", errors="replace").strip()
    if not text.isprintable() or not text.isascii() or not text:
        raise Malformed(f"{show_path(path)} holds no secret of one line.")
    return text


def _collect(door: LogDoor, into: Path, trust: Trust, *, own: TownFiles | None, only_cosigned: bool) -> None:
    origin = parse_checkpoint(open_note(door.checkpoint(), []).text).origin
    identity = parse_origin(origin)
    generation = "" if identity.generation == "g1" else f".{identity.generation}"
    folder = into / f"{identity.node}{generation}"
    key = _key(origin, folder, trust, own)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(identity.node, total=None)
        done = take(
            door,
            folder,
            key,
            only_cosigned=only_cosigned,
            progress=lambda have, size: bar.update(task, completed=have, total=size),
        )
    _say(done, folder)


def _key(origin: str, folder: Path, trust: Trust, own: TownFiles | None) -> VerifierKey:
    """The key given; else the one of the first run; else, of files, their own."""
    found = trust.keys.get(origin)
    kept = TownFiles(folder).peek("vkey", bytes_max=VKEY_BYTES_MAX) if folder.is_dir() else None
    if kept is not None:
        fixed = parse_vkey(kept.decode("ascii", errors="replace"))
        if found is not None and found != fixed:
            raise Malformed(f"{show_path(folder)} was collected under another key: {fixed.text}.")
        return fixed
    if found is None and own is not None:
        found = trust.key_for(origin, own)
    if found is None:
        raise Malformed(f"Give the log key of {origin}, obtained elsewhere: --vkey or --policy.")
    return found


def _say(done: Collected, folder: Path) -> None:
    before = 0 if done.before is None else done.before.size
    typer.echo(f"{done.now.origin}: {before} entries before, {done.now.size} now, {done.bundles} bundles taken")
    for version in done.missing:
        typer.echo(f"  registry version {version} is not given there; `verify` will say NOT PROVEN (A22)")
    typer.echo(f"  in {show_path(folder)}")
