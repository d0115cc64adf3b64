"""`timebank audit equivocation`: what a log signed against itself, in one file; and the check of such a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timebank_audit.codes import EXITS, Verdict
from timebank_audit.edge import Policy, Vkeys, ended_by_exit_code, trust_of, verify_with_a_bar
from timebank_audit.evidence import find_evidence, held_notes
from timebank_audit.policy import read_small
from timebank_audit.stores import show_path
from timebank_contracts.equivocation import EVIDENCE_BYTES_MAX, check_evidence, encode_evidence
from timebank_contracts.errors import Malformed


def equivocation(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Exported towns or bundles; or one file of evidence to check."),
    ],
    into: Annotated[Path | None, typer.Option("--into", help="Write the evidence into this file.")] = None,
    vkey: Vkeys = None,
    policy: Policy = None,
) -> None:
    """Two states that one log signed and that cannot both be: ends with 1 when there are, 3 with nothing to compare.

    Example: timebank audit equivocation aberdare barry --into fork.json
    """
    with ended_by_exit_code():
        if len(paths) == 1 and paths[0].suffix == ".json":
            _, sentence = check_evidence(read_small(paths[0], EVIDENCE_BYTES_MAX))
            typer.echo(f"FAIL   {sentence}\nWhose key it is, the registry says.")
            raise typer.Exit(EXITS[Verdict.FAIL])
        towns = verify_with_a_bar(paths, trust_of(vkey or [], policy)).towns
        notes = held_notes(towns)
        found = list(find_evidence(towns, notes))
        for place, _ in found:
            typer.echo(f"FAIL   {place} contradict each other")
        if found and into is not None:
            if into.exists():
                raise Malformed(f"{show_path(into)} exists already; name a new one.")
            into.write_bytes(encode_evidence(found[0][1]))
            typer.echo(f"{show_path(into)} proves the first of them, to anybody, by itself")
    if found:
        raise typer.Exit(EXITS[Verdict.FAIL])
    typer.echo(f"{len(notes)} notes were compared, and no contradiction was found.")
    raise typer.Exit(EXITS[Verdict.PASS if notes else Verdict.NOT_PROVEN])
