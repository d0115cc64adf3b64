"""`timebank mirror` and `timebank restore`: a node's journal kept elsewhere, and given back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out = Console(highlight=False, soft_wrap=True)

MirrorFolder = Annotated[Path, typer.Argument(help="The mirror's folder.", file_okay=False)]


def mirror(
    folder: MirrorFolder,
    url: Annotated[str, typer.Option("--from", help="The node's address, such as https://aberdare.example.")],
    client: Annotated[str, typer.Option(help="A client of that town with the scope audit:read.")],
    secret_file: Annotated[Path, typer.Option(help="Its secret, mode 600.", exists=True, dir_okay=False)],
    directory: Annotated[
        str | None, typer.Option(help="Where its directory answers, if not at the same address.")
    ] = None,
    vkey: Annotated[
        str | None, typer.Option(help="The log's verifier key, as `timebank keys show` prints it; needed once.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until a signal comes.")] = False,
) -> None:
    """Follow another node's log, each entry proved by its signed checkpoints: the backup that a node can go on from."""
    from timebank_node.commands_mirror import follow_log  # noqa: PLC0415 - a room loads when its command runs

    follow_log(
        out, folder, url=url, directory=directory, vkey=vkey, client=client, secret_file=secret_file, follow=follow
    )


def restore(
    folder: Annotated[Path, typer.Argument(help="The node's home.", file_okay=False)],
    from_mirror: Annotated[Path, typer.Option(help="The mirror's folder.", exists=True, file_okay=False)],
) -> None:
    """Give a stopped node its journal back from a mirror; the same generation goes on."""
    from timebank_node.commands_mirror import restore_node  # noqa: PLC0415

    restore_node(out, folder, mirror_folder=from_mirror)
