"""`timebank audit export`: a bundle from exported towns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timebank_audit.edge import ended_by_exit_code
from timebank_audit.export import export as make_bundle
from timebank_audit.stores import show_path


def export(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Exported towns (timebank node export), or what `collect` took."),
    ],
    into: Annotated[Path, typer.Option("--into", help="The bundle to make, such as 2026.tbaudit.")],
    tar: Annotated[bool, typer.Option("--tar", help="One archive in place of a folder.")] = False,
) -> None:
    """Pack exported towns into one bundle that anybody can check; the same towns give the same bytes.

    Example: timebank audit export aberdare barry --into wales.tbaudit
    """
    with ended_by_exit_code():
        manifest = make_bundle(paths, into, tar=tar)
    for town in manifest.towns:
        typer.echo(f"{town.origin}: {town.size} entries, root {town.root}")
    typer.echo(f"{show_path(into)}: list of files sha256 {manifest.sums}")
