"""`timebank audit prove` and `check-proof`: a receipt for one transfer, and what a reader makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timebank_audit.codes import EXITS
from timebank_audit.edge import Policy, Vkeys, ended_by_exit_code, trust_of
from timebank_audit.policy import read_small
from timebank_audit.receipt_check import check_receipt
from timebank_audit.receipts import RECEIPT_BYTES_MAX, make_receipt, read_receipt, write_receipt
from timebank_audit.stores import show_path
from timebank_audit.usable import audit_for_books
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode


def prove(
    transfer: Annotated[str, typer.Argument(help="The transfer's name, such as aberdare.g1.6 or aberdare.g1.barry.2.")],
    paths: Annotated[list[Path], typer.Argument(metavar="DIR...", help="The paying town's export; the other's too.")],
    into: Annotated[Path, typer.Option("--into", help="The receipt's file, such as 6.receipt.")],
    proof: Annotated[Path | None, typer.Option("--tlog-proof", help="The C2SP proof alone, as a file too.")] = None,
    vkey: Vkeys = None,
    policy: Policy = None,
) -> None:
    """Make a receipt for one transfer: it convinces a third person, and shows nobody else's transfer.

    Example: timebank audit prove aberdare.g1.barry.2 aberdare barry --into 2.receipt
    """
    with ended_by_exit_code():
        audited = audit_for_books(paths, trust_of(vkey or [], policy))
        receipt = make_receipt({town.node: town for town in audited.towns if not town.unusable}, transfer)
        for file, content in ((into, write_receipt(receipt)), (proof, b64_decode(receipt.proved.proof))):
            if file is not None:
                if file.exists():
                    raise Malformed(f"{show_path(file)} exists already; name a new one.")
                file.write_bytes(content)
    typer.echo(f"{show_path(into)}: {transfer}. Check it: timebank audit check-proof {show_path(into)}")


def check_proof(
    file: Annotated[Path, typer.Argument(help="A receipt that `prove` made.")],
    registry_sha256: Annotated[
        str | None, typer.Option("--registry-sha256", help="The registry version's hash, as its operators publish it.")
    ] = None,
    vkey: Vkeys = None,
    policy: Policy = None,
) -> None:
    """Check a receipt: PASS when a key or the registry is known from elsewhere, else NOT PROVEN, or FAIL.

    Example: timebank audit check-proof 2.receipt --registry-sha256 4f0c...
    """
    with ended_by_exit_code():
        receipt = read_receipt(read_small(file, RECEIPT_BYTES_MAX))
        trust = trust_of(vkey or [], policy)
        checked = check_receipt(receipt, log_keys=trust.keys, registry_sha256=registry_sha256)
    for step in checked.steps:
        typer.echo(f"  {step}")
    typer.echo(f"{checked.verdict.value}   {receipt.transfer}")
    raise typer.Exit(EXITS[checked.verdict])
