"""What all verbs share at the command line: how they end, whose keys they take, the bar while they work."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from timebank_audit.codes import EXITS, MALFORMED_EXIT, Verdict
from timebank_audit.doors import NodeAway
from timebank_audit.policy import read_policy
from timebank_audit.stores import show_path
from timebank_audit.trust import FROM_EXPORT, Trust, read_vkey, trust_keys
from timebank_audit.verify import UNRESOLVED_AFTER_DAYS, Audit, verify
from timebank_contracts.checkpoint import Checkpoint
from timebank_contracts.errors import Malformed

Vkeys = Annotated[
    list[str] | None, typer.Option("--vkey", help="A log's verifier key, or a file that holds it. May be given again.")
]
Policy = Annotated[
    Path | None, typer.Option("--policy", help="A policy file: lines log <vkey>, witness, group, quorum (C2SP).")
]


class Unsound(Exception):
    """A journal failed a check, so that nothing else is shown of it; the text says how."""


@contextmanager
def ended_by_exit_code() -> Iterator[None]:
    """End with 2 for input or usage that is not what it must be, and for a fault of the auditor's own."""
    try:
        yield
    except Malformed as error:
        typer.echo(f"Malformed input: {error}", err=True)
        raise typer.Exit(MALFORMED_EXIT) from error
    except OSError as error:
        where = f"{show_path(Path(error.filename))}: " if isinstance(error.filename, str) else ""
        typer.echo(f"Malformed input: {where}{error.strerror or type(error).__name__}", err=True)
        raise typer.Exit(MALFORMED_EXIT) from error
    except Unsound as error:
        typer.echo(f"FAIL: {error}", err=True)
        raise typer.Exit(EXITS[Verdict.FAIL]) from error
    except NodeAway as error:
        typer.echo(f"Trouble: {error} Run the same again: it goes on where it stopped.", err=True)
        raise typer.Exit(MALFORMED_EXIT) from error
    except typer.Exit:
        raise
    except Exception as error:
        # A fault of this program proves nothing about a town, and must not end with the code that says FAIL.
        traceback.print_exc()
        typer.echo("The auditor itself failed; nothing is said about the towns. Please report this.", err=True)
        raise typer.Exit(MALFORMED_EXIT) from error


def trust_of(vkeys: list[str], policy: Path | None) -> Trust:
    """The keys to believe: those given, else those in the exports; raises `Malformed`."""
    keys = [read_vkey(value) for value in vkeys]
    if policy is not None:
        return trust_keys(keys, read_policy(policy))
    return trust_keys(keys) if keys else FROM_EXPORT


def verify_with_a_bar(
    paths: Sequence[Path],
    trust: Trust,
    unresolved_after_days: int = UNRESOLVED_AFTER_DAYS,
    *,
    earlier: Sequence[Checkpoint] = (),
) -> Audit:
    """Verify, with a bar for each town on a terminal and none in a pipe; raises `Malformed`."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(town: str, done: int, total: int) -> None:
            if town not in tasks:
                tasks[town] = bar.add_task(town, total=total)
            bar.update(tasks[town], completed=done)

        days = unresolved_after_days
        return verify(paths, trust=trust, earlier=earlier, unresolved_after_days=days, progress=progress)
