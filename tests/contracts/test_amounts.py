"""Amounts: one unit, one parser, one way to show them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.amounts import LIMIT_MAX, MINUTES_MAX, parse_amount, show_hours
from timebank_contracts.errors import Malformed, Refusal


def test_a_posting_has_at_most_a_thousand_hours_and_a_limit_ten_million_minutes() -> None:
    """PROTOCOL.md A1."""
    assert (MINUTES_MAX, LIMIT_MAX) == (60_000, 10_000_000)


@given(st.integers(1, MINUTES_MAX))
def test_what_is_shown_can_be_typed_again(minutes: int) -> None:
    """PROTOCOL.md A2, A3."""
    hours, rest = divmod(minutes, 60)
    forms = [f"{hours}:{rest:02d}", f"{hours}h{rest}", f"{hours}h {rest}m", f" {hours}H {rest} min ", f"{minutes}m"]
    assert {parse_amount(form) for form in forms} == {minutes}
    assert parse_amount(show_hours(minutes).replace(",", "")) == minutes


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [
        (0, "0:00"),
        (5, "0:05"),
        (90, "1:30"),
        (-5, "\N{MINUS SIGN}0:05"),
        (-90, "\N{MINUS SIGN}1:30"),
        (60_000, "1,000:00"),
    ],
)
def test_minutes_are_shown_as_hours(minutes: int, shown: str) -> None:
    """PROTOCOL.md A3."""
    assert show_hours(minutes) == shown


@given(st.from_regex(r"[0-9]{1,9}([.,][0-9]{1,9})?", fullmatch=True))
def test_a_bare_number_is_never_guessed(text: str) -> None:
    """PROTOCOL.md A2."""
    with pytest.raises(Refusal, match="amount_ambiguous"):
        parse_amount("".join(text.split("\n")))


@given(st.text(max_size=30))
def test_any_text_gives_minutes_in_range_or_one_of_the_two_errors(text: str) -> None:
    """PROTOCOL.md A2."""
    found: int | str
    try:
        found = parse_amount(text)
    except Refusal as refusal:
        found = refusal.code
    except Malformed as error:
        found = str(error)
    if isinstance(found, int):
        assert 1 <= found <= MINUTES_MAX
    else:
        assert found in {"amount_ambiguous", "amount_out_of_range"} or "1:" in found


def test_a_decimal_that_is_no_whole_minute_says_how_to_write_it() -> None:
    with pytest.raises(Malformed, match="1:20 or 80m"):
        parse_amount("1.33h")
