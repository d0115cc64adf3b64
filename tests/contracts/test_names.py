"""Names and times: their forms, matched whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts import moments, names
from timebank_contracts.errors import Malformed
from timebank_contracts.names import Identity

WALES = Identity("timebank.wales", "aberdare", "g1")
BAD_PARTS = {
    "network": [
        "wales",
        "Timebank.wales",
        "timebank..wales",
        "-a.wales",
        "a-.wales",
        "x.y/z",
        "t\u00edm.wales",
        "a." * 100,
    ],
    "node": ["a", "Aberdare", "1aberdare", "aber_dare", "a" * 32, "aber dare", "aberd\u00e2r", ""],
    "generation": ["g0", "g01", "1", "G1", "g", "g1000000", "g\u0661"],
}


@pytest.mark.parametrize(("part", "text"), [(part, text) for part, bad in BAD_PARTS.items() for text in bad])
def test_a_name_of_another_form_is_malformed(part: str, text: str) -> None:
    """PROTOCOL.md N1, N2, N3."""
    with pytest.raises(Malformed):
        names.check_identity(WALES._replace(**{part: text}))


@pytest.mark.parametrize("part", ["network", "node", "generation"])
@pytest.mark.parametrize("end", ["\n", " ", "\x00", "\u2028"])
def test_a_name_is_matched_whole(part: str, end: str) -> None:
    """PROTOCOL.md N1, N2, N3: Python's `$` alone would let a final line feed pass."""
    with pytest.raises(Malformed):
        names.check_identity(WALES._replace(**{part: getattr(WALES, part) + end}))


def test_an_origin_names_network_node_and_generation() -> None:
    """PROTOCOL.md N4."""
    assert WALES.origin == "timebank.wales/aberdare/g1"
    assert names.parse_origin(WALES.origin) == WALES
    for origin in ("timebank.wales/aberdare", WALES.origin + "/x", WALES.origin + "\n", ""):
        with pytest.raises(Malformed):
            names.parse_origin(origin)


def test_a_peer_has_two_accounts_of_its_name() -> None:
    """PROTOCOL.md N5."""
    assert (names.clearing("barry"), names.transit("barry")) == ("clearing:barry", "transit:barry")


@given(st.integers(0, 10**16 - 1))
def test_a_transfer_is_named_for_where_it_was_born(position: int) -> None:
    """PROTOCOL.md N6."""
    local = names.local_transfer(WALES, position)
    between = names.federated_transfer("aberdare", "g1", "barry", position)
    assert local == f"aberdare.g1.{position}"
    assert between == f"aberdare.g1.barry.{position}"
    assert names.parse_transfer(local) == ("aberdare", "g1", None, position)
    assert names.parse_transfer(between) == ("aberdare", "g1", "barry", position)


@pytest.mark.parametrize(
    "text", ["aberdare.g1", "aberdare.g1.01", "aberdare.g1.-1", "a.g1.1", "aberdare.g1.barry.cardiff.1", "x\n"]
)
def test_a_transfer_id_of_another_form_is_malformed(text: str) -> None:
    """PROTOCOL.md N6."""
    with pytest.raises(Malformed):
        names.parse_transfer(text)


def test_a_town_reads_one_topic_of_its_network_and_name() -> None:
    """PROTOCOL.md K1."""
    assert names.inbox_topic("timebank.wales", "barry") == "timebank.timebank.wales.inbox.barry"


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds are naive
def test_a_time_is_read_as_it_is_shown_to_the_millisecond(moment: datetime) -> None:
    """PROTOCOL.md M1."""
    shown = moments.show_time(moment)
    assert moments.parse_time(shown) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def test_a_time_is_shown_in_utc() -> None:
    """PROTOCOL.md M1."""
    moment = datetime(2026, 7, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert moments.show_time(moment) == "2026-06-30T23:30:00.000Z"


@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)), min_size=2))  # noqa: DTZ001
def test_the_order_of_times_is_the_order_of_their_texts(some: list[datetime]) -> None:
    """PROTOCOL.md M3."""
    shown = [moments.show_time(moment) for moment in sorted(some)]
    assert shown == sorted(shown)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T10:00:00Z",
        "2026-01-31T10:00:00.123+00:00",
        "2026-01-31 10:00:00.123Z",
        "2026-02-30T10:00:00.123Z",
        "2026-01-31T24:00:00.000Z",
        "2026-01-31T10:00:60.000Z",
        "2026-01-31T10:00:00.123Z\n",
        "\uff12026-01-31T10:00:00.123Z",
    ],
)
def test_a_time_of_another_form_is_malformed(text: str) -> None:
    """PROTOCOL.md M1."""
    with pytest.raises(Malformed):
        moments.parse_time(text)


@pytest.mark.parametrize(
    ("served_on", "possible"),
    [("2026-03-02", True), ("2026-03-03", True), ("2026-03-04", False), ("2025-03-01", True), ("2025-02-28", False)],
)
def test_a_service_is_recorded_from_366_days_back_to_a_day_ahead(served_on: str, possible: bool) -> None:
    """PROTOCOL.md M2."""
    assert moments.served_on_is_possible(served_on, "2026-03-02") is possible


@pytest.mark.parametrize("today", ["0001-01-01", "9999-12-31"])
def test_a_day_at_either_end_of_the_calendar_is_judged_like_any_other(today: str) -> None:
    """PROTOCOL.md M2: a journal may claim any time, and its reader must not stumble."""
    assert moments.served_on_is_possible(today, today)
    assert not moments.served_on_is_possible("2026-03-02", today)


@pytest.mark.parametrize("text", ["2026-02-30", "2026-1-31", "20260131", "2026-01-31\n"])
def test_a_day_of_another_form_is_malformed(text: str) -> None:
    """PROTOCOL.md M2."""
    with pytest.raises(Malformed):
        moments.parse_date(text)
