"""Commands about a node's quarantine: list what had no effect, show the head of one segment, hand one in again.

The folder is only read: the running node owns it. What was handed in again stays there until it is pushed out.
Source: design page 6, "Evidence and quarantine"; PROTOCOL.md S5 to S10.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table

from timebank_contracts.errors import Malformed
from timebank_contracts.segments import SEGMENT_BYTES_MAX, SegmentStatement, open_statement
from timebank_contracts.tokens import TokenKey, audience
from timebank_federation.app import node_token
from timebank_federation.quarantine import ITEMS_MAX
from timebank_kit.clock import Clock
from timebank_node.home import Home
from timebank_node.operator_door import OperatorDoor

SHOWN_CHARACTERS: Final = 12
"""Of a hash in the list: enough to name one of at most 1,000."""
_CODE: Final = re.compile(r"[a-z_]{1,64}")
_START_OF_A_HASH: Final = re.compile(r"[0-9a-f]{6,64}")


class Kept(NamedTuple):
    """One item of the folder; its `detail` is left out, for it may repeat what a stranger wrote."""

    sha256: str
    at: datetime
    size: int
    code: str
    path: Path

    def raw(self) -> bytes:
        """The bytes as they came, at most a segment's."""
        with self.path.open("rb") as file:
            return file.read(SEGMENT_BYTES_MAX)

    def statement(self) -> SegmentStatement | None:
        """What the segment says of itself, believed by nobody; None where it says nothing readable."""
        try:
            return open_statement(self.raw().partition(b"\n")[0])
        except (Malformed, OSError):
            return None


def kept_in(folder: Path) -> list[Kept]:
    """What the folder holds, the oldest first, as many as a quarantine keeps; a half-written item is left out."""
    found = []
    for path in folder.glob("*.segment"):
        try:
            said = json.loads(path.with_suffix(".json").read_text("utf-8"))
            at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            code = str(said["code"])
            found.append(Kept(path.stem, at, int(said["size"]), code if _CODE.fullmatch(code) else "unknown", path))
        except (OSError, ValueError, KeyError, TypeError):
            # The node writes the reason after the bytes, or has just given the item up.
            continue
    return sorted(found, key=lambda item: (item.at, item.sha256))[-ITEMS_MAX:]


def find_kept(folder: Path, start: str) -> Kept:
    """The one item whose hash begins so; raises `Malformed` for none or several."""
    if not _START_OF_A_HASH.fullmatch(start):
        raise Malformed("Name the segment by the first 6 to 64 hex digits of its hash: timebank quarantine list")
    fitting = [item for item in kept_in(folder) if item.sha256.startswith(start)]
    if len(fitting) != 1:
        raise Malformed(f"{len(fitting)} segments in quarantine begin with {start}: timebank quarantine list")
    return fitting[0]


def list_quarantine(out: Console, folder: Path) -> None:
    """Print when each item came, who it says it is from, why it had no effect, its size and hash."""
    table = Table("Since", "Says it is from", "Reason", "Bytes", "Hash", box=None)
    items = kept_in(folder)
    for item in items:
        statement = item.statement()
        sender = "?" if statement is None else statement.from_
        shown = item.sha256[:SHOWN_CHARACTERS]
        table.add_row(item.at.isoformat(timespec="seconds"), sender, item.code, str(item.size), shown)
    if items:
        out.print(table)
    out.print(f"{len(items)} in quarantine.")


def show_quarantined(out: Console, folder: Path, start: str) -> None:
    """Print the statement of one segment, never its messages."""
    item = find_kept(folder, start)
    out.print(f"{item.sha256}, {item.size} bytes, {item.code}, since {item.at.isoformat(timespec='seconds')}")
    statement = item.statement()
    if statement is None:
        out.print("It has no readable statement; its bytes are all there is.")
        return
    for name, said in msgspec.to_builtins(statement).items():
        shown = ", ".join(f"{key} {value}" for key, value in said.items()) if isinstance(said, dict) else said
        out.print(f"  {name:<12}{shown}")
    out.print("Nothing of this is proved: the node judges the signature when the segment is handed in.")


def retry_quarantined(out: Console, folder: Path, start: str, door: OperatorDoor) -> bool:
    """Hand one segment to the running node's ledger again, which judges it as any other; says whether it counts.

    Args:
        door: with the token of `node_token_of`.

    Raises:
        Malformed: the node does not answer, or the bytes are no segment.
    """
    item = find_kept(folder, start)
    said = door.ask("POST", "/v1/segments", content=item.raw())
    outcome = said["outcome"]
    why = f" ({said['code']})" if said.get("code") else ""
    out.print(f"{item.sha256[:SHOWN_CHARACTERS]}: {outcome}{why}; the stream stands at {said['high']}.")
    if outcome == "gap":
        out.print("Messages before it are missing; the node pulls them from the peer, and these with them.")
    return outcome in ("fresh", "duplicate")


def node_token_of(home: Home, clock: Clock) -> str:
    """The token with which the node's own federation service calls its ledger."""
    key = home.event_keys[0]
    to_itself = audience(home.identity.network, home.identity.node)
    return node_token(TokenKey(home.event_seeds[0], key.public), home.identity, clock, aud=to_itself)
