"""Commands of recovery: follow another node's log into a mirror, restore a node's journal from one."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from timebank_contracts.errors import Malformed
from timebank_contracts.note import parse_vkey
from timebank_kit.files import read_secret
from timebank_kit.journal import open_journal
from timebank_kit.logs import log_to_stderr
from timebank_kit.settings import read_settings
from timebank_ledger.head import HeadFile
from timebank_ledger.settings import Settings
from timebank_node.commands_node import own_variables
from timebank_node.compose import environment
from timebank_node.home import open_home
from timebank_node.mirror import Mirror
from timebank_node.mirror_door import WAIT_SECONDS, LogAway, LogDoor
from timebank_node.restore import restore_journal

HTTP_SECONDS: Final = WAIT_SECONDS + 10.0
PAUSE_SECONDS_FIRST: Final = 1.0
PAUSE_SECONDS_MAX: Final = 60.0
_log = logging.getLogger(__name__)


def follow_log(
    out: Console,
    folder: Path,
    *,
    url: str,
    directory: str | None,
    vkey: str | None,
    client: str,
    secret_file: Path,
    follow: bool,
) -> None:
    """Bring a mirror up to date, once or until a signal comes.

    Args:
        folder: the mirror's.
        url: of the node, or of its ledger.
        directory: address of its directory, where it has another.
        vkey: the log's verifier key; needed once.
        client: id of a client of that town with the scope audit:read.
        secret_file: its secret, readable by nobody else.
        follow: go on when everything is mirrored.

    Raises:
        LogContradicts, Malformed, JournalTrouble, UnsafeFile: the text says what to do.
        LogAway: the node does not answer, and `follow` is false.
    """
    mirror = Mirror(folder, None if vkey is None else parse_vkey(vkey))
    form = {"grant_type": "client_credentials", "client_id": client, "scope": "audit:read"}

    def asked() -> dict[str, str]:
        return form | {"client_secret": read_secret(secret_file).decode("ascii").strip()}

    try:
        with httpx.Client(base_url=url, timeout=HTTP_SECONDS) as http:
            door = LogDoor(http, form=asked, directory=directory)
            if follow:
                log_to_stderr()
                _follow(mirror, door, _until_a_signal())
            else:
                mirror.advance(door)
        out.print(f"{mirror.tree.size} entries of {mirror.vkey.name} in {folder}")
    finally:
        mirror.close()


def _until_a_signal() -> threading.Event:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended


def _follow(mirror: Mirror, door: LogDoor, ended: threading.Event) -> None:
    pause = PAUSE_SECONDS_FIRST
    while not ended.is_set():
        try:
            count = mirror.advance(door)
            if not count:
                # The next entry is not kept before a checkpoint covers it: this only waits until there is one.
                door.entries(mirror.tree.size, 1, wait_seconds=WAIT_SECONDS)
        except LogAway as away:
            _log.warning("the mirrored node is away", extra={"reason": str(away), "pause": pause})
            ended.wait(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
        else:
            if count:
                _log.info("mirrored", extra={"entries": count, "size": mirror.tree.size})
            pause = PAUSE_SECONDS_FIRST
            # A checkpoint is signed at most once a second.
            ended.wait(PAUSE_SECONDS_FIRST)


def restore_node(out: Console, folder: Path, *, mirror_folder: Path) -> None:
    """Give a stopped node its journal back from a mirror, and say what to do next.

    Raises:
        Malformed, JournalTrouble, UnsafeFile: nothing may be served; the text says why.
    """
    home = open_home(folder)
    settings = read_settings(Settings, environment(home, own_variables()))
    if settings.journal_url == "memory:":
        raise Malformed("TIMEBANK_LEDGER_JOURNAL_URL names no store that lasts; nothing can be restored into it.")
    mirror = Mirror(mirror_folder)
    try:
        journal = open_journal(settings.journal_url, f"{settings.network}/{settings.node}")
        try:
            size = restore_journal(home, mirror, journal, HeadFile(settings.head_file))
        finally:
            journal.close()
    finally:
        mirror.close()
    out.print(f"Restored {size} entries of {home.identity.origin}: all that were published, byte for byte.")
    out.print(
        f"Start the node; it goes on as {home.identity.generation}. What it accepted and never published is lost."
    )
