"""Figures as a document: what is published, printed and compared. Whole numbers and words, one form for all.

It carries its cut (entries, root) and its period, so that anybody with the journal makes it again; a share is a pair of
numerator and denominator. Minutes and money never meet in one number.
Source: design page 10; definitions for readers: docs/figures.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from timebank_contracts.figures_label import DEFAULT_POLICY, LabelPolicy
from timebank_contracts.figures_people import Cell
from timebank_contracts.figures_period import Period
from timebank_contracts.figures_reciprocity import reciprocity
from timebank_contracts.figures_town import TownFigures
from timebank_contracts.figures_unit import Money, Unit

DOCUMENT: Final = "timebank figures"
VERSION: Final = 1
OUTSIDE: Final = "(outside)"
"""The row of what belongs to no programme and no organisation."""


class Cut(NamedTuple):
    """Which journal the figures are of."""

    entries: int
    root: str
    """Of the Merkle tree over them, in hexadecimal."""


class Rate(NamedTuple):
    """What an hour would cost elsewhere: the operator's word, with its day and source."""

    minor_units_per_hour: int
    currency: str
    of_day: str
    source: str


class Asked(NamedTuple):
    """What the reader adds to the journal."""

    policy: LabelPolicy = DEFAULT_POLICY
    pledges: Mapping[str, int] = {}
    """Organisation → minutes that it pledged for the period."""
    rate: Rate | None = None


NOTHING: Final = Asked()


def town_document(found: TownFigures, *, origin: str, cut: Cut, asked: Asked = NOTHING) -> dict[str, Any]:
    """Everything, for who may see everything; `figures_public.public_document` makes what anybody may see."""
    return {
        "document": DOCUMENT,
        "version": VERSION,
        "origin": origin,
        "public": False,
        "cut": cut._asdict(),
        "period": period_part(found.period),
        "product": _product(found, asked.rate),
        "reciprocity": _reciprocity(found),
        "thanks": {
            "given": found.thanks.given,
            "received": found.thanks.received,
            "thanked": [found.thanks.thanked, found.thanks.services],
        },
        "money": money_part(found.money, found.given.minutes),
        "policy": {key: _plain(value) for key, value in asked.policy._asdict().items()},
        "programmes": [*_programmes(found, asked.policy), _outside(found)],
        "organisations": _organisations(found, asked.pledges),
        "peers": _peers(found),
    }


def period_part(period: Period) -> dict[str, Any]:
    """The days that the figures are about."""
    kept = ("first_day", "last_day", "zone", "label_first_day")
    return {key: value for key, value in period._asdict().items() if key in kept}


