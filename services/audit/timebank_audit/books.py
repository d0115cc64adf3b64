"""The books of every audited town as the report shows them: trial balances and the matrix of positions, in minutes."""

from __future__ import annotations

from typing import Any

from timebank_audit.towns import Town
from timebank_contracts.figures import position_rows, trial_balance
from timebank_contracts.moments import parse_time


def trial_balances(towns: list[Town]) -> list[dict[str, Any]]:
    """Of each town whose journal was replayed to its end: accounts by kind, what is owed to holders and by them."""
    rows = []
    for town in towns:
        if not town.unusable:
            trial = trial_balance(town.replay.book)
            rows.append({"town": town.node, **trial._asdict(), "rows": [row._asdict() for row in trial.rows]})
    return rows


def positions(towns: list[Town]) -> list[dict[str, Any]]:
    """Where each town stands with each peer at the end of its export; ages are in its own time."""
    rows = []
    for town in towns:
        if town.unusable:
            continue
        for row in position_rows(town.replay.book, parse_time(town.replay.book.time)):
            rows.append(
                {
                    "town": town.node,
                    "peer": row.peer,
                    "clearing": row.clearing,
                    "transit": row.transit,
                    "owe_limit": row.owe_limit,
                    "owed_limit": row.owed_limit,
                    "open_transfers": row.open_transfers,
                    "oldest_age_seconds": row.oldest_age_seconds,
                    "state": row.state,
                    "frozen": row.frozen,
                }
            )
    return rows
