"""The words of `timebank quarantine`; `commands_quarantine.py` does it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, help="Segments that had no effect: list, show, hand in again.")
out = Console(highlight=False, soft_wrap=True, markup=False)
SECONDS = 30.0

Home = Annotated[Path, typer.Argument(help="The node's home.", file_okay=False, exists=True)]
Start = Annotated[str, typer.Argument(help="The first digits of its hash, as `list` prints them.")]
Folder = Annotated[Path | None, typer.Option(help="The quarantine's folder; none: in the home.", file_okay=False)]


@app.command("list")
def quarantine_list(home: Home, folder: Folder = None) -> None:
    """Print what is in quarantine: since when, whose, why, how large."""
    from timebank_node.commands_quarantine import list_quarantine  # noqa: PLC0415 - a room loads when its command runs

    list_quarantine(out, folder or home / "quarantine")


@app.command("show")
def quarantine_show(home: Home, start: Start, folder: Folder = None) -> None:
    """Print what one segment says of itself; never its messages."""
    from timebank_node.commands_quarantine import show_quarantined  # noqa: PLC0415

    show_quarantined(out, folder or home / "quarantine", start)


@app.command("retry")
def quarantine_retry(
    home: Home,
    start: Start,
    folder: Folder = None,
    url: Annotated[str | None, typer.Option(help="Where the ledger serves; none: as its node.json says.")] = None,
) -> None:
    """Hand one segment to the running node again, after what was wrong was mended; exit status 1: no effect again."""
    import httpx  # noqa: PLC0415

    from timebank_kit.clock import SystemClock  # noqa: PLC0415
    from timebank_node.commands_quarantine import node_token_of, retry_quarantined  # noqa: PLC0415
    from timebank_node.home import open_home  # noqa: PLC0415
    from timebank_node.operator_door import NodeAway, OperatorDoor  # noqa: PLC0415

    opened = open_home(home)
    with httpx.Client(timeout=SECONDS) as http:
        token = node_token_of(opened, SystemClock())
        door = OperatorDoor(http, url=url or opened.described.url, token=token, node=opened.identity.node)
        try:
            had_effect = retry_quarantined(out, folder or home / "quarantine", start, door)
        except NodeAway as away:
            # Only the writer judges a segment; `list` and `show` read files.
            raise NodeAway(
                f"{away} Start the node, then retry: list and show work without it, retry does not."
            ) from away
        if not had_effect:
            raise typer.Exit(1)
