"""Figures of several towns together, from the documents of each.

Every service is given in one town and used in one, so towns add up: what was given, and not yet used, is service that
the giver's town has received the hours for and the other town has not yet settled. A person with accounts in two towns
counts in both.
Source: design page 10.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from itertools import combinations
from typing import Any, Final

from timebank_contracts.figures_people import withheld
from timebank_contracts.figures_public import hide_parts
from timebank_contracts.figures_reciprocity import reciprocity

NETWORK_DOCUMENT: Final = "timebank figures of a network"
_SUMS: Final = (
    "given_minutes",
    "home_minutes",
    "export_minutes",
    "import_minutes",
    "used_minutes",
    "exports_by_others_minutes",
)


def network_document(towns: Sequence[dict[str, Any]], *, is_complete: bool) -> dict[str, Any]:
    """The figures of a network.

    Args:
        towns: documents of its towns, of one period, none of them public.
        is_complete: whether these are all towns that exchange services with one another.
    """
    sums = {name: sum(town["product"][name] for town in towns) for name in _SUMS}
    flows = {
        (_name(town), row["peer"]): row["given_minutes"] + row["given_by_others_minutes"]
        for town in towns
        for row in town["peers"]
    }
    shares = reciprocity(flows)
    under_way = sums["given_minutes"] + sums["exports_by_others_minutes"] - sums["used_minutes"]
    return {
        "document": NETWORK_DOCUMENT,
        "version": 1,
        "network": towns[0]["origin"].partition("/")[0],
        "public": False,
        "is_complete": is_complete,
        "cuts": {_name(town): town["cut"] for town in towns},
        "period": towns[0]["period"],
        "product": {
            **sums,
            "not_yet_settled_minutes": under_way if is_complete else None,
            "people": {
                key: sum(town["product"]["people"][key] for town in towns) for key in towns[0]["product"]["people"]
            },
            "confirmed_by": _confirmed(towns),
            "not_counted": _added(towns, ("not_counted",), "purpose"),
            "revisions": sum(town["product"]["revisions"] for town in towns),
        },
        "thanks": {
            "given": sum(town["thanks"]["given"] for town in towns),
            "received": sum(town["thanks"]["received"] for town in towns),
            "thanked": [sum(town["thanks"]["thanked"][at] for town in towns) for at in (0, 1)],
        },
        "money": {"rows": _money(towns)},
        "reciprocity": {"direct": list(shares.direct), "round": list(shares.round)},
        "towns": [{"town": _name(town), **_row(town)} for town in towns],
        "pairs": _pairs(towns, flows),
        "programmes": [
            {"town": _name(town), "programme": row["programme"], "label": row["label"]}
            for town in towns
            for row in town["programmes"]
            if "label" in row
        ],
    }


def _name(town: dict[str, Any]) -> str:
    return str(town["origin"].split("/")[1])


def _row(town: dict[str, Any]) -> dict[str, Any]:
    product = town["product"]
    return {**{name: product[name] for name in _SUMS}, "people": product["people"]}


def _confirmed(towns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of what is used, by who confirmed it: that is known in the town where it is used."""
    rows = _added(towns, ("confirmed_by", "imports_confirmed_by"), "by")
    return [row for row in rows if row["by"] != "elsewhere"]


def _added(towns: Sequence[dict[str, Any]], tables: Sequence[str], name: str) -> list[dict[str, Any]]:
    """Rows of one name in these tables of every town, added up."""
    minutes: Counter[str] = Counter()
    people: Counter[str] = Counter()
    for town in towns:
        for row in [row for table in tables for row in town["product"][table]]:
            minutes[row[name]] += row["minutes"]
            people[row[name]] += row["people"]
    return [{name: key, "minutes": minutes[key], "people": people[key]} for key in sorted(minutes)]


def _money(towns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    sums: Counter[tuple[str, str]] = Counter()
    for row in [row for town in towns for row in town["money"]["rows"]]:
        sums[row["currency"], row["kind"]] += row["minor_units"]
    return [{"currency": one, "kind": two, "minor_units": sums[one, two]} for one, two in sorted(sums)]


def _pairs(towns: Sequence[dict[str, Any]], flows: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
    people = {(_name(town), row["peer"]): row["people"]["giving"] for town in towns for row in town["peers"]}
    names = sorted({name for pair in flows for name in pair})
    rows = []
    for one, two in combinations(names, 2):
        out, back = flows.get((one, two), 0), flows.get((two, one), 0)
        if out or back:
            row = {
                "towns": [one, two],
                "given_by_first_minutes": out,
                "given_by_second_minutes": back,
                "people": {"of_first": people.get((one, two), 0), "of_second": people.get((two, one), 0)},
                "direct": [2 * max(0, min(out, back)), out + back],
            }
            rows.append(row)
    return rows


def public_network(document: dict[str, Any]) -> dict[str, Any]:
    """The public form: towns and pairs with few people are withheld, and others with them."""
    found = deepcopy(document)
    found["public"] = True
    rows = {row["town"]: row for row in found["towns"]}
    gone: set[str] = set()
    for name in document["product"]["people"]:
        gone |= withheld({town: row["people"][name] for town, row in rows.items()})
    for name in gone:
        rows[name].update(dict.fromkeys([*_SUMS, "people"]))
    ways = {f"{at} {side}": count for at, row in enumerate(found["pairs"]) for side, count in row["people"].items()}
    few = {name.partition(" ")[0] for name in withheld(ways)}
    for at, row in enumerate(found["pairs"]):
        if str(at) in few or gone & set(row["towns"]):
            row.update(dict.fromkeys(["given_by_first_minutes", "given_by_second_minutes", "people", "direct"]))
    _hide_sums(found)
    return found


def _hide_sums(found: dict[str, Any]) -> None:
    product = found["product"]
    if not hide_parts(product):
        product["not_yet_settled_minutes"] = None
        found["reciprocity"] = dict.fromkeys(found["reciprocity"])
    if product["people"]["helped"] is None:
        found["thanks"] = dict.fromkeys(found["thanks"])
    for table, name in (("confirmed_by", "by"), ("not_counted", "purpose")):
        cells = withheld({row[name]: row["people"] for row in product[table]})
        for row in product[table]:
            if row[name] in cells:
                row.update(minutes=None, people=None)
