"""The words of `timebank peers` and `timebank network matrix`; `commands_peers.py` does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from timebank_node.cli_network import app as network_app

if TYPE_CHECKING:
    from timebank_node.operator_door import OperatorDoor

app = typer.Typer(no_args_is_help=True, help="A running node's peers: limits, suspension.")
out = Console(highlight=False, soft_wrap=True)
SECONDS = 30.0

Home = Annotated[Path, typer.Argument(help="The node's home.", file_okay=False, exists=True)]
Peer = Annotated[str, typer.Argument(help="The other town.")]
Url = Annotated[str | None, typer.Option(help="Where the node serves; none: as its node.json says.")]
OutFile = Annotated[Path | None, typer.Option("--out", help="A file for the signed document.", dir_okay=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be, and change nothing.")]


@contextmanager
def _door(folder: Path, url: str | None) -> Iterator[OperatorDoor]:
    import httpx  # noqa: PLC0415 - a room loads when its command runs

    from timebank_kit.clock import SystemClock  # noqa: PLC0415
    from timebank_node.operator_door import door_of_home  # noqa: PLC0415

    with httpx.Client(timeout=SECONDS) as http:
        yield door_of_home(folder, http, clock=SystemClock(), url=url)


@app.command("limits")
def peers_limits(folder: Home, url: Url = None) -> None:
    """Print each peer's limits, what is used of them, and which are near."""
    from timebank_node.commands_peers import listed_limits, show_limits  # noqa: PLC0415

    with _door(folder, url) as door:
        show_limits(out, door, listed_limits(door))


@app.command("propose-limit")
def peers_propose_limit(
    folder: Home,
    peer: Peer,
    hours: Annotated[int, typer.Option(help="What either may owe the other.", min=0)],
    out_file: OutFile = None,
    url: Url = None,
) -> None:
    """Propose a limit that counts at both towns once the other's operator has assented."""
    from timebank_node.commands_peers import propose_limit  # noqa: PLC0415

    with _door(folder, url) as door:
        propose_limit(out, door, peer, minutes=hours * 60, file=out_file)


@app.command("assent-limit")
def peers_assent_limit(folder: Home, peer: Peer, out_file: OutFile = None, url: Url = None) -> None:
    """Assent to the limit that a peer proposed."""
    from timebank_node.commands_peers import assent_limit  # noqa: PLC0415

    with _door(folder, url) as door:
        assent_limit(out, door, peer, file=out_file)


@app.command("take-limit")
def peers_take_limit(
    folder: Home,
    peer: Peer,
    file: Annotated[Path, typer.Argument(help="The peer's signed proposal or assent.", exists=True, dir_okay=False)],
    url: Url = None,
) -> None:
    """Hand in a peer's proposal, or its assent, that came as a file."""
    from timebank_node.commands_peers import take_limit  # noqa: PLC0415

    with _door(folder, url) as door:
        take_limit(out, door, peer, file)


@app.command("suspend")
def peers_suspend(folder: Home, peer: Peer, url: Url = None, dry_run: DryRun = False) -> None:
    """Begin nothing new with a peer; its decisions still count."""
    from timebank_node.commands_peers import set_policy  # noqa: PLC0415

    with _door(folder, url) as door:
        set_policy(out, door, peer, dry_run=dry_run, suspended=True)


@app.command("resume")
def peers_resume(folder: Home, peer: Peer, url: Url = None, dry_run: DryRun = False) -> None:
    """End this town's suspension of a peer."""
    from timebank_node.commands_peers import set_policy  # noqa: PLC0415

    with _door(folder, url) as door:
        set_policy(out, door, peer, dry_run=dry_run, suspended=False)


@app.command("thaw")
def peers_thaw(
    folder: Home,
    peer: Peer,
    reason: Annotated[str, typer.Option(help="Why, as a word for the journal: node_mended, evidence_settled, …")],
    url: Url = None,
    dry_run: DryRun = False,
) -> None:
    """Take a peer's messages again after its stream was frozen as evidence; the reason stays in the journal."""
    from timebank_node.commands_peers import thaw  # noqa: PLC0415

    with _door(folder, url) as door:
        thaw(out, door, peer, reason=reason, dry_run=dry_run)


@app.command("limit")
def peers_limit(
    folder: Home,
    peer: Peer,
    hours: Annotated[int | None, typer.Option(help="This town's own limit; none: the network's.", min=0)] = None,
    url: Url = None,
    dry_run: DryRun = False,
) -> None:
    """Set this town's own limit with a peer: the lower of it and the network's counts here."""
    from timebank_node.commands_peers import set_policy  # noqa: PLC0415

    with _door(folder, url) as door:
        set_policy(out, door, peer, dry_run=dry_run, own_limit=None if hours is None else hours * 60)


@network_app.command("matrix")
def network_matrix(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Homes of running nodes, or exported towns.", exists=True),
    ] = None,
    at: Annotated[list[str] | None, typer.Option(help="URL=FILE: a node and the secret file of a token.")] = None,
) -> None:
    """Print where every town stands with every other: positions, ages, open transfers, limits that are near."""
    import httpx  # noqa: PLC0415

    from timebank_kit.clock import SystemClock  # noqa: PLC0415
    from timebank_node.commands_peers import rows_of_exports, show_matrix  # noqa: PLC0415
    from timebank_node.operator_door import door_of_home, door_with_token  # noqa: PLC0415

    with httpx.Client(timeout=SECONDS) as http:
        homes = [folder for folder in folders or () if (folder / "node.json").exists()]
        exports = [folder for folder in folders or () if folder not in homes]
        doors = [door_of_home(folder, http, clock=SystemClock()) for folder in homes]
        doors += [door_with_token(words, http) for words in at or ()]
        show_matrix(out, doors, rows_of_exports(exports, SystemClock().now()))
