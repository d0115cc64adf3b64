"""The sender's state machine: promises of design page 2 about what is sent, repeated and stated, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from timebank_federation.outgoing import (
    REPEAT_MESSAGES_MAX,
    REPEAT_SECONDS_FIRST,
    REPEAT_SECONDS_MAX,
    STATEMENT_SECONDS_BUSY,
    STATEMENT_SECONDS_QUIET,
    Due,
    Outgoing,
)


def started(*, head: int = 0, heard: int = 0) -> Outgoing:
    """A stream whose first statement was sent at second 0."""
    stream = Outgoing(head=head, heard=heard, now=0.0)
    while (due := stream.due(0.0)) is not None:
        stream.sent_segment(after=due.after, until=due.until, now=0.0)
    return stream


def say(stream: Outgoing, now: float) -> Due:
    """Send what is due, wholly."""
    due = stream.due(now)
    assert due is not None
    stream.sent_segment(after=due.after, until=due.until, now=now)
    return due


def test_a_fresh_message_is_due_at_once() -> None:
    stream = started()
    stream.grew(head=3, open_transfers=3)
    assert stream.due_at(5.0) == 5.0
    assert stream.due(5.0) == Due(0, 3, "fresh")


def test_what_a_segment_had_no_room_for_is_due_next() -> None:
    stream = started()
    stream.grew(head=300, open_transfers=300)
    stream.sent_segment(after=0, until=256, now=1.0)
    assert stream.due(1.0) == Due(256, 300, "fresh")


def test_a_segment_that_was_not_handed_over_stays_due() -> None:
    stream = started()
    stream.grew(head=1, open_transfers=1)
    assert stream.due(1.0) == stream.due(2.0) == Due(0, 1, "fresh")


def test_after_a_restart_everything_unheard_is_sent_again() -> None:
    stream = Outgoing(head=9, heard=4, now=100.0)
    assert say(stream, 100.0) == Due(4, 9, "fresh")


def test_a_node_that_starts_says_so_with_a_statement() -> None:
    stream = Outgoing(head=4, heard=4, now=100.0)
    assert say(stream, 100.0) == Due(4, 4, "statement")
    assert stream.due(101.0) is None


def test_the_last_record_of_a_quiet_stream_is_repeated_until_it_is_heard() -> None:
    stream = started()
    stream.grew(head=1, open_transfers=1)
    say(stream, 10.0)
    assert stream.due(39.9) is None
    assert stream.due_at(11.0) == 40.0
    assert say(stream, 40.0) == Due(0, 1, "repeat")
    stream.heard_from(heard=1, now=41.0)
    stream.grew(head=1, open_transfers=0)
    assert stream.due(90.0) is None


def test_the_pause_between_repetitions_doubles_to_ten_minutes() -> None:
    stream = started(head=1)
    times, now = [], 0.0
    for _ in range(60):
        now = stream.due_at(now)
        if say(stream, now).why == "repeat":
            times.append(now)
    pauses = [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]
    assert pauses[:6] == [30.0, 60.0, 120.0, 240.0, 480.0, 600.0]
    assert set(pauses[6:]) == {REPEAT_SECONDS_MAX}


def test_any_segment_from_the_peer_ends_the_long_pause() -> None:
    stream = started(head=1)
    for now in (30.0, 90.0, 210.0):
        assert say(stream, now).why == "repeat"
    stream.heard_from(heard=0, now=240.0)
    assert say(stream, 240.0) == Due(0, 1, "repeat")


def test_a_broker_that_comes_back_ends_the_long_pause() -> None:
    stream = started(head=1)
    for now in (30.0, 90.0, 210.0):
        say(stream, now)
    stream.broker_returned()
    assert say(stream, 240.0).why == "repeat"


def test_a_repetition_begins_after_heard_and_ends_where_sending_ended() -> None:
    stream = started(head=10)
    stream.heard_from(heard=4, now=1.0)
    stream.sent_segment(after=4, until=7, now=31.0)
    assert stream.due(31.0) == Due(7, 10, "repeat")
    stream.sent_segment(after=7, until=10, now=31.0)
    assert stream.due(31.0) is None


def test_a_peer_that_goes_on_hearing_is_not_repeated_to() -> None:
    stream = started(head=100)
    for second in range(0, 1000, 20):
        stream.heard_from(heard=second // 20, now=float(second))
        due = stream.due(float(second))
        assert due is None or due.why == "statement"


def test_one_repetition_is_bounded() -> None:
    stream = started(head=50_000)
    due = stream.due(REPEAT_SECONDS_FIRST)
    assert due == Due(0, REPEAT_MESSAGES_MAX, "repeat")


def test_fresh_messages_do_not_wait_for_a_silent_peer() -> None:
    stream = started(head=5)
    stream.grew(head=6, open_transfers=6)
    assert stream.due(1.0) == Due(5, 6, "fresh")


def test_while_a_transfer_is_undecided_a_statement_goes_out_every_minute() -> None:
    stream = started(head=1)
    stream.heard_from(heard=1, now=1.0)
    stream.grew(head=1, open_transfers=1)
    assert say(stream, STATEMENT_SECONDS_BUSY) == Due(1, 1, "statement")
    assert stream.due(STATEMENT_SECONDS_BUSY + 59.0) is None
    assert say(stream, 2 * STATEMENT_SECONDS_BUSY).why == "statement"


def test_a_peer_whose_messages_were_applied_is_told_within_a_minute() -> None:
    stream = started()
    stream.owes_heard()
    assert stream.due_at(10.0) == STATEMENT_SECONDS_BUSY
    assert say(stream, STATEMENT_SECONDS_BUSY).why == "statement"
    assert stream.due_at(61.0) == STATEMENT_SECONDS_BUSY + STATEMENT_SECONDS_QUIET


def test_a_quiet_stream_is_stated_hourly() -> None:
    stream = started()
    assert stream.due(3599.0) is None
    assert say(stream, 3600.0).why == "statement"


def test_an_older_heard_is_no_news() -> None:
    stream = started(head=8)
    stream.heard_from(heard=8, now=1.0)
    stream.heard_from(heard=3, now=2.0)
    assert stream.heard == 8


def test_messages_that_the_peer_pulled_are_not_sent_again() -> None:
    stream = Outgoing(head=8, heard=0, now=0.0)
    stream.heard_from(heard=6, now=1.0)
    assert stream.due(1.0) == Due(6, 8, "fresh")


def test_under_a_new_key_everything_unheard_is_sent_at_once() -> None:
    stream = started(head=9)
    stream.heard_from(heard=4, now=1.0)
    stream.send_again()
    assert say(stream, 2.0) == Due(4, 9, "fresh")


steps = st.lists(
    st.one_of(
        st.tuples(st.just("grow"), st.integers(0, 400)),
        st.tuples(st.just("wait"), st.integers(1, 900)),
        st.tuples(st.just("hear"), st.integers(0, 400)),
        st.tuples(st.just("lose"), st.just(0)),
    ),
    max_size=40,
)


@given(steps)
def test_whatever_happened_everything_is_heard_once_segments_arrive(story: list[tuple[str, int]]) -> None:
    stream, now, arrived, head = Outgoing(head=0, heard=0, now=0.0), 0.0, 0, 0
    for what, number in story:
        if what == "grow":
            head += number
            stream.grew(head=head, open_transfers=1)
        elif what == "wait":
            now += number
        elif what == "hear":
            stream.heard_from(heard=min(number, arrived), now=now)
        elif (due := stream.due(now)) is not None:
            stream.sent_segment(after=due.after, until=min(due.until, due.after + 256), now=now)
    end = now + 2 * REPEAT_SECONDS_MAX
    while stream.heard < head:
        now = stream.due_at(now)
        assert now <= end
        due = stream.due(now)
        assert due is not None
        until = min(due.until, due.after + 256)
        stream.sent_segment(after=due.after, until=until, now=now)
        if due.after <= arrived < until:
            arrived = until
            stream.heard_from(heard=arrived, now=now)


@given(steps)
def test_due_and_due_at_agree(story: list[tuple[str, int]]) -> None:
    stream, now, head = Outgoing(head=0, heard=0, now=0.0), 0.0, 0
    for what, number in story:
        if what == "grow":
            head += number
            stream.grew(head=head, open_transfers=0)
        elif what == "wait":
            now += number
        elif what == "hear":
            stream.heard_from(heard=min(number, stream.sent), now=now)
        elif (due := stream.due(now)) is not None:
            stream.sent_segment(after=due.after, until=min(due.until, due.after + 256), now=now)
        assert (stream.due(now) is not None) == (stream.due_at(now) == now)
        if stream.due(now) is None:
            assert stream.due(stream.due_at(now)) is not None
