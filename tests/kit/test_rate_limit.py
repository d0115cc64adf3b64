"""Rate limits, on a clock that is set by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from timebank_kit.clock import ManualClock
from timebank_kit.rate_limit import RateLimit


def make_clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 2, tzinfo=UTC))


def test_a_burst_is_taken_and_then_what_comes_back() -> None:
    clock, limit = make_clock(), RateLimit(per_second=2, burst=3)
    assert [limit.take("a", now=clock.monotonic()) for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    clock.advance(0.5)
    assert [limit.take("a", now=clock.monotonic()) for _ in range(2)] == [0, 0.5]
    clock.advance(3600)
    assert [limit.take("a", now=clock.monotonic()) for _ in range(4)] == [0, 0, 0, 0.5]


def test_one_client_s_haste_costs_no_other_anything() -> None:
    limit = RateLimit(per_second=1, burst=1)
    assert (limit.take("a", now=0), limit.take("a", now=0), limit.take("b", now=0)) == (0, 1, 0)


def test_the_table_is_bounded_and_forgets_who_asked_longest_ago() -> None:
    limit = RateLimit(per_second=1, burst=1, clients_max=2)
    for client in ("a", "b", "c"):
        limit.take(client, now=0)
    assert limit.remembered == 2
    assert limit.take("c", now=0) > 0
    assert limit.take("a", now=0) == 0


@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.lists(st.floats(min_value=0, max_value=0.5), min_size=1, max_size=200),
)
def test_never_more_than_the_burst_and_what_came_back(per_second: int, burst: int, pauses: list[float]) -> None:
    clock, limit, counted = make_clock(), RateLimit(per_second=per_second, burst=burst), 0
    for pause in pauses:
        clock.advance(pause)
        wait = limit.take("a", now=clock.monotonic())
        counted += wait == 0
        assert 0 <= wait <= 1 / per_second + 1e-9
        assert counted <= burst + per_second * clock.monotonic() + 1e-3
