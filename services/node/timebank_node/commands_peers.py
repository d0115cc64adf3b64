"""Commands about peers: limits and what is used of them, suspension, and the matrix of positions over all towns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from timebank_contracts.amounts import show_hours
from timebank_contracts.errors import Malformed
from timebank_node.operator_door import OperatorDoor


def show_limits(out: Console, door: OperatorDoor) -> None:
    """Print each peer's limits, what is used of them, and what was proposed."""
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


def show_matrix(out: Console, doors: Sequence[OperatorDoor]) -> None:
    """Print what each town says of each of its peers: positions, transfers under way, ages, limits that are near."""
    table = Table("Town", "Peer", "State", "Position", "Under way", "Open", "Oldest", "", box=None)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    silent = []
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
