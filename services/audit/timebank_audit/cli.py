"""`timebank audit`: the command line of the auditor. Each verb ends with the exit codes of `codes.py`."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from timebank_audit.cli_books import keys, replay, statement
from timebank_audit.cli_bundle import export
from timebank_audit.cli_collect import collect
from timebank_audit.cli_compare import diff, reconcile
from timebank_audit.cli_equivocation import equivocation
from timebank_audit.cli_proofs import check_proof, prove
from timebank_audit.cli_report import report
from timebank_audit.codes import MALFORMED_EXIT
from timebank_audit.earlier import read_earlier
from timebank_audit.edge import Policy, Vkeys, ended_by_exit_code, trust_of, verify_with_a_bar
from timebank_audit.report import make_report
from timebank_audit.selftest import selftest as run_selftest
from timebank_audit.show import show
from timebank_audit.verify import UNRESOLVED_AFTER_DAYS

app = typer.Typer(
    name="audit", help="Check exported towns offline, without trusting any of them.", no_args_is_help=True
)

app.command("export")(export)
app.command("collect")(collect)
app.command("replay")(replay)
app.command("statement")(statement)
app.command("keys")(keys)
app.command("reconcile")(reconcile)
app.command("diff")(diff)
app.command("report")(report)
app.command("equivocation")(equivocation)
app.command("prove")(prove)
app.command("check-proof")(check_proof)


@app.callback()
def audit() -> None:
    """Check exported towns offline, without trusting any of them.

    Exit codes: 0 PASS, 1 FAIL, 2 malformed input or usage, 3 NOT PROVEN.
    """


@app.command()
def selftest() -> None:
    """Whether this installation finds what it must find: known answers, a good bundle, planted faults."""
    with ended_by_exit_code():
        wrong = 0
        for step in run_selftest():
            typer.echo(f"{'right' if step.is_right else 'WRONG'}  {step.what}")
            wrong += not step.is_right
        if wrong:
            typer.echo("Do not believe this installation: install it anew, with its hashes checked.", err=True)
            raise typer.Exit(MALFORMED_EXIT)


@app.command()
def verify(
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Exported towns, or a directory that holds some.")
    ],
    vkey: Vkeys = None,
    policy: Policy = None,
    earlier: Annotated[
        Path | None, typer.Option(help="The JSON report of an earlier audit: what it saw must still be there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the report as JSON.")] = False,
    unresolved_after_days: Annotated[
        int, typer.Option(min=0, max=36_500, help="Age from which an open transfer is reported (A40).")
    ] = UNRESOLVED_AFTER_DAYS,
) -> None:
    """Verify exported towns: bytes, tree, keys, every rule of the book, and the sums between towns.

    Example: timebank audit verify demo-out --policy network.policy
    """
    with ended_by_exit_code():
        trust = trust_of(vkey or [], policy)
        seen = [] if earlier is None else read_earlier(earlier)
        audited = verify_with_a_bar(directories, trust, unresolved_after_days, earlier=seen)
        said = make_report(audited, version=version("timebank"))
    if as_json:
        typer.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        show(said, Console())
    raise typer.Exit(said["exit"])
