"""The cast of the synthetic season: three towns and invented people. No person or organisation here exists.

The towns are places in Wales; surnames are Welsh and English words for plants, birds and weather, so that nobody takes
them for real ones. Times are typed as a person types them.
"""

from __future__ import annotations

import unicodedata
from typing import Final, NamedTuple


class Town(NamedTuple):
    """A town of the demo; limits in minutes."""

    town: str
    title: str
    default_floor: int = -600
    default_ceiling: int = 6_000
    pair_limit: int = 2_400


class Member(NamedTuple):
    """Somebody who takes part; weights say how often they are drawn."""

    town: str
    handle: str
    kind: str
    name: str
    floor: int | None
    ceiling: int | None
    gives: int
    receives: int


TOWNS: Final = (
    Town("aberdare", "Aberdare Timebank (synthetic)"),
    Town("barry", "Barry Timebank (synthetic)"),
    Town("caernarfon", "Banc Amser Caernarfon (synthetic)"),
)

_NAMES: Final = {
    "aberdare": "Alys Rhedyn,Bethan Lleuad,Carwyn Glaswellt,Dilys Gwennol,Edith Marshlantern,Ffion Barcud,"
    "Gethin Cwmwl,Hannah Thistledown,Idris Pilipala,Joan Kettlewood,Keith Ravensbrook,Lowri Eirlys,Megan Brithyll,"
    "Norman Oatfield,Owain Dryw,Peggy Willowmere,Rhodri Mwsogl,Siân Briallu,Tomos Niwl,Una Hazelmist,Vera Cloverdale,"
    "Wyn Celyn,Yasmin Larkrise,Zoe Fernhollow",
    "barry": "Anwen Gwylan,Bryn Tonnau,Cerys Cregyn,Derek Saltmarsh,Eleri Heulwen,Frank Driftwood,Glenys Morfa,"
    "Huw Gwymon,Iona Seabreeze,Jack Pebbleshore,Kirsty Foamcrest,Llinos Aderyn,Mali Enfys,Nigel Sandpiper,Olwen Llanw,"
    "Priya Lighthaven,Rhian Gwynt,Stan Cocklewick,Trefor Angor,Winifred Tidewell",
    "caernarfon": "Arwel Mynydd,Beca Grug,Ceri Hebog,Dafydd Clogwyn,Elin Rhaeadr,Fred Stonecrop,Gwenllian Eira,"
    "Heledd Afon,Ifan Derwen,Jean Heathermoor,Kenneth Slatefold,Luned Seren,Mair Ffynnon,Nest Bedwen,Osian Wennol,"
    "Rose Bramblegate",
}
_ORGANISATIONS: Final = (
    ("aberdare", "cwm-garden", "Cwm Pretend Community Garden"),
    ("aberdare", "repair-shed", "Make-Believe Repair Shed"),
    ("barry", "shore-kitchen", "Imaginary Shore Kitchen"),
    ("caernarfon", "cylch-cymraeg", "Cylch Cymraeg Dychmygol"),
)
_BUSY: Final = (2, 5, 1, 8, 3, 1, 4, 2, 12, 1, 3, 6)
"""How often people take part: a few are at the heart of a timebank, most come now and then."""

_ROLES: Final = ("both", "both", "giver", "both", "receiver", "both", "receiver", "both", "both", "giver", "receiver")
"""Somewhat more than half give and receive; the others do the one or the other."""

POPULAR: Final = ("barry", "bryn")
"""Gives much and keeps a low ceiling of their own: somebody's thanks will not fit under it."""


def members() -> list[Member]:
    """Everybody, town by town, organisations last."""
    people: list[Member] = []
    for town, names in _NAMES.items():
        for name in names.split(","):
            number = len(people)
            busy, role = _BUSY[number % len(_BUSY)], _ROLES[number % len(_ROLES)]
            handle = _handle(name.split()[0])
            floor, ceiling, gives = None, None, busy
            if (town, handle) == POPULAR:
                ceiling, gives, busy, role = 1_200, 12, 2, "both"
            elif number % 13 == 5:
                floor = -900
            gives, receives = 0 if role == "receiver" else gives, 0 if role == "giver" else busy
            people.append(Member(town, handle, "member", name, floor, ceiling, gives, receives))
    for town, handle, name in _ORGANISATIONS:
        people.append(Member(town, handle, "organisation", name, -9_000, 18_000, 6, 9))
    return people


def _handle(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.lower())
    return "".join(letter for letter in plain if letter.isascii() and letter.isalpha())


AMOUNTS: Final = (
    (30, 4),
    (45, 4),
    (50, 1),
    (60, 10),
    (75, 3),
    (80, 1),
    (90, 9),
    (120, 15),
    (150, 9),
    (180, 14),
    (210, 7),
    (240, 10),
    (300, 8),
    (360, 6),
    (450, 2),
    (480, 3),
)
"""(minutes, weight): published timebanks report 2.8 to 2.9 hours an exchange."""

ACTIVITIES: Final = (
    ("transport", 10),
    ("garden", 12),
    ("household", 10),
    ("repair", 8),
    ("shopping", 7),
    ("cooking", 7),
    ("companionship", 12),
    ("teaching", 5),
    ("language", 6),
    ("digital", 7),
    ("arts", 3),
    ("sport", 2),
    ("events", 4),
    ("admin", 4),
    ("design", 4),
    ("environment", 4),
    ("other", 2),
)
CONFIRMED_BY: Final = (("receiver", 86), ("broker", 9), ("delegate", 3), ("none", 2))
"""Who confirms a service, with weights."""


class Group(NamedTuple):
    """A group session: who pays goes to the leaders or to the pot, and the pot may add to it."""

    town: str
    day: int
    """Day of the season from which on it happens."""
    activity: str
    minutes: int
    """What each attendee pays."""
    pay_leaders: int
    """How many of the attendees pay the leaders."""
    pay_pot: int
    from_pot: int
    """Minutes that the pot pays the leader."""
    leaders: int
    given: int | None
    """Minutes of time given by each leader, where they differ from what they are paid."""


GROUPS: Final = (
    Group("aberdare", 38, "arts", 30, pay_leaders=3, pay_pot=5, from_pot=0, leaders=1, given=None),
    Group("barry", 87, "cooking", 15, pay_leaders=5, pay_pot=0, from_pot=45, leaders=1, given=150),
    Group("caernarfon", 129, "language", 20, pay_leaders=6, pay_pot=0, from_pot=0, leaders=2, given=None),
)
"""A painting morning whose surplus goes to the pot, a cooking class that the pot tops up, a Welsh circle of two."""
