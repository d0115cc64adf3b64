"""The words of `timebank sandbox`; `sandbox.py` does it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

PORT: Final = 8400
app = typer.Typer(help="A town on your own machine, to build and try against.")
out = Console(highlight=False, soft_wrap=True)


@app.callback(invoke_without_command=True)
def sandbox(
    context: typer.Context,
    folder: Annotated[Path, typer.Option(help="Its data; made when missing.", file_okay=False)] = Path("sandbox"),
    port: Annotated[int, typer.Option(help="Port of the town; 0: a free one.", min=0, max=65534)] = PORT,
    host: Annotated[str, typer.Option(help="A loopback address.")] = "127.0.0.1",
    reset: Annotated[bool, typer.Option("--reset", help="Delete its data first, and begin anew.")] = False,
) -> None:
    """Start a sandbox town with test members and a partner's credentials, which are printed; Ctrl-C stops it."""
    context.obj = folder
    if context.invoked_subcommand is None:
        from timebank_node.sandbox import run_sandbox  # noqa: PLC0415 - a room loads when its command runs

        run_sandbox(out, folder, host=host, port=port, reset=reset)


@app.command("reset")
def sandbox_reset(context: typer.Context) -> None:
    """Delete a stopped sandbox's data; the next start makes it anew. `--folder` stands before `reset`."""
    from timebank_node.sandbox import reset_sandbox  # noqa: PLC0415

    reset_sandbox(out, context.obj)
