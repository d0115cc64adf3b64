"""The words of `timebank witness`; `commands_witness.py` does it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    no_args_is_help=True, help="A witness: cosigns the towns' checkpoints. A town may be one, or nobody's."
)
out = Console(highlight=False, soft_wrap=True, markup=False)
Folder = Annotated[Path, typer.Argument(help="The witness's folder; or a node's home.", file_okay=False)]


@app.command("init")
def witness_init(
    folder: Folder,
    name: Annotated[str, typer.Option(help="Its name, such as witness.example/w1.")],
    url: Annotated[str, typer.Option(help="Where the towns reach it.")],
) -> None:
    """Make a witness's key, and say what the network's operators put into the registry."""
    from timebank_node.commands_witness import init_witness  # noqa: PLC0415 - a room loads when its command runs

    init_witness(out, folder, name=name, url=url)


@app.command("accept")
def witness_accept(
    folder: Folder,
    registry: Annotated[
        list[Path], typer.Argument(help="The signed registry; several: in order.", exists=True, dir_okay=False)
    ],
    sha256: Annotated[str | None, typer.Option(help="The hash of version 1, as the operators told you.")] = None,
) -> None:
    """Keep the network's registry; later versions are fetched from the towns."""
    from timebank_node.commands_witness import accept_for_witness  # noqa: PLC0415

    accept_for_witness(out, folder, registry, pinned=sha256)


@app.command("serve")
def witness_serve(
    folder: Folder,
    port: Annotated[int, typer.Option(help="Port to serve on; 0: a free one.", min=0, max=65535)] = 8110,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
) -> None:
    """Serve a witness that is no town. (A node with a witness's key serves it by itself.)"""
    from timebank_node.commands_witness import serve_witness  # noqa: PLC0415

    serve_witness(out, folder, host=host, port=port)
