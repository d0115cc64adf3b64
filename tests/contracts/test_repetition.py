"""When a sender repeats and states: the figures of the protocol, on federation's own state machine."""

from __future__ import annotations

import pytest

from timebank_federation.outgoing import Due, Outgoing


def lagging() -> Outgoing:
    """A stream of three messages, sent at second 0, of which the peer heard none."""
    stream = Outgoing(head=3, heard=0, now=0.0)
    stream.sent_segment(after=0, until=3, now=0.0)
    return stream


def repetitions(stream: Outgoing, *, until: int) -> list[int]:
    """The seconds at which the unheard messages go again, whole and from heard + 1."""
    found = []
    for second in range(1, until + 1):
        due = stream.due(float(second))
        if due is not None:
            stream.sent_segment(after=due.after, until=due.until, now=float(second))
        if due is not None and due.why == "repeat":
            assert due == Due(stream.heard, stream.sent, "repeat")
            found.append(second)
    return found


def test_what_is_unheard_goes_again_after_30_seconds_then_twice_as_long_to_10_minutes() -> None:
    """PROTOCOL.md S11."""
    found = repetitions(lagging(), until=4000)
    pauses = [second - before for before, second in zip([0, *found], found, strict=False)]
    assert pauses == [30, 60, 120, 240, 480, *[600] * 5]


@pytest.mark.parametrize(("heard", "head", "undecided", "pause"), [(0, 0, 0, 3600), (2, 2, 1, 60), (2, 2, 0, 3600)])
def test_a_statement_goes_each_minute_while_something_is_open_and_else_hourly(
    heard: int, head: int, undecided: int, pause: int
) -> None:
    """PROTOCOL.md S12."""
    stream = Outgoing(head=head, heard=heard, now=0.0)
    stream.grew(head=head, open_transfers=undecided)
    stream.sent_segment(after=head, until=head, now=0.0)
    assert stream.due(pause - 1.0) is None
    assert stream.due(float(pause)) == Due(head, head, "statement")


def test_a_peer_that_lacks_a_statement_has_it_within_a_minute() -> None:
    """PROTOCOL.md S12."""
    stream = Outgoing(head=0, heard=0, now=0.0)
    stream.sent_segment(after=0, until=0, now=0.0)
    stream.owes_heard()
    assert stream.due(60.0) == Due(0, 0, "statement")


@pytest.mark.parametrize("news", ["segment", "broker"])
def test_a_segment_from_the_peer_and_a_broker_that_is_back_end_the_doubling(news: str) -> None:
    """PROTOCOL.md S13."""
    stream = lagging()
    last = repetitions(stream, until=500)[-1]
    if news == "segment":
        stream.heard_from(heard=0, now=500.0)
    else:
        stream.broker_returned()
    due = stream.due(max(500.0, last + 30.0))
    assert due is not None
    assert due.why == "repeat"
