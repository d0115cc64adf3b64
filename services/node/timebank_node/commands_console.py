"""The console as a process of its own: it holds no key of the town, only a client's secret and `node.json`."""

from __future__ import annotations

from pathlib import Path

import httpx
from rich.console import Console

from timebank_console.app import make_app
from timebank_console.client_token import ClientToken
from timebank_console.settings import ConsoleSettings
from timebank_contracts.errors import Malformed
from timebank_contracts.names import Identity
from timebank_kit.logs import log_to_stderr
from timebank_kit.settings import read_settings
from timebank_node.commands_node import LOOPBACK, serve, surroundings
from timebank_node.compose import HTTP_SECONDS
from timebank_node.home import read_description


def serve_console(out: Console, description: Path, *, host: str, port: int) -> None:
    """Serve the town's page until a signal comes.

    Args:
        out: for a person.
        description: the town's `node.json`, which is public.
        host: address to serve on.
        port: 0 for a free one.

    Raises:
        Malformed: others than this machine could open the page, and nobody says that they signed in.
    """
    around = surroundings()
    settings = read_settings(ConsoleSettings, around.environ)
    if host not in LOOPBACK and not settings.sign_in_before:
        raise Malformed(
            "The town page has no sign-in yet: serve it on 127.0.0.1, or set TIMEBANK_CONSOLE_SIGN_IN_BEFORE=true "
            "where only a proxy that asks people to sign in can reach it."
        )
    network, described = read_description(description)
    identity = Identity(network, described.node, described.generation)
    log_to_stderr()
    with (
        httpx.Client(base_url=settings.ledger_url, timeout=HTTP_SECONDS) as ledger,
        httpx.Client(base_url=settings.directory_url, timeout=HTTP_SECONDS) as directory,
    ):
        token = ClientToken(
            directory,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            monotonic=around.clock.monotonic,
        )
        app = make_app(identity, ledger, token, title=described.node.capitalize())
        serve(out, app, host=host, port=port, what=f"{identity.origin} console")
