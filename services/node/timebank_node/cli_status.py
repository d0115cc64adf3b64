"""The words of `timebank status` and `timebank doctor`; `commands_status.py` and `commands_doctor.py` do it.

Exit status 0: fine; 1: somebody is needed; 2: no answer, or no home.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out = Console(highlight=False, soft_wrap=True, markup=False)
SECONDS = 10.0


def status(
    home: Annotated[Path | None, typer.Argument(help="The node's home.", file_okay=False, exists=True)] = None,
    at: Annotated[
        str | None, typer.Option(help="In place of a home: URL=FILE, the file of a token with operate and audit:read.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Where it serves; none: as its node.json says.")] = None,
    directory: Annotated[str | None, typer.Option(help="Its directory's address, if another.")] = None,
    federation: Annotated[str | None, typer.Option(help="Its federation's address, if another.")] = None,
) -> None:
    """Print one screen of a running node. Exit status 0: fine; 1: something needs an operator; 2: no answer."""
    import httpx  # noqa: PLC0415 - a room loads when its command runs

    from timebank_contracts.errors import Malformed  # noqa: PLC0415
    from timebank_kit.clock import SystemClock  # noqa: PLC0415
    from timebank_node.commands_status import ROOMS, show_status  # noqa: PLC0415
    from timebank_node.operator_door import door_of_home, door_with_token  # noqa: PLC0415

    if (home is None) == (at is None) or (at is not None and (url or directory or federation)):
        raise Malformed("Name the node's home, or --at URL=FILE alone.")
    clock = SystemClock()
    with httpx.Client(timeout=SECONDS) as http:
        if home is None:
            door = door_with_token(at or "", http)
            if not show_status(out, dict.fromkeys(ROOMS, door), clock=clock):
                raise typer.Exit(1)
            return
        ledger = door_of_home(home, http, clock=clock, url=url)
        others = {
            room: ledger if address is None else door_of_home(home, http, clock=clock, url=address)
            for room, address in (("directory", directory), ("federation", federation))
        }
        if not show_status(out, {"ledger": ledger, **others}, clock=clock):
            raise typer.Exit(1)


def doctor(
    home: Annotated[Path, typer.Argument(help="The node's home.", file_okay=False, exists=True)],
    url: Annotated[str | None, typer.Option(help="Where it serves, if it runs; none: as its node.json says.")] = None,
) -> None:
    """Look at settings, keys, disk, journal, clock, registry, broker, peers. Exit status 1: change something."""
    import os  # noqa: PLC0415

    import httpx  # noqa: PLC0415

    from timebank_federation.witness_door import HttpWitnessDoor  # noqa: PLC0415
    from timebank_kit.clock import SystemClock  # noqa: PLC0415
    from timebank_node.commands_doctor import Doctor  # noqa: PLC0415
    from timebank_node.home import read_description  # noqa: PLC0415
    from timebank_node.operator_door import door_of_home  # noqa: PLC0415
    from timebank_node.peer_visit import PeerVisitor  # noqa: PLC0415

    read_description(home / "node.json")
    clock = SystemClock()
    with httpx.Client(timeout=SECONDS) as http:
        found = Doctor(
            home,
            environ=os.environ,
            clock=clock,
            door=lambda: door_of_home(home, http, clock=clock, url=url),
            visitor=lambda held: PeerVisitor(http, clock=clock, held=held),
            witnesses=HttpWitnessDoor(http),
        )
        if not found.examine(out):
            raise typer.Exit(1)
