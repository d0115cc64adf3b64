"""`timebank conformance URL`: the kit's one command. It serves, waits for the node's operator, runs, and reports.

Exit status 0: PASS; 1: FAIL; 2: bad usage, or the node never accepted the registry; 3: NOT PROVEN.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from timebank_conformance.door import NodeDoor
from timebank_conformance.findings import Findings
from timebank_conformance.report import make_report
from timebank_conformance.run import run
from timebank_conformance.session import Bounds, Session
from timebank_conformance.setting import KitNetwork, make_network
from timebank_conformance.stage import Stage
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import Network
from timebank_contracts.keys import b64_decode
from timebank_contracts.names import Identity, check_identity
from timebank_contracts.registry import RegisteredNode
from timebank_kit.clock import SystemClock
from timebank_kit.files import atomic_write
from timebank_kit.web import RunningServer

HTTP_SECONDS: Final = 30.0
DESCRIPTION_BYTES_MAX: Final = 65_536
TOKEN_BYTES_MAX: Final = 4_096


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command was asked."""

    url: str
    description: Path
    handle: str
    registry_out: Path
    host: str
    port: int
    kit_url: str | None
    ledger_url: str | None
    token_file: Path | None
    sends: int
    bounds: Bounds


class _Description(RegisteredNode, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operators of a network get of a node: its line of the registry, and the network."""

    network: Network


def read_description(path: Path) -> tuple[str, RegisteredNode]:
    """The network and the node that a `node.json` describes; raises `Malformed`."""
    raw = path.read_bytes()
    try:
        if len(raw) > DESCRIPTION_BYTES_MAX or b"\\" in raw:
            raise Malformed(f"{path} does not describe a node.")
        said = msgspec.json.decode(raw, type=_Description)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Malformed(f"{path} does not describe a node ({error}); see docs/conformance.md.") from error
    check_identity(Identity(said.network, said.node, said.generation))
    return said.network, RegisteredNode(**{name: getattr(said, name) for name in RegisteredNode.__struct_fields__})


def play(asked: Asked, say: Callable[[str], None]) -> dict[str, Any]:
    """Play against a node, and return the report.

    Args:
        asked: what and how.
        say: tells the operator a line.

    Raises:
        Malformed: the description is none, or the file of the registry is there already.
        NotAccepted: the node did not accept the registry in time.
    """
    if asked.registry_out.exists():
        raise Malformed(f"{asked.registry_out} is there already: each run has a network of its own; name another file.")
    network, described = read_description(asked.description)
    clock, stage_of = SystemClock(), _Later()
    server = RunningServer(stage_of, host=asked.host, port=asked.port)
    try:
        kit_url = asked.kit_url or server.url
        made = make_network(network, described, url=kit_url, random=secrets.token_bytes, clock=clock)
        stage = Stage(made.towns, tuple(map(b64_decode, described.event_keys)), clock)
        stage.registries[1] = made.envelope(made.registries[0])
        stage_of.app = stage
        atomic_write(asked.registry_out, stage.registries[1])
        for line in instructions(asked, made, kit_url=kit_url):
            say(line)
        with httpx.Client(timeout=HTTP_SECONDS, follow_redirects=False) as http:
            session = Session(
                network=made,
                stage=stage,
                door=NodeDoor(http, url=asked.url, log_url=asked.ledger_url or asked.url, clock=clock),
                findings=Findings(),
                clock=clock,
                pause=time.sleep,
                bounds=asked.bounds,
                say=say,
            )
            run(session, handle=asked.handle, sends=asked.sends, token=lambda: read_token(asked.token_file))
        return make_report(session.findings, version=version("timebank"), origin=made.origin)
    finally:
        server.stop()


class _Later:
    """The application, once it is there: the kit's own address stands in the registry that it serves."""

    app: Stage | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.app is not None:
            await self.app(scope, receive, send)


def read_token(file: Path | None) -> str | None:
    """The token in a file, None without one."""
    if file is None:
        return None
    with file.open("rb") as opened:
        return opened.read(TOKEN_BYTES_MAX).decode("ascii", "replace").strip()


def instructions(asked: Asked, made: KitNetwork, *, kit_url: str) -> list[str]:
    """What the node's operator has to do."""
    return [
        f"The kit plays {len(made.towns)} towns of {made.network} at {kit_url}.",
        f"Accept the registry {asked.registry_out} (version 1, sha256 {made.registries[0].sha256}) at the node.",
        f"Let the handle `{asked.handle}` be a member who may be paid from other towns.",
        f"The kit waits {asked.bounds.operator_seconds:g} seconds for that.",
    ]
