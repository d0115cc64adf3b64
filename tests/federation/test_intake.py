"""Intake stops when it is this node that finds everything bad, and never because somebody floods it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.federation.towns import NETWORK, Network, open_towns
from timebank_contracts.keys import SigningKey
from timebank_contracts.names import inbox_topic
from timebank_contracts.segments import parse_segment
from timebank_contracts.streams import StreamHead, chain_next, chain_start
from timebank_federation.intake import (
    ASK_SECONDS,
    BAD_MIN,
    EXAMINED_MIN,
    PAUSE_SECONDS_FIRST,
    PAUSE_SECONDS_MAX,
    Intake,
    IntakeStopped,
    PullPauses,
)
from timebank_federation.quarantine import ITEMS_MAX

STRANGER = SigningKey(bytes(range(32)))
SEGMENTS = "/v1/segments"


def examined(*, bad: int, good: int = 0) -> Intake:
    intake = Intake()
    for number in range(bad):
        intake.examined(b"%d" % number, good=False)
    for number in range(good):
        intake.examined(b"good %d" % number, good=True)
    return intake


def test_peers_are_asked_when_nearly_all_of_enough_distinct_records_are_bad() -> None:
    assert not examined(bad=EXAMINED_MIN - 1).is_due(0)
    assert examined(bad=EXAMINED_MIN).is_due(0)
    assert examined(bad=BAD_MIN, good=EXAMINED_MIN - BAD_MIN).is_due(0)
    assert not examined(bad=BAD_MIN - 1, good=EXAMINED_MIN - BAD_MIN + 1).is_due(0)


def test_the_same_bad_record_counts_once() -> None:
    intake = Intake()
    for _ in range(3 * EXAMINED_MIN):
        intake.examined(b"again", good=False)
    assert not intake.is_due(0)


@given(verdicts=st.lists(st.booleans(), max_size=400))
def test_what_is_due_is_what_the_last_records_say(verdicts: list[bool]) -> None:
    intake = Intake()
    for number, good in enumerate(verdicts):
        intake.examined(b"%d" % number, good=good)
    last = verdicts[-EXAMINED_MIN:]
    assert intake.is_due(0) == (len(last) == EXAMINED_MIN and last.count(False) >= BAD_MIN)


@pytest.mark.parametrize(
    ("verdicts", "stops"),
    [
        ([False], True),
        ([False, False, None], True),
        ([False, None, None], False),
        ([False, False, True], False),
        ([None], False),
        ([], False),
    ],
    ids=["the only one", "two", "one of three", "one is good", "silence", "alone"],
)
def test_what_peers_answer_themselves_decides(verdicts: list[bool | None], stops: bool) -> None:
    intake = examined(bad=EXAMINED_MIN)
    intake.answered(verdicts, 0)
    assert (intake.reason is not None) == stops
    assert not intake.is_due(ASK_SECONDS - 1), "peers are not flooded with questions"


def test_one_good_answer_ends_a_stop() -> None:
    intake = examined(bad=EXAMINED_MIN)
    intake.answered([False], 0)
    intake.answered([None], ASK_SECONDS)
    assert "The records wait" in str(intake.reason)
    assert intake.is_due(2 * ASK_SECONDS)
    intake.answered([True, False], 2 * ASK_SECONDS)
    assert intake.reason is None
    assert not intake.is_due(1e9)


def test_a_peer_that_answers_badly_is_asked_less_often_and_within_half_a_minute() -> None:
    pauses = PullPauses()
    pauses.answered("barry", good=False, now=0)
    assert pauses.rests("barry", PAUSE_SECONDS_FIRST - 1)
    assert not pauses.rests("cardiff", 0)
    for _ in range(10):
        pauses.answered("barry", good=False, now=0)
    assert pauses.rests("barry", PAUSE_SECONDS_MAX - 1)
    assert not pauses.rests("barry", PAUSE_SECONDS_MAX)
    pauses.answered("barry", good=True, now=0)
    assert not pauses.rests("barry", 0)


# In a town -----------------------------------------------------------------------------------------------------------


def cuts(network: Network, count: int, *, transfers: int) -> list[bytes]:
    """Distinct segments of Barry's stream to Aberdare, of one to `count / transfers` messages."""
    for number in range(transfers):
        network.send("barry", "aberdare", 1, key=f"k{number}")
    barry = network["barry"]
    raw = barry.federation.sender.segment_after("aberdare", 0, limit=transfers)
    assert raw is not None
    messages = parse_segment(raw).messages
    assert len(messages) == transfers
    heads = [StreamHead(0, chain_start(network=NETWORK, sender="barry", generation="g1", receiver="aberdare"))]
    for message in messages:
        heads.append(StreamHead(heads[-1].n + 1, chain_next(heads[-1].chain, message)))
    lengths = range(1, count // transfers + 1)
    return [
        barry.segment("aberdare", messages[after : after + length], after=heads[after])
        for after in range(transfers)
        for length in lengths
    ]


def put(network: Network, raws: list[bytes]) -> None:
    for raw in raws:
        network.broker.append(inbox_topic(NETWORK, "aberdare"), "anybody", raw)


def receive_all(network: Network) -> None:
    while network["aberdare"].receive():
        pass


def applied(network: Network) -> int:
    high: int = network["aberdare"].stream("barry")["incoming"]["n"]
    return high


def test_ten_thousand_segments_wait_while_everything_is_found_malformed_and_all_are_taken_after_the_mend(
    network: Network,
) -> None:
    """Case K-5."""
    aberdare = network["aberdare"]
    receiver = aberdare.federation.receiver
    put(network, cuts(network, 10_000, transfers=100))
    aberdare.to_ledger.instead[SEGMENTS] = (400, {"code": "malformed"})
    with pytest.raises(IntakeStopped, match="The records wait"):
        receive_all(network)
    for _ in range(5):
        network.clock.advance(ASK_SECONDS)
        with pytest.raises(IntakeStopped):
            aberdare.receive()
    assert len(receiver.quarantine.kept) <= EXAMINED_MIN + 1 < ITEMS_MAX
    assert receiver.quarantine.given_up == 0
    aberdare.to_ledger.instead.clear()
    network.clock.advance(ASK_SECONDS)
    receive_all(network)
    assert applied(network) == 100
    assert sum(receiver.counts.values()) - receiver.counts["pulled"] == 10_000
    assert receiver.intake.reason is None


def test_a_stranger_s_flood_does_not_stop_intake(network: Network) -> None:
    receiver = network["aberdare"].federation.receiver
    transfer = network.send("barry", "aberdare", key="k")
    put(network, [b"rubbish %d\n" % number for number in range(2 * EXAMINED_MIN)])
    put(network, [network["barry"].segment("aberdare", [], key=STRANGER, registry=1)])
    network.pump()
    assert network.state("barry", transfer) == "settled"
    assert receiver.intake.reason is None
    assert receiver.answers["good"] >= 1


def test_a_flood_while_no_peer_answers_does_not_stop_intake(network: Network) -> None:
    receiver = network["aberdare"].federation.receiver
    network["barry"].door.is_cut = True
    transfer = network.send("barry", "aberdare", key="k")
    put(network, [b"rubbish %d\n" % number for number in range(2 * EXAMINED_MIN)])
    network.pump()
    assert network.state("barry", transfer) == "settled"
    assert receiver.intake.reason is None


def test_one_peer_whose_own_answers_are_bad_does_not_stop_intake_for_the_others(tmp_path: Path) -> None:
    with open_towns(tmp_path, "aberdare", "barry", "cardiff") as network:
        receiver = network["aberdare"].federation.receiver
        network.doors.lines["barry.example"] = network["cardiff"].door
        put(network, [network["barry"].segment("aberdare", [], network=f"n{number}") for number in range(200)])
        transfer = network.send("cardiff", "aberdare", key="k")
        network.pump()
        assert network.state("cardiff", transfer) == "settled"
        assert receiver.intake.reason is None


def test_a_bug_that_every_record_meets_stops_intake_too(network: Network) -> None:
    aberdare = network["aberdare"]
    put(network, cuts(network, 2 * EXAMINED_MIN, transfers=20))
    aberdare.to_ledger.instead[SEGMENTS] = (200, {})
    for _ in range(EXAMINED_MIN):
        with pytest.raises(KeyError):
            aberdare.receive()
    with pytest.raises(IntakeStopped):
        aberdare.receive()
    aberdare.to_ledger.instead.clear()
    network.clock.advance(ASK_SECONDS)
    receive_all(network)
    assert applied(network) == 20
