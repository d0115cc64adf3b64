"""Commands about a node: make it, accept a registry, serve it whole or by service, export its log."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import httpx
from rich.console import Console

from timebank_console.settings import ConsoleSettings
from timebank_contracts.errors import Malformed
from timebank_contracts.names import Identity
from timebank_directory.settings import DirectorySettings
from timebank_federation.registries import Registries
from timebank_federation.settings import FederationSettings
from timebank_kit.clock import SystemClock
from timebank_kit.garbage import spare_what_stands
from timebank_kit.logs import log_to_stderr
from timebank_kit.settings import read_settings, refuse_misspelt_rooms, secrets_from_files
from timebank_kit.web import App, RunningServer
from timebank_ledger.settings import Settings
from timebank_node.compose import (
    HTTP_SECONDS,
    PEER_SECONDS,
    Surroundings,
    compose_directory,
    compose_federation,
    compose_ledger,
    environment,
    open_town,
)
from timebank_node.given_notes import given_notes
from timebank_node.home import Home, make_home, open_home

FIRST_GENERATION = "g1"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ROOMS = (Settings, DirectorySettings, FederationSettings, ConsoleSettings)
"""Whose variables there are."""


def init_node(out: Console, folder: Path, *, network: str, node: str, url: str, limit: int) -> None:
    """Make a home and say what to do next."""
    identity = Identity(network, node, FIRST_GENERATION)
    home = make_home(folder, identity, url=url, limit=limit, random=secrets.token_bytes)
    out.print(f"Made {home.identity.origin} in {folder}")
    out.print(f"Give {folder / 'node.json'} to the network's operators; keep {folder / 'keys'} secret and backed up.")
    out.print(f"Auditors verify its log with: {home.vkey}")


def accept_registry(out: Console, folder: Path, files: Sequence[Path], *, pinned: str | None) -> None:
    """Verify the next versions and keep them; a running node finds them and hands them to its ledger.

    A town that joined later keeps the versions before it too; the last one must name it.
    """
    home = open_home(folder)
    registries = Registries(home.registry_folder, pinned=pinned)
    envelopes = [file.read_bytes() for file in files]
    tried = Registries(None, pinned=pinned)
    for envelope in [*registries.envelopes.values(), *envelopes]:
        registry = tried.add(envelope)
    named = registry.find(home.identity.node)
    if registry.network != home.identity.network or named is None:
        raise Malformed(f"The registry does not name {home.identity.origin}; its operators must add it.")
    home.check_keys(named)
    for envelope in envelopes:
        registries.add(envelope)
    out.print(f"Accepted registry version {registry.version} of {registry.network}, sha256 {registry.sha256}")


def own_variables() -> dict[str, str]:
    """This process's environment, secrets read from the files that it names.

    Raises:
        UnknownSetting, SettingRefused, UnsafeFile: a variable that nobody reads, or a secret's file that is not one.
    """
    refuse_misspelt_rooms(os.environ, ROOMS)
    return secrets_from_files(os.environ, ROOMS)


def surroundings() -> Surroundings:
    """The real world: the machine's clock, chance, environment and network. Raises: as `own_variables`."""
    return Surroundings(
        clock=SystemClock(),
        random=secrets.token_bytes,
        environ=own_variables(),
        peer_http=httpx.Client(timeout=PEER_SECONDS, follow_redirects=False),
    )


def serve_node(out: Console, folder: Path, *, host: str, port: int, page: bool = True) -> None:
    """Serve every room in this process until a signal comes."""
    home = open_home(folder)
    if page and host not in LOOPBACK:
        raise Malformed(
            "The town page has no sign-in yet: serve one process on 127.0.0.1, or --without-page, or each service by "
            "itself."
        )
    log_to_stderr()
    town = open_town(home, surroundings(), page=page)
    town.start()
    try:
        serve(out, town.app, host=host, port=port, what=home.identity.origin)
    finally:
        town.close()


def serve_service(out: Console, folder: Path, service: str, *, host: str, port: int) -> None:
    """Serve one service of a node in this process until a signal comes."""
    home = open_home(folder)
    around = surroundings()
    what = f"{home.identity.origin} {service}"
    if service == "ledger":
        log_to_stderr()
        ledger = compose_ledger(home, around)
        try:
            serve(out, ledger.app, host=host, port=port, what=what)
        finally:
            ledger.close()
    elif service == "directory":
        settings = read_settings(DirectorySettings, environment(home, around.environ))
        ledger_http = _room(settings.ledger_url, "TIMEBANK_DIRECTORY_LEDGER_URL")
        log_to_stderr()
        directory = compose_directory(home, around, ledger_http)
        try:
            serve(out, directory.app, host=host, port=port, what=what)
        finally:
            directory.close()
    else:
        _serve_federation(out, home, around, host=host, port=port, what=what)


def _serve_federation(out: Console, home: Home, around: Surroundings, *, host: str, port: int, what: str) -> None:
    settings = read_settings(FederationSettings, environment(home, around.environ))
    ledger_http = _room(settings.ledger_url, "TIMEBANK_FEDERATION_LEDGER_URL")
    directory_http = _room(settings.directory_url, "TIMEBANK_FEDERATION_DIRECTORY_URL")
    log_to_stderr()
    federation = compose_federation(home, around, ledger_http, directory_http)
    # Its threads wait for a ledger that does not answer yet; until then /readyz says so.
    federation.worker.start()
    try:
        serve(out, federation.app, host=host, port=port, what=what)
    finally:
        federation.close()


def _room(url: str | None, variable: str) -> httpx.Client:
    if url is None:
        raise Malformed(f"Set {variable} to the address of that service, such as http://127.0.0.1:8101.")
    return httpx.Client(base_url=url, timeout=HTTP_SECONDS)


def serve(out: Console, app: App, *, host: str, port: int, what: str) -> None:
    """Serve an application until SIGINT or SIGTERM comes, and say where."""
    server = RunningServer(app, host=host, port=port)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    spare_what_stands()
    out.print(f"{what} serves on {server.url}")
    while not ended.wait(timeout=1.0):
        pass
    server.stop()


def export_node(out: Console, folder: Path, directory: Path, *, cosigned: bool = False) -> None:
    """Write a stopped node's log as files, with what witnesses cosigned of it, and what it cosigned of others.

    Args:
        out: gets a sentence.
        folder: the home.
        directory: gets the files.
        cosigned: leave out the entries after the checkpoint that most witnesses cosigned.

    Raises:
        Malformed: none was, or the journal is shorter than it.
    """
    home = open_home(folder)
    around = surroundings()
    ledger = compose_ledger(home, around)
    try:
        registries = Registries(home.registry_folder)
        newest = ledger.writer.checkpoint(fresh=True)
        given = given_notes(home, registries.latest, newest, only_cosigned=cosigned)
        size = ledger.export(
            directory,
            vkey=home.vkey,
            registries=registries.envelopes,
            checkpoint=given.checkpoint,
            notes=given.others,
        )
    finally:
        ledger.close()
    out.print(f"{size} entries of {home.identity.origin} in {directory}")
    out.print(given.words)
