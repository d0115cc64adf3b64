"""`timebank audit reconcile` and `diff`: two towns beside each other, and a town beside its own past."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from timebank_audit.earlier import read_seen
from timebank_audit.edge import Policy, Vkeys, ended_by_exit_code, trust_of, verify_with_a_bar
from timebank_audit.report import make_report
from timebank_audit.roll_forward import roll_forward
from timebank_contracts.csv_text import plain_hours

BETWEEN = ("A40", "A41", "A42", "A43", "A44", "A45", "A46", "A47", "A48", "A49", "A51", "A53")


def reconcile(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Two or more towns' exports, or a bundle.")],
    vkey: Vkeys = None,
    policy: Policy = None,
) -> None:
    """What towns owe each other, from both sides, at the greatest cut where nobody heard what another did not yet say.

    Example: timebank audit reconcile aberdare barry
    """
    with ended_by_exit_code():
        report = make_report(verify_with_a_bar(paths, trust_of(vkey or [], policy)), version=version("timebank"))
    for pair in report["pairs"]:
        one, other = pair["towns"]
        owed = pair["clearing"][0]
        who = f"{one} owes {other}" if owed >= 0 else f"{other} owes {one}"
        typer.echo(f"{one} and {other}: {who} {abs(owed)} min ({plain_hours(abs(owed))} h) by {one}'s books")
        for name in ("clearing", "undecided", "received", "rejected"):
            typer.echo(f"  {name:<10} {pair[name][0]:>10} | {pair[name][1]:>10} min")
        typer.echo(f"  difference {pair['difference']} min")
    for finding in report["findings"]:
        typer.echo(f"{finding['code']} {finding['verdict']}  {finding['town']}, {finding['place']}")
        typer.echo(f"    expected: {finding['expected']}\n    found:    {finding['found']}")
    elsewhere = [finding for finding in report["findings"] if finding["code"] not in BETWEEN]
    if elsewhere:
        typer.echo("A town's own journal has findings: see `timebank audit verify`.")
    typer.echo(report["verdict"])
    raise typer.Exit(report["exit"])


def diff(
    old: Annotated[Path, typer.Argument(help="An earlier report (JSON), export or bundle.")],
    new: Annotated[Path, typer.Argument(help="The export or bundle of now.")],
    vkey: Vkeys = None,
    policy: Policy = None,
) -> None:
    """Roll forward from an earlier audit: is what was seen then still there, and what has been added since?

    Example: timebank audit diff 2026-q1.json 2026-q2.tbaudit
    """
    with ended_by_exit_code():
        seen = read_seen(old)
        audited = verify_with_a_bar([new], trust_of(vkey or [], policy), earlier=seen)
        report = make_report(audited, version=version("timebank"))
        for line in roll_forward(seen, audited.towns):
            typer.echo(line)
    for finding in report["findings"]:
        typer.echo(f"{finding['code']} {finding['verdict']}  {finding['town']}, {finding['place']}")
        typer.echo(f"    expected: {finding['expected']}\n    found:    {finding['found']}")
    typer.echo(report["verdict"])
    raise typer.Exit(report["exit"])
