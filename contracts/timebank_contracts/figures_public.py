"""What of figures anybody may see: numbers about fewer than five people are withheld, and what would give them away.

A withheld number is `null`. Of a programme's index only the word is shown.
Source: design page 10, "Suppression" and "The label is computed".
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from timebank_contracts.figures_people import is_few, withheld

PARTS: Final = ("giving_here", "giving_elsewhere", "helped_from_elsewhere")


def public_document(document: dict[str, Any]) -> dict[str, Any]:
    """The public form of a town's figures; the document itself stays as it is."""
    found = deepcopy(document)
    found["public"] = True
    people = found["product"]["people"]
    given_few, helped_few = is_few(people["giving"]), is_few(people["helped"])
    is_split = _hide_product(found["product"])
    _hide_reciprocity(found, hidden=given_few or helped_few)
    if helped_few:
        _hide(found["thanks"], "given", "received", "thanked")
    if found["product"]["given_minutes"] is None:
        _hide(found["money"], "minutes_for_spent")
    _hide_units(found)
    peers = found["peers"]
    _hide_rows(peers, _gone(peers, "peer") if is_split else {row["peer"] for row in peers}, "peer")
    return found


def _hide(of: dict[str, Any], *names: str) -> None:
    for name in names:
        if name in of:
            of[name] = None


def hide_parts(product: dict[str, Any]) -> bool:
    """Withhold sums and parts by who stands behind them; returns whether home, export and import may be told apart."""
    people = product["people"]
    few = {name for name, count in people.items() if is_few(count)}
    if few & {"giving", "giving_elsewhere"}:
        _hide(product, "given_minutes", "replacement")
    if few & {"helped", "giving_here", "helped_from_elsewhere"}:
        _hide(product, "used_minutes")
    for name in few:
        people[name] = None
    if few:
        # Of three parts with two sums a reader who knows that one is 0 finds the others: so none is told.
        _hide(people, *PARTS)
        _hide(product, "home_minutes", "export_minutes", "import_minutes", "exports_by_others_minutes")
    return not few


def _hide_product(product: dict[str, Any]) -> bool:
    is_split = hide_parts(product)
    if not is_split:
        _hide(product, "services")
    for table, name in (("confirmed_by", "by"), ("imports_confirmed_by", "by"), ("not_counted", "purpose")):
        gone = withheld({row[name]: row["people"] for row in product[table]})
        for row in product[table]:
            if row[name] in gone or (name == "by" and not is_split):
                _hide(row, "minutes", "people")
    return is_split


def _hide_reciprocity(found: dict[str, Any], *, hidden: bool) -> None:
    shares = found["reciprocity"]
    sides = shares["people"]
    gone = withheld(sides)
    shares["people"] = {name: None if name in gone else count for name, count in sides.items()}
    if hidden:
        _hide(shares, "direct", "round")
    if hidden or found["product"]["home_minutes"] is None:
        _hide(shares, "given_to_other_towns", "used_from_other_towns")


def _hide_units(found: dict[str, Any]) -> None:
    """Programmes, organisations and what lies outside are one table: together they are the town."""
    programmes, organisations = found["programmes"], found["organisations"]
    owners = {row.get("owner") for row in programmes}
    alone = [row for row in organisations if row["organisation"] not in owners]
    table = [{**row, "unit": row.get("programme") or row["organisation"]} for row in [*programmes, *alone]]
    # Who runs programmes is shown by them: beside them its sum would tell what is left of it.
    gone = _gone(table, "unit") | {row["organisation"] for row in organisations if row not in alone}
    for row in [*programmes, *organisations]:
        row.pop("two_way", None)
        row.pop("elsewhere_minutes", None)
    _hide_rows(programmes, gone, "programme")
    _hide_rows(organisations, gone, "organisation")


def _gone(rows: list[dict[str, Any]], name: str) -> set[str]:
    sides = ({row[name]: row["people"][side] for row in rows} for side in ("giving", "helped"))
    return set().union(*map(withheld, sides))


def _hide_rows(rows: list[dict[str, Any]], gone: set[str], name: str) -> None:
    for row in rows:
        if row[name] in gone:
            _hide(row, *[key for key in row if key.endswith("_minutes")])
            _hide(row, "people", "direct", "accepted_of_pledged", "issued_of_accepted")
            if "money" in row:
                _hide(row["money"], "minutes_for_spent")
