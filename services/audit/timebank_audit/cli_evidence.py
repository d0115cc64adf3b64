"""`timebank audit equivocation`: does a file prove that a node said two things? Nothing but the file is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timebank_audit.codes import EXITS, Verdict
from timebank_audit.edge import ended_by_exit_code
from timebank_audit.policy import read_small
from timebank_contracts.equivocation import EVIDENCE_BYTES_MAX, check_evidence


def equivocation(
    file: Annotated[Path, typer.Argument(help="A file of evidence, as a witness or a peer keeps it.", dir_okay=False)],
) -> None:
    """Check evidence that a node signed two histories. Exit status 1: it did; 2: the file proves nothing.

    Example: timebank audit equivocation witnessed/evidence/1c0ffee.json
    """
    with ended_by_exit_code():
        _, sentence = check_evidence(read_small(file, EVIDENCE_BYTES_MAX))
    typer.echo(f"FAIL: {sentence}")
    typer.echo("Whose key it is the file does not prove: compare it with the network's registry.")
    raise typer.Exit(EXITS[Verdict.FAIL])
