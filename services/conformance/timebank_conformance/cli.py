"""The words of `timebank conformance`; `command.py` does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def conformance(
    url: Annotated[str, typer.Argument(help="Where peers reach the node under test.")],
    description: Annotated[
        Path, typer.Option(help="What the node says of itself: its node.json.", exists=True, dir_okay=False)
    ],
    handle: Annotated[str, typer.Option(help="A member of it who may be paid from other towns.")],
    registry_out: Annotated[
        Path, typer.Option("--registry-out", help="Gets the registry that the node must accept.", dir_okay=False)
    ],
    host: Annotated[str, typer.Option(help="Address on which the kit serves its towns.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port; 0: a free one.", min=0, max=65535)] = 0,
    kit_url: Annotated[str | None, typer.Option(help="Where the node reaches the kit, if otherwise.")] = None,
    ledger_url: Annotated[str | None, typer.Option(help="Where checkpoint and tiles are, if elsewhere.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A token that may read the log's entries; read when used.", dir_okay=False)
    ] = None,
    sends: Annotated[bool, typer.Option("--sends", help="A member will send two gifts to the kit when asked.")] = False,
    step_seconds: Annotated[float, typer.Option(help="For the node to ask every town.", min=1, max=3600)] = 120.0,
    registry_seconds: Annotated[float, typer.Option(help="For it to fetch a registry.", min=1, max=3600)] = 120.0,
    operator_seconds: Annotated[float, typer.Option(help="For its operator to act.", min=1, max=86_400)] = 900.0,
    as_json: Annotated[bool, typer.Option("--json", help="Write the report as JSON.")] = False,
) -> None:
    """Play peer towns against a test node, and report rule by rule of PROTOCOL.md.

    Exit status 0: PASS; 1: FAIL; 2: bad usage, or the registry was not accepted; 3: NOT PROVEN.
    """
    from timebank_conformance.command import Asked, play  # noqa: PLC0415 - a room loads when its command runs
    from timebank_conformance.report import lines  # noqa: PLC0415
    from timebank_conformance.session import Bounds  # noqa: PLC0415

    asked = Asked(
        url=url,
        description=description,
        handle=handle,
        registry_out=registry_out,
        host=host,
        port=port,
        kit_url=kit_url,
        ledger_url=ledger_url,
        token_file=token_file,
        sends=2 if sends else 0,
        bounds=Bounds(step_seconds=step_seconds, registry_seconds=registry_seconds, operator_seconds=operator_seconds),
    )
    report = play(asked, lambda line: typer.echo(line, err=True))
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        for line in lines(report):
            typer.echo(line)
    raise typer.Exit(report["exit"])
