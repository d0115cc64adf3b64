"""CSV: what a spreadsheet could run is text, what is a number stays one, and the way back loses nothing."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.csv_text import plain_hours, read_safe_text, safe_text, show_rows, start_of_file

HOSTILE = ['=HYPERLINK("x")', "@SUM(A1)", "+44 1685 000000", "-1h", "\t=1", "\r=1", "'=1", "''+1", "|cmd"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_that_could_be_a_formula_is_text_in_a_spreadsheet_and_comes_back(text: str) -> None:
    """F-11."""
    assert safe_text(text).startswith("'")
    assert read_safe_text(safe_text(text)) == text


@given(text=st.text())
def test_every_text_comes_back(text: str) -> None:
    assert read_safe_text(safe_text(text)) == text
    assert safe_text(text)[:1] not in ("=", "+", "-", "@", "\t", "\r")


def test_numbers_stay_numbers_in_both_forms() -> None:
    """F-11."""
    row: list[str | int | None] = ["-1h", -90, None, 0, "a;b,c"]
    assert show_rows([row], "plain") == '-1h,-90,,0,"a;b,c"\r\n'
    assert show_rows([row], "spreadsheet") == '\'-1h;-90;;0;"a;b,c"\r\n'


@given(cells=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=2))
def test_a_program_reads_what_was_written(cells: list[str]) -> None:
    assert next(csv.reader(io.StringIO(show_rows([cells], "plain"), newline=""))) == cells


def test_only_the_spreadsheet_s_form_has_a_mark_in_front() -> None:
    assert (start_of_file("plain"), start_of_file("spreadsheet")) == ("", "\ufeff")


@pytest.mark.parametrize(
    ("minutes", "hours"), [(0, "0:00"), (20, "0:20"), (90, "1:30"), (-90, "−1:30"), (74_070, "1234:30")]
)
def test_hours_in_a_table_are_exact_and_no_formula(minutes: int, hours: str) -> None:
    """C-5."""
    assert plain_hours(minutes) == safe_text(plain_hours(minutes)) == hours
