"""A70 for figures: a document that a town gave out is made again from its journal, and compared number by number.

What the reader must add to the journal (thresholds, pledges, a rate) is taken from the document; all else is computed.
Source: design page 5, A70; design page 10.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from timebank_audit.figures import Wanted, cut_of, figures_of
from timebank_audit.findings import Findings
from timebank_audit.towns import Town
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import Currency, Day, JournalPosition
from timebank_contracts.figures_document import DOCUMENT, VERSION, Asked, Cut, Rate, first_difference, town_document
from timebank_contracts.figures_label import LabelPolicy
from timebank_contracts.figures_network import NETWORK_DOCUMENT
from timebank_contracts.figures_period import Period, Ratio, make_period
from timebank_contracts.figures_public import public_document
from timebank_contracts.figures_town import TownFigures

KINDS: Final = frozenset({DOCUMENT, NETWORK_DOCUMENT})
_Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_Share = tuple[_Count, Annotated[int, Meta(ge=1, le=2**53 - 1)]]


class _Kind(msgspec.Struct, frozen=True):
    document: str = ""


class _Cut(msgspec.Struct, frozen=True):
    entries: JournalPosition


class _Period(msgspec.Struct, frozen=True):
    first_day: Day
    last_day: Day
    zone: Annotated[str, Meta(max_length=60)]


class _Policy(msgspec.Struct, frozen=True):
    people_min: _Count
    active_minutes: _Count
    one_way_below: _Share
    two_way_from: _Share
    independence_from: _Share
    design_from: _Share
    designers_min: _Count


class _Rate(msgspec.Struct, frozen=True):
    minor_units_per_hour: _Count
    currency: Currency
    of_day: Day
    source: Annotated[str, Meta(max_length=200)]


class _Product(msgspec.Struct, frozen=True):
    replacement: _Rate | None = None


class _Organisation(msgspec.Struct, frozen=True):
    organisation: str
    pledged_minutes: _Count | None = None


class _Given(msgspec.Struct, frozen=True):
    """What is taken from a document, to make it again."""

    version: int
    public: bool
    cut: _Cut
    period: _Period
    policy: _Policy
    product: _Product
    organisations: list[_Organisation]


class GivenFigures(msgspec.Struct, frozen=True):
    """A document that was given out: where it lies, what it says, and what it is to be compared with."""

    place: str
    said: dict[str, Any]
    wanted: Wanted
    asked: Asked
    is_public: bool


_kind: Final = msgspec.json.Decoder(_Kind)
_given: Final = msgspec.json.Decoder(_Given)
_any: Final = msgspec.json.Decoder(dict[str, Any])


def kind_of(raw: bytes) -> str:
    """Which document of figures this is; empty for a trial balance, and for what is none at all."""
    try:
        found = _kind.decode(raw).document
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return ""
    return found if found in KINDS else ""


def read_given(town: Town, path: str, raw: bytes, unproven: list[str]) -> GivenFigures | None:
    """A document of figures; None when it cannot be compared, which is then said.

    Raises:
        Malformed: it is no such document.
    """
    if kind_of(raw) == NETWORK_DOCUMENT:
        unproven.append(f"{town.node}: {path} is about a network; make it again by `timebank figures`, and compare.")
        return None
    try:
        given, said = _given.decode(raw), _any.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Malformed(f"{town.files.store.name}/{path} is no document of figures: {error}.") from error
    place = f"{path}, figures after {given.cut.entries} entries"
    if given.version != VERSION:
        unproven.append(f"{town.node}: {place} is of form {given.version}; this auditor knows {VERSION}.")
        return None
    if given.cut.entries > town.size:
        unproven.append(f"{town.node}: {place} goes beyond the export; it was not compared.")
        return None
    return GivenFigures(place, said, Wanted(given.cut.entries, _period(given)), _asked(given), given.public)


def _period(given: _Given) -> Period:
    return make_period(given.period.first_day, given.period.last_day, given.period.zone)


def _asked(given: _Given) -> Asked:
    policy, rate = given.policy, given.product.replacement
    return Asked(
        policy=LabelPolicy(
            people_min=policy.people_min,
            active_minutes=policy.active_minutes,
            one_way_below=Ratio(*policy.one_way_below),
            two_way_from=Ratio(*policy.two_way_from),
            independence_from=Ratio(*policy.independence_from),
            design_from=Ratio(*policy.design_from),
            designers_min=policy.designers_min,
        ),
        pledges={row.organisation: row.pledged_minutes for row in given.organisations if row.pledged_minutes},
        rate=None if rate is None else Rate(rate.minor_units_per_hour, rate.currency, rate.of_day, rate.source),
    )


def judge_given(town: Town, given: list[GivenFigures], findings: Findings) -> None:
    """A70 of a town's documents, in one replay for all of them."""
    for one, figures in zip(given, figures_of(town, [one.wanted for one in given]), strict=True):
        findings.examine("A70")
        _compare(town, one, figures, findings)


def _compare(town: Town, given: GivenFigures, figures: TownFigures, findings: Findings) -> None:
    entries = given.wanted.entries
    # Tiles that are not those of the entries are a fault of their own (A01), and say nothing of the figures.
    cut = cut_of(town, entries) if town.log_is_sound else Cut(entries, given.said["cut"].get("root"))
    true = town_document(figures, origin=town.identity.origin, cut=cut, asked=given.asked)
    difference = first_difference(public_document(true) if given.is_public else true, given.said)
    if difference is not None:
        path, expected, found = difference
        said = [_printable(text) for text in (f"{given.place}, {path}", expected, found)]
        findings.add("A70", town=town.node, place=said[0], expected=said[1], found=said[2])


def _printable(text: str) -> str:
    """What a stranger's document says, without anything that a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text[:300])
