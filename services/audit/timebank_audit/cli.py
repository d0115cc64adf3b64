"""`timebank audit`: the command line of the auditor. The only file here that reads a setting or ends with a code."""

from __future__ import annotations

import json
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from timebank_audit.codes import MALFORMED_EXIT
from timebank_audit.report import make_report
from timebank_audit.show import show
from timebank_audit.trust import FROM_EXPORT, Trust, read_policy, read_vkey, trust_keys
from timebank_audit.verify import UNRESOLVED_AFTER_DAYS, Audit
from timebank_audit.verify import verify as run_verify
from timebank_contracts.errors import Malformed

app = typer.Typer(
    name="audit", help="Check exported towns offline, without trusting any of them.", no_args_is_help=True
)


@app.callback()
def audit() -> None:
    """Check exported towns offline, without trusting any of them.

    Exit codes: 0 PASS, 1 FAIL, 2 malformed input or usage, 3 NOT PROVEN.
    """


@app.command()
def verify(
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Exported towns, or a directory that holds some.")
    ],
    vkey: Annotated[
        list[str] | None, typer.Option(help="A log's verifier key, or a file that holds it. May be given again.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="A policy file with lines: log <vkey>.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the report as JSON.")] = False,
    unresolved_after_days: Annotated[
        int, typer.Option(min=0, max=36_500, help="Age from which an open transfer is reported (A40).")
    ] = UNRESOLVED_AFTER_DAYS,
) -> None:
    """Verify exported towns: bytes, tree, keys, every rule of the book, and the sums between towns.

    Example: timebank audit verify demo-out --policy network.policy
    """
    try:
        trust = _trust(vkey or [], policy)
        audited = _verify(directories, trust, unresolved_after_days)
        report = make_report(audited, version=version("timebank"))
    except Malformed as error:
        typer.echo(f"Malformed input: {error}", err=True)
        raise typer.Exit(MALFORMED_EXIT) from error
    except Exception as error:
        # A fault of this program proves nothing about a town, and must not end with the code that says FAIL.
        traceback.print_exc()
        typer.echo("The auditor itself failed; nothing is said about the towns. Please report this.", err=True)
        raise typer.Exit(MALFORMED_EXIT) from error
    if as_json:
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        show(report, Console())
    raise typer.Exit(report["exit"])


def _trust(vkeys: list[str], policy: Path | None) -> Trust:
    keys = [read_vkey(value) for value in vkeys]
    if policy is not None:
        keys += read_policy(policy)
    return trust_keys(keys) if keys else FROM_EXPORT


def _verify(directories: list[Path], trust: Trust, unresolved_after_days: int) -> Audit:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(town: str, done: int, total: int) -> None:
            if town not in tasks:
                tasks[town] = bar.add_task(town, total=total)
            bar.update(tasks[town], completed=done)

        return run_verify(directories, trust=trust, unresolved_after_days=unresolved_after_days, progress=progress)
