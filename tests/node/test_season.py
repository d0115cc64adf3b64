"""Reading rows of a season: every line is a row, a named refusal or the heading, whatever the bytes are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.errors import Malformed
from timebank_node.rows import given_of, postings_of
from timebank_node.season import COLUMNS, REQUIRED, Season, read_rows
from timebank_node.tables import FILE_BYTES_MAX, ROWS_MAX

SHORT = ",".join(REQUIRED)
FULL = ",".join(COLUMNS)
GOOD = "2026-01-05T09:30Z,aberdare,alys,barry,bryn,1:30"


def read(*lines: str) -> Season:
    season = read_rows("\n".join(lines).encode())
    assert season.lines == len(season.rows) + len(season.refused) + season.has_heading
    return season


def refusal(*lines: str) -> tuple[int, str, str]:
    season = read(*lines)
    assert len(season.refused) == 1
    bad = season.refused[0]
    return bad.line, bad.column, bad.reason


def test_the_six_required_columns_are_enough_and_the_rest_has_stated_meanings() -> None:
    row = read(SHORT, GOOD).rows[0]
    assert (row.line, row.minutes, row.purpose, row.activity) == (2, 90, "service", "other")
    assert (row.served_on, row.confirmed_by, row.given_minutes, row.group) == ("2026-01-05", "none", None, None)
    assert row.time == datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
    assert row.crosses_towns


@pytest.mark.parametrize(
    ("payer", "payee", "purpose"),
    [("alys", "pot", "pot"), ("pot", "alys", "support"), ("grant", "alys", "grant"), ("grant", "pot", "grant")],
)
def test_a_towns_own_account_decides_the_purpose_where_none_is_named(payer: str, payee: str, purpose: str) -> None:
    row = read(SHORT, f"2026-01-05,barry,{payer},barry,{payee},1h").rows[0]
    assert (row.purpose, row.activity, row.served_on) == (purpose, None, None)


def test_a_byte_order_mark_semicolons_quotes_and_another_order_of_columns_are_read() -> None:
    text = (
        '\ufeffAmount;Payee;payee_town;Payer;payer_town;TIME\r\n"1,5h"; bryn ;Barry;Alys;aberdare;2026-01-05 09:30\r\n'
    )
    row = read_rows(text.encode()).rows[0]
    assert (row.payer, row.payee, row.payee_town, row.minutes) == ("alys", "bryn", "barry", 90)
    assert read(SHORT, GOOD.replace("1:30", '"1,5h"')).rows[0].minutes == 90


def test_a_column_that_is_not_known_is_named_and_left_aside() -> None:
    season = read(SHORT + ",note,purpuse", GOOD + ",thanks,gift")
    assert season.ignored == ("note", "purpuse")
    assert season.rows[0].purpose == "service"


def test_a_file_without_a_heading_loses_no_row() -> None:
    season = read(GOOD, GOOD.replace("09:30", "08:30"))
    assert (season.has_heading, [row.line for row in season.rows]) == (False, [2, 1])


@pytest.mark.parametrize(
    "first", ["date,from_town,to,to_town,from,hours", "x" + GOOD, SHORT.replace("payee,", ""), ","]
)
def test_a_first_line_that_is_neither_heading_nor_row_refuses_the_file(first: str) -> None:
    with pytest.raises(Malformed, match="first line must name the columns"):
        read_rows(f"{first}\n{GOOD}".encode())


def test_a_column_named_twice_refuses_the_file() -> None:
    with pytest.raises(Malformed, match="twice: payer"):
        read_rows(f"{SHORT},payer\n".encode())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\xff\xfet\x00", "UTF-16"),
        (f"{SHORT}\n{GOOD}\n".encode() + b"2026,Si\xe2n", "Line 3 is not UTF-8"),
        (b"x" * (FILE_BYTES_MAX + 1), "bytes"),
        (b"\n" * (ROWS_MAX + 2), "1,000,000 rows"),
        (b'"time,payer\n', "Line 1"),
    ],
    ids=["empty", "utf-16", "latin-1", "too many bytes", "too many rows", "open quote"],
)
def test_a_file_that_cannot_be_used_as_a_whole_says_what_to_change(data: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read_rows(data)


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (GOOD.replace("1:30", "90"), "amount", "Write the unit"),
        (GOOD.replace("1:30", "0m"), "amount", "1 to 60,000"),
        (GOOD.replace("1:30", "60001m"), "amount", "1 to 60,000"),
        (GOOD.replace("1:30", "-1:30"), "amount", "whole minutes"),
        (GOOD.replace("1:30", "1.33h"), "amount", "whole minutes"),
        (GOOD.replace("1:30", "1e3m"), "amount", "whole minutes"),
        (GOOD.replace("1:30", "９０m"), "amount", "whole minutes"),
        (GOOD.replace("09:30Z", "25:30Z"), "time", "written as"),
        (GOOD.replace("2026-01-05T09:30Z", "05/01/2026"), "time", "written as"),
        (GOOD.replace("2026-01-05T09:30Z", "2026-W01-1"), "time", "written as"),
        (GOOD.replace("aberdare", "a b"), "payer_town", "A town"),
        (GOOD.replace("alys", "Alys Rhedyn"), "payer", "A handle"),
        (GOOD.replace("bryn", ""), "payee", "A handle"),
        (GOOD.replace("bryn", "lost"), "payee", "town's books"),
        (GOOD.replace("bryn", "pot"), "purpose", "Between towns"),
        (GOOD.replace("barry,bryn", "aberdare,grant"), "purpose", "does not fit"),
        (GOOD + ",1:30", "", "number of cells"),
        (GOOD.replace("alys", '"alys'), "", "quotation mark"),
        (GOOD.replace("alys", "al\x00ys"), "", "invisible"),
        (GOOD + "m" * 2_000, "", "characters"),
        (",,,,,", "", "empty"),
        ("", "", "empty"),
    ],
)
def test_a_bad_row_is_named_with_line_column_and_reason_and_its_neighbours_stand(
    row: str, column: str, reason: str
) -> None:
    line, at, said = refusal(SHORT, GOOD, row, GOOD)
    assert (line, at) == (3, column)
    assert reason in said
    assert [good.line for good in read(SHORT, GOOD, row, GOOD).rows] == [2, 4]


@pytest.mark.parametrize(
    ("rest", "column"),
    [
        ("gift,garden,,,,", "activity"),
        ("gift,,,1h,,", "activity"),
        ("service,sleeping,,,,", "activity"),
        ("service,,2026-02-30,,,", "served_on"),
        ("service,,,2,,", "given"),
        ("service,,,,me,", "confirmed_by"),
        ("service,,,,,class", "group"),
        ("group,,,,,", "group"),
        ("group,,,,,class 1", "group"),
        ("loan,,,,,", "purpose"),
        ("support,,,,,", "purpose"),
    ],
)
def test_an_optional_cell_that_does_not_fit_is_named(rest: str, column: str) -> None:
    line, at, _ = refusal(FULL, f"2026-01-05,barry,alys,barry,bryn,1h,{rest}")
    assert (line, at) == (2, column)


def test_only_service_and_gift_cross_towns() -> None:
    for purpose, fits in (("service", True), ("gift", True), ("correction", False), ("group", False)):
        group = "class" if purpose == "group" else ""
        season = read(FULL, f"{GOOD},{purpose},,,,,{group}")
        assert bool(season.rows) == fits
        assert fits or season.refused[0].column == "purpose"


def test_a_handle_that_looks_like_another_of_the_town_is_refused_and_elsewhere_it_is_not() -> None:
    line, column, reason = refusal(
        SHORT, GOOD, GOOD.replace("alys", "a1ys"), GOOD.replace("aberdare,alys", "wrexham,a1ys")
    )
    assert (line, column) == (3, "payer")
    assert "looks the same" in reason


def test_rows_come_in_order_of_time_and_those_of_one_time_in_the_files_order() -> None:
    later, at_once = GOOD.replace("09:30Z", "10:30+01:00"), GOOD.replace("09:30Z", "09:29:59.999")
    assert [row.line for row in read(SHORT, GOOD, later, at_once).rows] == [4, 2, 3]


def group(payer: str, payee: str, amount: str, *, given: str = "", time: str = "2026-01-05") -> str:
    return f"{time},barry,{payer},barry,{payee},{amount},group,arts,,{given},receiver,class"


CLASS = (group("alys", "bryn", "30m", given="2h"), group("dai", "pot", "30m"), group("pat", "bryn", "45m", given="2h"))


def test_the_rows_of_a_group_become_one_step_whose_postings_sum_to_nothing() -> None:
    steps = list(read(FULL, "2026-01-04,barry,alys,barry,pat,1h,,,,,,", *CLASS).steps())
    assert [len(step) for step in steps] == [1, 3]
    assert postings_of(steps[1]) == [("alys", -30), ("dai", -30), ("pat", -45), ("bryn", 75), ("pot", 30)]
    assert given_of(steps[1]) == [("bryn", 120)]
    assert given_of(steps[0]) is None


@pytest.mark.parametrize(
    "odd",
    [
        group("eve", "bryn", "30", given="2h"),
        group("eve", "bryn", "30m", given="2h", time="2026-01-06"),
        group("eve", "bryn", "30m", given="1h"),
        group("eve", "alys", "30m"),
        group("eve", "bryn", "999h", given="2h") + "\n" + group("fay", "bryn", "999h", given="2h"),
        '"unreadable',
        "2026-01-05,barry,alys,barry,pat,1h,,,,,,\n" + group("eve", "bryn", "30m", given="2h"),
    ],
    ids=["bad amount", "another time", "another given", "both sides", "too much", "unreadable beside", "apart"],
)
def test_a_group_with_an_odd_row_is_refused_whole(odd: str) -> None:
    season = read(FULL, *CLASS, *odd.split("\n"), "2026-01-07,barry,alys,barry,pat,1h,,,,,,")
    assert not [row for row in season.rows if row.group]
    assert {2, 3, 4} <= {bad.line for bad in season.refused}


CELLS = st.sampled_from(
    [
        "",
        "time",
        "group",
        "2026-01-05",
        "barry",
        "alys",
        "pot",
        "1h",
        "90",
        "x;y",
        '"',
        '"1,5h"',
        "gift",
        "grant",
        "é",
        "\r",
    ]
)


@given(st.lists(st.lists(CELLS, max_size=13).map(",".join), max_size=12))
def test_lines_are_rows_and_refusals_and_heading_whatever_stands_in_them(lines: list[str]) -> None:
    data = "\n".join([FULL, *lines]).encode()
    season = read_rows(data)
    assert season.lines == len(data.splitlines())
    assert season.lines == len(season.rows) + len(season.refused) + 1
    seen = [row.line for row in season.rows] + [bad.line for bad in season.refused]
    assert sorted(seen) == list(range(2, season.lines + 1))
    assert sum(len(step) for step in season.steps()) == len(season.rows)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_season_or_malformed(data: bytes) -> None:
    try:
        season = read_rows(data)
    except Malformed:
        return
    assert season.lines == len(season.rows) + len(season.refused) + season.has_heading