def _product(found: TownFigures, rate: Rate | None) -> dict[str, Any]:
    given, home = found.given.minutes, found.home_minutes
    return {
        "given_minutes": given,
        "home_minutes": home,
        "export_minutes": found.exports.minutes,
        "import_minutes": found.import_minutes,
        "used_minutes": home + found.import_minutes,
        "exports_by_others_minutes": found.exports_by_others_minutes,
        "people": {
            "giving": found.given.people,
            "helped": found.used.people,
            "giving_here": found.home.people,
            "giving_elsewhere": found.exports.people,
            "helped_from_elsewhere": found.imports.people,
        },
        "services": {**found.services, "taken_back": found.taken_back},
        "confirmed_by": _rows("by", found.confirmed),
        "imports_confirmed_by": _rows("by", found.confirmed_imports),
        "not_counted": _rows("purpose", found.excluded),
        "revisions": found.revisions,
        "replacement": None
        if rate is None
        else {**rate._asdict(), "minor_units": given * rate.minor_units_per_hour // 60},
    }


def _rows(name: str, cells: Mapping[str, Cell]) -> list[dict[str, Any]]:
    return [{name: key, "minutes": cells[key].minutes, "people": cells[key].people} for key in sorted(cells)]


def _reciprocity(found: TownFigures) -> dict[str, Any]:
    shares = None if found.pairs is None else reciprocity(found.pairs)
    giving = {account for account, minutes in found.given.of.items() if minutes > 0}
    helped = {account for account, minutes in found.used.of.items() if minutes > 0}
    return {
        "direct": None if shares is None else list(shares.direct),
        "round": None if shares is None else list(shares.round),
        "people": {
            "givers_only": len(giving - helped),
            "receivers_only": len(helped - giving),
            "both": len(giving & helped),
        },
        "given_to_other_towns": [found.exports.minutes, found.given.minutes],
        "used_from_other_towns": [found.import_minutes, found.home_minutes + found.import_minutes],
    }


def money_part(money: Money, given_minutes: int) -> dict[str, Any]:
    """Money by kind; and the one ratio: minutes given beside what was spent, in minor units of each currency."""
    rows = [
        {"currency": currency, "kind": kind, "minor_units": minor_units}
        for (currency, kind), minor_units in sorted(money.of.items())
    ]
    return {
        "rows": rows,
        "unlisted_records": money.unlisted,
        "minutes_for_spent": {currency: [given_minutes, spent] for currency, spent in money.spent().items()},
    }


def _economies(unit: Unit) -> dict[str, Any]:
    return {
        "given_minutes": unit.given.minutes,
        "used_minutes": unit.used.minutes,
        "elsewhere_minutes": unit.elsewhere_minutes,
        "people": {"giving": unit.given.people, "helped": unit.used.people},
        "money": money_part(unit.money, unit.given.minutes),
    }


def _programmes(found: TownFigures, policy: LabelPolicy) -> list[dict[str, Any]]:
    rows = []
    for name in sorted(found.units):
        unit = found.units[name]
        if unit.kind != "programme":
            continue
        made = unit.two_way(policy)
        shares = {key: _plain(value) for key, value in made._asdict().items() if key != "label"}
        rows.append(
            {"programme": name, "owner": unit.owner, "label": made.label, **_economies(unit), "two_way": shares}
        )
    return rows


def _outside(found: TownFigures) -> dict[str, Any]:
    given, used = found.given_outside, found.used_outside
    return {
        "programme": OUTSIDE,
        "given_minutes": given.minutes,
        "used_minutes": used.minutes,
        "people": {"giving": given.people, "helped": used.people},
    }


def _organisations(found: TownFigures, pledges: Mapping[str, int]) -> list[dict[str, Any]]:
    rows = []
    for name in sorted(found.units):
        unit = found.units[name]
        if unit.kind != "organisation":
            continue
        pledged = pledges.get(name, 0)
        pledge = unit.pledge(pledged)
        shares = unit.two_way()
        said = {
            "pledged_minutes": pledged,
            "accepted_minutes": unit.accepted_minutes,
            "issued_minutes": unit.issued_minutes,
            "accepted_of_pledged": None if pledge.accepted is None else list(pledge.accepted),
            "issued_of_accepted": list(pledge.issued),
            "two_way": {key: _plain(getattr(shares, key)) for key in ("rho", "givers_only", "receivers_only", "both")},
        }
        rows.append({"organisation": name, **_economies(unit), **said})
    return rows


def _peers(found: TownFigures) -> list[dict[str, Any]]:
    rows = []
    for name in sorted(found.peers):
        flow = found.peers[name]
        out, back = flow.given.minutes + flow.given_by_others_minutes, flow.used_minutes
        rows.append(
            {
                "peer": name,
                "given_minutes": flow.given.minutes,
                "given_by_others_minutes": flow.given_by_others_minutes,
                "used_minutes": back,
                "people": {"giving": flow.given.people, "helped": flow.used.people},
                "direct": [2 * max(0, min(out, back)), out + back],
            }
        )
    return rows


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def first_difference(expected: Any, found: Any, path: str = "") -> tuple[str, str, str] | None:
    """Where two documents first differ: path, what is expected there, what is found; None when they are equal."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted({*expected, *map(str, found)}):
            step = f"{path}.{key}" if path else key
            if key not in expected or key not in found:
                return step, str(expected.get(key, "nothing")), str(found.get(key, "nothing"))
            inner = first_difference(expected[key], found[key], step)
            if inner is not None:
                return inner
        return None
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for at, (one, two) in enumerate(zip(expected, found, strict=True)):
            inner = first_difference(one, two, f"{path}[{at}]")
            if inner is not None:
                return inner
        return None
    is_same = type(expected) is type(found) and expected == found
    return None if is_same else (path, str(expected), str(found))
