"""Commands about peers: limits and what is used of them, suspension, and the matrix of positions over all towns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from timebank_audit.verify import verify
from timebank_contracts.amounts import show_hours
from timebank_contracts.errors import Malformed
from timebank_contracts.figures import position_rows
from timebank_kit.files import atomic_write
from timebank_node.operator_door import OperatorDoor


def show_limits(out: Console, door: OperatorDoor, proposals: Sequence[dict[str, Any]]) -> None:
    """Print each peer's limits, what is used of them, and what was proposed or agreed (`listed_limits`)."""
    said = door.ask("GET", "/v1/positions")
    table = Table("Peer", "State", "We owe", "Limit", "It owes", "Limit", "Own limit", "", box=None)
    for row in said["rows"]:
        table.add_row(
            row["peer"],
            row["state"] + (" here" if row["suspended_here"] else ""),
            show_hours(max(0, row["debt"])),
            show_hours(row["owe_limit"]),
            show_hours(max(0, -row["clearing"])),
            show_hours(row["owed_limit"]),
            "" if row["own_limit"] is None else show_hours(row["own_limit"]),
            "near a limit" if row["warning"] else "",
        )
    out.print(table)
    out.print(f"All peers together: {show_hours(said['debt'])} of {show_hours(said['debt_limit'])}")
    for one in proposals:
        what = "agreed with" if one["state"] == "agreed" else f"proposed by {one['proposed_by']}, waits for assent:"
        out.print(f"{show_hours(one['limit'])} {what} {one['peer']}, {one['proposed_at']}")


def listed_limits(door: OperatorDoor) -> list[dict[str, Any]]:
    """Proposals that wait and agreements that count, as federation says."""
    found: list[dict[str, Any]] = door.ask("GET", "/v1/federation/limits")["limits"]
    return found


def propose_limit(out: Console, door: OperatorDoor, peer: str, *, minutes: int, file: Path | None) -> None:
    """Propose a limit to a peer; `file`: where the signed proposal is written too, to travel by other ways."""
    said = door.ask("POST", "/v1/federation/limits", {"peer": peer, "limit": minutes})
    _keep(out, said, file)
    out.print(f"Proposed {show_hours(minutes)} to {peer}; it counts when {peer}'s operator has assented.")


def assent_limit(out: Console, door: OperatorDoor, peer: str, *, file: Path | None) -> None:
    """Assent to what a peer proposed."""
    said = door.ask("POST", f"/v1/federation/limits/{peer}/assent")
    _keep(out, said, file)
    out.print(f"{show_hours(said['limit'])} is agreed with {peer}, and counts here now.")


def take_limit(out: Console, door: OperatorDoor, peer: str, file: Path) -> None:
    """Hand in a peer's proposal or assent that came as a file."""
    said = door.ask("PUT", f"/v1/limits/{peer}", content=file.read_bytes())
    what = "is agreed, and counts here now" if len(said["signed_by"]) == 2 else "waits for your assent"
    out.print(f"{show_hours(said['limit'])} with {peer} {what}.")


def _keep(out: Console, said: dict[str, Any], file: Path | None) -> None:
    if file is not None:
        atomic_write(file, said["envelope"].encode("ascii"))
        out.print(f"Signed by {', '.join(said['signed_by'])}, in {file}")


def set_policy(out: Console, door: OperatorDoor, peer: str, *, dry_run: bool, **changes: Any) -> None:
    """Change some of the town's own policy about a peer and keep the rest.

    Args:
        dry_run: say what would be, and change nothing.
        changes: `suspended`, `own_limit` (minutes; None: the network's).
    """
    rows = [row for row in door.ask("GET", "/v1/positions")["rows"] if row["peer"] == peer]
    if not rows:
        raise Malformed(f"{door.node} has no peer of the name {peer}.")
    body = {"suspended": rows[0]["suspended_here"], "own_limit": rows[0]["own_limit"], **changes}
    said = door.ask("PUT", f"/v1/peers/{peer}" + ("?dry_run=true" if dry_run else ""), body)
    would = "would be" if dry_run else "is"
    out.print(f"{peer} {would} {said['state']} at {door.node}; limit {show_hours(said['owe_limit'])}.")
    if said["state"] == "suspended":
        out.print("Nothing new is sent to it, and what it sends is rejected; its decisions still count.")


def thaw(out: Console, door: OperatorDoor, peer: str, *, reason: str, dry_run: bool) -> None:
    """End the freeze of a peer's stream; what it sends is judged anew from where the stream stands."""
    door.ask("POST", f"/v1/streams/{peer}/thaw" + ("?dry_run=true" if dry_run else ""), {"reason": reason})
    would = "would be" if dry_run else "are"
    out.print(f"{peer}'s messages {would} taken again at {door.node}; the reason {reason} stands in the journal.")


def rows_of_exports(folders: Sequence[Path], now: datetime) -> tuple[dict[tuple[str, str], dict[str, Any]], list[str]]:
    """What exported towns' journals say of each peer, and a sentence for each export from which nothing follows.

    Args:
        folders: of exported towns, of one network.
        now: ages are counted to it.

    Raises:
        Malformed: a folder is no export, or two are of one town.
    """
    towns = verify(folders).towns if folders else []
    found = {
        (town.node, row.peer): row._asdict()
        for town in towns
        if not town.unusable
        for row in position_rows(town.replay.book, now)
    }
    return found, [f"{town.node}: {town.unusable} See timebank audit verify." for town in towns if town.unusable]


def show_matrix(
    out: Console,
    doors: Sequence[OperatorDoor],
    exported: tuple[dict[tuple[str, str], dict[str, Any]], list[str]] = ({}, []),
) -> None:
    """Print what each town says of each of its peers: positions, transfers under way, ages, limits that are near.

    Args:
        doors: to running nodes.
        exported: what `rows_of_exports` found.
    """
    table = Table("Town", "Peer", "State", "Position", "Under way", "Open", "Oldest", "", box=None)
    found = dict(exported[0])
    silent = list(exported[1])
    for door in doors:
        try:
            said = door.ask("GET", "/v1/positions")
        except Malformed as error:
            silent.append(str(error))
            continue
        for row in said["rows"]:
            found[said["node"], row["peer"]] = row
    for (town, peer), row in sorted(found.items()):
        table.add_row(
            town,
            peer,
            row["state"] + (" frozen" if row["frozen"] else ""),
            show_hours(-row["clearing"]),
            show_hours(row["transit"]),
            str(row["open_transfers"]),
            "" if row["oldest_age_seconds"] is None else f"{row['oldest_age_seconds']} s",
            "near a limit" if row["warning"] else "",
        )
    out.print(table)
    for (town, peer), row in sorted(found.items()):
        other = found.get((peer, town))
        if other is not None and town < peer and row["clearing"] + other["clearing"]:
            apart = abs(row["clearing"] + other["clearing"])
            out.print(f"{town} and {peer} differ by {show_hours(apart)}: received by one, not yet heard by the other.")
    for sentence in silent:
        out.print(sentence)
