"""Reading towns and members: limits as typed, and the first bad line by name."""

from __future__ import annotations

import pytest

from timebank_contracts.errors import Malformed
from timebank_node.townsfolk import MemberLine, TownLine, parse_limit, read_members, read_towns

TOWNS = "town,title,default_floor,default_ceiling,pair_limit\n"
MEMBERS = "town,handle,kind,name,floor,ceiling\n"


def test_limits_are_read_as_typed_and_an_empty_one_is_the_towns_default() -> None:
    assert read_towns((TOWNS + "barry,Y Barri,-10h,100h,40h\n").encode()) == [
        TownLine("barry", "Y Barri", -600, 6000, 2400)
    ]
    members = read_members((MEMBERS + "barry,mali,member,Mali Enfys,,20h\nbarry,shop,organisation,Shop,0,\n").encode())
    assert members[0] == MemberLine("barry", "mali", "member", "Mali Enfys", None, 1200)
    assert (members[1].floor, members[1].ceiling) == (0, None)


def test_a_true_minus_sign_is_a_minus_and_zero_needs_no_unit() -> None:
    assert (parse_limit("−1:30"), parse_limit("-90m"), parse_limit("0"), parse_limit(" 0h ")) == (-90, -90, 0, 0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("barry,mali,member,Mali,10h,", "Line 2, column floor: A floor is 0 or less"),
        ("barry,mali,member,Mali,,-1h", "Line 2, column ceiling: A floor is 0 or less"),
        ("barry,mali,member,Mali,-10,", "Line 2, column floor: Write 0, or time"),
        ("barry,mali,person,Mali,,", "Line 2, column kind"),
        ("barry,pot,member,Mali,,", "Line 2, column handle"),
        ("b,mali,member,Mali,,", "Line 2, column town"),
        ("barry,mali,member,,,", "Line 2, column name"),
        ("barry,mali,member", "Line 2: The line has another number of cells"),
        ("barry,mali,member,Mali,,\nbarry,mali,member,Mali,,", "more than once: barry/mali"),
    ],
)
def test_a_bad_line_refuses_the_file_by_line_and_column(line: str, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read_members((MEMBERS + line).encode())
