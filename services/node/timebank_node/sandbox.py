"""The sandbox: a town on your own machine, to build against; its hours are worth nothing. The whole flow is told here.

    hold the folder ─▶ (new: homes, people, clients) ─▶ open two towns ─▶ serve them on loopback ─▶ say what to use

Source: issue 4, 9; `docs/partners.md` is the quick start that uses it.
"""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from timebank_contracts.errors import Malformed
from timebank_kit.web import RunningServer
from timebank_node.compose import Town
from timebank_node.sandbox_folder import (
    NEIGHBOUR,
    NETWORK,
    PARTNER,
    PARTNER_SHELL,
    TOWN,
    clear,
    delete,
    hold,
    read_partner,
    write_partner,
)
from timebank_node.sandbox_towns import NEIGHBOURS, NOT_GRANTED, Client, Populated, make_homes, open_towns, populate

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


def run_sandbox(out: Console, folder: Path, *, host: str, port: int, reset: bool) -> None:
    """Serve a sandbox until a signal comes; see `timebank sandbox --help`.

    Args:
        out: where it says what to use.
        folder: its data; made when it is missing or empty.
        host: a loopback address.
        port: of the town; the neighbour gets the next one; 0: free ones.
        reset: begin anew.

    Raises:
        Malformed: an option or folder cannot be used; the text says what to do.
        OSError: the port cannot be bound.
    """
    if host not in LOOPBACK:
        raise Malformed(f"A sandbox serves on this machine alone: {', '.join(LOOPBACK[:2])}.")
    if reset:
        delete(folder)
    # From here on Ctrl-C ends it in good order, also while it is still being made.
    ended = threading.Event()
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, lambda *_: ended.set())
    with ExitStack() as stack:
        stack.enter_context(hold(folder))
        partner = read_partner(folder)
        if partner is None:
            # A making that was cut off left nothing of value.
            clear(folder)
            make_homes(folder)
        towns = stack.enter_context(open_towns(folder, url=_url(host, port) if port else None))
        urls = {}
        for number, name in enumerate((TOWN, NEIGHBOUR)):
            server = RunningServer(towns[name].app, host=host, port=port + number if port else 0)
            stack.callback(server.stop)
            urls[name] = server.url
        if partner is None:
            partner = _said(populate(towns))
        partner = _place(partner, urls)
        write_partner(folder, partner, _shell(partner))
        _start(towns)
        _show(out, folder, partner)
        while not ended.wait(timeout=1.0):
            pass
    out.print("Stopped. Its data is kept.")


def reset_sandbox(out: Console, folder: Path) -> None:
    """Delete a sandbox that does not run; raises `Malformed`."""
    out.print(f"Deleted the sandbox in {folder}." if delete(folder) else f"There is no sandbox in {folder}.")


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _start(towns: dict[str, Town]) -> None:
    for town in towns.values():
        town.start()


def _said(made: Populated) -> dict[str, Any]:
    """What is kept of those who were made."""
    return {
        "network": NETWORK,
        "node": TOWN,
        **_client(made.partner),
        "accounts": made.accounts,
        "office": _client(made.office),
    }


def _client(client: Client) -> dict[str, Any]:
    return {"client_id": client.client_id, "client_secret": client.client_secret, "scopes": list(client.scopes)}


def _place(partner: dict[str, Any], urls: dict[str, str]) -> dict[str, Any]:
    """The same with the addresses of this run."""
    return partner | {"url": urls[TOWN], "neighbour": {"node": NEIGHBOUR, "url": urls[NEIGHBOUR]}}


def _shell(partner: dict[str, Any]) -> str:
    """Lines for a shell: `. sandbox/partner.env`."""
    values = {
        "TOWN": partner["url"],
        "NEIGHBOUR": partner["neighbour"]["url"],
        "CLIENT_ID": partner["client_id"],
        "CLIENT_SECRET": partner["client_secret"],
        "OFFICE_SECRET": partner["office"]["client_secret"],
    }
    values |= {handle.upper().replace("-", "_"): said["account"] for handle, said in partner["accounts"].items()}
    return "".join(f"export {name}={value}\n" for name, value in values.items())


def _show(out: Console, folder: Path, partner: dict[str, Any]) -> None:
    url, neighbour = partner["url"], partner["neighbour"]
    out.print("[bold]A timebank sandbox.[/bold] Nobody in it is real, and its hours are worth nothing.\n")
    facts = {
        "town": f"{url}   ({TOWN}; its API: {url}/openapi.json)",
        "neighbour": f"{neighbour['url']}   ({NEIGHBOUR}, where {', '.join(NEIGHBOURS)} lives)",
        "client_id": partner["client_id"],
        "client_secret": partner["client_secret"],
        "scopes": " ".join(partner["scopes"]),
    }
    for name, fact in facts.items():
        out.print(f"  {name:14}{fact}")
    out.print("\nAccounts that this client was granted:")
    for handle, said in partner["accounts"].items():
        out.print(f"  {handle:14}{said['account']}   {said['kind']}")
    out.print(f"  {NOT_GRANTED} lives here too and was not granted: pay them by handle.\n")
    out.print("Webhooks may be sent to this machine: http://127.0.0.1:PORT/PATH.")
    out.print(f"The same for a shell:  . {folder / PARTNER_SHELL}   and for a program: {folder / PARTNER}")
    out.print("Ten minutes with it: docs/partners.md. Ctrl-C stops it and keeps its data; --reset begins anew.")
