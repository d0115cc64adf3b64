"""Cursors: what a route gave, it reads; anything else is refused in one way."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_kit.cursors import make_cursor, read_cursor
from timebank_kit.problem_answers import EdgeProblem

PLACE = r"[a-z0-9:-]{1,63}"


@given(st.from_regex(PLACE, fullmatch=True))
def test_a_cursor_is_read_by_the_route_that_gave_it(place: str) -> None:
    cursor = make_cursor("listAccounts", place)
    assert read_cursor("listAccounts", cursor, place=PLACE) == place
    with pytest.raises(EdgeProblem) as refused:
        read_cursor("listPeople", cursor, place=PLACE)
    assert refused.value.body["code"] == "cursor_invalid"


@pytest.mark.parametrize("cursor", ["", "alys", "!!", "YQ==", "é", "a" * 201, make_cursor("listAccounts", "ALYS")])
def test_what_no_route_gave_is_refused(cursor: str) -> None:
    with pytest.raises(EdgeProblem) as refused:
        read_cursor("listAccounts", cursor, place=PLACE)
    assert (refused.value.body["status"], refused.value.body["code"]) == (422, "cursor_invalid")


@given(st.text(max_size=80))
def test_no_text_breaks_it(cursor: str) -> None:
    with suppress(EdgeProblem):
        assert re.fullmatch(PLACE, read_cursor("listAccounts", cursor, place=PLACE))
