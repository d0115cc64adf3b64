"""The season's files as text: CSV with amounts as people type them, and what is expected of it as JSON. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence

from deploy.demo.cast import TOWNS, Member
from deploy.demo.draws import Draws
from deploy.demo.replay import Line, Replay

REFUSALS = ("floor", "pair_limit_exceeded")
RETURNS = ("ceiling_exceeded",)


def season_files(seed: str, lines: Sequence[Line], replay: Replay, members: Sequence[Member]) -> dict[str, str]:
    """File name → content.

    Args:
        seed: from which the lines were drawn; the forms of the amounts are drawn from it too.
        lines: in order of time.
        replay: where the season ends.
        members: everybody.
    """
    towns = [
        (town.town, town.title, _limit(town.default_floor), _limit(town.default_ceiling), _limit(town.pair_limit))
        for town in TOWNS
    ]
    people = [
        (person.town, person.handle, person.kind, person.name, _limit(person.floor), _limit(person.ceiling))
        for person in members
    ]
    return {
        "towns.csv": _csv("town,title,default_floor,default_ceiling,pair_limit", towns),
        "members.csv": _csv("town,handle,kind,name,floor,ceiling", people),
        "exchanges.csv": _exchanges(Draws(f"{seed}, forms"), lines),
        "expected.json": json.dumps(_expected(seed, lines, replay), indent=2) + "\n",
    }


def _exchanges(draws: Draws, lines: Sequence[Line]) -> str:
    heading = "time,payer_town,payer,payee_town,payee,amount,purpose,activity,served_on,given,confirmed_by,group"
    rows = [
        (
            line.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            line.payer_town,
            line.payer,
            line.payee_town,
            line.payee,
            draws.one(_forms(line.minutes)),
            line.purpose,
            line.activity,
            line.served_on,
            "" if line.given is None else draws.one(_forms(line.given)),
            line.confirmed_by,
            line.group,
        )
        for line in lines
    ]
    return _csv(heading, rows)


def _expected(seed: str, lines: Sequence[Line], replay: Replay) -> dict[str, object]:
    groups = {line.group for line in lines if line.group}
    names = [town.town for town in TOWNS]
    return {
        "about": "Synthetic: what the ledger must make of exchanges.csv. A step is a row, or all rows of a group.",
        "seed": seed,
        "rows": len(lines),
        "groups": len(groups),
        "steps": replay.outcomes.total(),
        "rows_between_towns": sum(line.payer_town != line.payee_town for line in lines),
        "accepted": replay.outcomes["accepted"],
        "refused": {code: replay.outcomes[code] for code in REFUSALS},
        "returned": {reason: replay.outcomes[reason] for reason in RETURNS},
        "accepted_minutes": sum(line.minutes for line in replay.taken),
        "pots_minutes": {name: replay.accounts[name, "pot"].balance for name in names},
        "owes_minutes": {
            name: {other: max(0, replay.debts[name, other]) for other in names if other != name} for name in names
        },
    }


def _csv(heading: str, rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([heading.split(","), *rows])
    return text.getvalue()


def _limit(minutes: int | None) -> str:
    """Limits are whole hours here; empty: the town's default."""
    if minutes is None:
        return ""
    assert minutes % 60 == 0
    return f"{minutes // 60}h" if minutes else "0"


def _forms(minutes: int) -> list[str]:
    """The ways in which a person may type it; a decimal only where it is exact to two places."""
    hours, rest = divmod(minutes, 60)
    forms = [f"{hours}:{rest:02d}", f"{minutes}m"]
    if not rest:
        return [*forms, f"{hours}h"]
    if hours:
        forms += [f"{hours}h{rest:02d}", f"{hours}h {rest}m"]
    if rest % 15 == 0:
        decimal = f"{minutes / 60:.2f}".rstrip("0")
        forms += [f"{decimal}h", f"{decimal.replace('.', ',')}h"]
    return forms
