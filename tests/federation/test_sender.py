"""The sender over a real ledger: what is due goes out, also after a restart or a broker that was away."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from tests.federation.towns import NETWORK, Network, open_one, open_towns
from timebank_contracts.names import inbox_topic
from timebank_contracts.segments import parse_segment
from timebank_federation.broker import BrokerAway, EmbeddedBroker, Outbox, TopicAway
from timebank_federation.outgoing import REPEAT_SECONDS_FIRST
from timebank_federation.sender import BROKER_PAUSE_SECONDS_MAX, SEGMENTS_AT_ONCE_MAX, Sender

pytestmark = pytest.mark.slow  # every test opens whole towns


class Valve:
    """The way to a broker, which can be shut, for all topics or for some."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._outbox = broker.outbox()
        self.is_shut = False
        self.missing: set[str] = set()
        self.tried: list[str] = []

    def send(self, topic: str, *, key: str, value: bytes) -> None:
        self.tried.append(topic.rpartition(".")[2])
        if self.is_shut:
            raise BrokerAway("The valve is shut.")
        if topic.rpartition(".")[2] in self.missing:
            raise TopicAway("The topic is missing.")
        self._outbox.send(topic, key=key, value=value)

    def close(self) -> None:
        """Nothing is held."""


def sender_of(network: Network, name: str, outbox: Outbox) -> Sender:
    """A second sender of a town, over a way of its own."""
    town = network[name]
    return Sender(
        ledger=town.federation.ledger,
        outbox=outbox,
        event_key=lambda: town.key,
        registry_version=lambda: 1,
        clock=network.clock,
    )


def sent_to(network: Network, name: str) -> list[int]:
    """The stream positions in a town's topic, in order of arrival."""
    positions: list[int] = []
    for raw in network.records(name):
        statement = parse_segment(raw).statement
        positions += range(statement.first, statement.last + 1)
    return positions


def test_a_sender_that_starts_again_goes_on_from_what_was_heard(tmp_path: Path) -> None:
    with open_towns(tmp_path, "aberdare", "barry", on_disk=True) as network:
        keys = count()
        for _ in range(3):
            network.send("aberdare", "barry", key=f"k{next(keys)}")
        network.pump()
        for _ in range(2):
            network.send("aberdare", "barry", key=f"k{next(keys)}")
        assert network["aberdare"].federation.sender.peers["barry"].outgoing.heard == 3
        again = sender_of(network, "aberdare", network.broker.outbox())
        before = len(network.records("barry"))
        again.step(wait_seconds=0)
        new = [parse_segment(raw).statement for raw in network.records("barry")[before:]]
        assert [(one.first, one.last) for one in new if one.count] == [(4, 5)]
        network.pump()
        assert network["aberdare"].stream("barry")["outgoing"] == network["barry"].stream("aberdare")["incoming"]


def test_a_town_that_was_closed_and_opened_sends_what_it_had_not(tmp_path: Path) -> None:
    with open_towns(tmp_path, "aberdare", "barry", on_disk=True) as network:
        transfer = network.send("aberdare", "barry", key="k")
        home = network["aberdare"].home
        network["aberdare"].federation.close()
        network["aberdare"].ledger.close()
        with open_one(network, home) as again:
            network.towns["aberdare"] = again
            network.pump()
            assert network.state("aberdare", transfer) == "settled"


def test_a_backlog_beyond_memory_is_read_from_the_ledger(network: Network) -> None:
    for number in range(12):
        network.send("aberdare", "barry", 1, key=f"k{number}")
    sender = network["aberdare"].federation.sender
    sender.follow(wait_seconds=0)
    kept = sender.peers["barry"].kept
    while len(kept) > 4:
        kept.popleft()
    network.pump()
    assert network["barry"].stream("aberdare")["incoming"]["n"] == 12


def test_one_peer_s_backlog_does_not_hold_up_another(tmp_path: Path) -> None:
    with open_towns(tmp_path, "aberdare", "barry", "cardiff") as network:
        valve = Valve(network.broker)
        sender = sender_of(network, "aberdare", valve)
        for number in range(SEGMENTS_AT_ONCE_MAX + 10):
            network.send("aberdare", "barry", 1, key=f"b{number}")
        network.send("aberdare", "cardiff", 1, key="c")
        sender.load()
        barry = sender.peers["barry"].outgoing
        while barry.sent < barry.head:
            barry.sent_segment(after=barry.sent, until=barry.sent + 1, now=0.0)
        network.clock.advance(REPEAT_SECONDS_FIRST)
        sender.send_due()
        assert "cardiff" in valve.tried


def test_while_the_broker_is_away_it_is_tried_after_pauses_that_double(network: Network) -> None:
    valve = Valve(network.broker)
    sender = sender_of(network, "aberdare", valve)
    network.send("aberdare", "barry", key="k")
    valve.is_shut = True
    for _ in range(600):
        sender.step(wait_seconds=0)
        network.clock.advance(1.0)
    was_away = sender.broker_away
    assert len(valve.tried) <= 6 + 600 / BROKER_PAUSE_SECONDS_MAX
    valve.is_shut = False
    network.clock.advance(BROKER_PAUSE_SECONDS_MAX)
    sender.step(wait_seconds=0)
    assert (was_away, sender.broker_away) == (True, False)
    assert sent_to(network, "barry") == [1]


def test_a_missing_topic_of_one_peer_holds_up_no_other(tmp_path: Path) -> None:
    with open_towns(tmp_path, "aberdare", "barry", "cardiff", "ely") as network:
        valve = Valve(network.broker)
        sender = sender_of(network, "aberdare", valve)
        valve.missing = {"barry"}
        for name in ("barry", "cardiff", "ely"):
            network.send("aberdare", name, key=name)
        for _ in range(20):
            sender.step(wait_seconds=0)
            network.clock.advance(1.0)
        assert sent_to(network, "cardiff") == sent_to(network, "ely") == [1]
        assert Counter(valve.tried)["barry"] <= 6
        assert sender.broker_away, "so that peers are polled"
        valve.missing = set()
        network.clock.advance(BROKER_PAUSE_SECONDS_MAX)
        sender.step(wait_seconds=0)
        assert sent_to(network, "barry") == [1]


def test_a_topic_that_comes_back_empty_is_filled_again(network: Network) -> None:
    transfer = network.send("aberdare", "barry", key="k")
    network["aberdare"].federation.sender.step(wait_seconds=0)
    network.broker.delete_topic(inbox_topic(NETWORK, "barry"))
    network["barry"].receive()
    network.clock.advance(REPEAT_SECONDS_FIRST)
    network.pump()
    assert network.state("aberdare", transfer) == "settled"


def test_who_asks_gets_what_was_committed_just_now(network: Network) -> None:
    """Without a step of the sender's thread between."""
    sender = network["aberdare"].federation.sender
    sender.follow(wait_seconds=0)
    network.send("aberdare", "barry", key="k")
    segment = sender.segment_after("barry", 0, limit=256)
    assert segment is not None
    assert parse_segment(segment).statement.count == 1


def test_entries_that_several_threads_read_count_once(network: Network) -> None:
    """`load` in the receiver's thread, `segment_after` in a request's, `follow` in the sender's own."""
    sender = network["aberdare"].federation.sender
    sender.load()
    ended = threading.Event()

    def until_ended(call: Callable[[], object]) -> None:
        while not ended.is_set():
            call()

    with ThreadPoolExecutor(3) as pool:
        calls = (sender.load, lambda: sender.follow(wait_seconds=0), lambda: sender.segment_after("barry", 0, limit=9))
        running = [pool.submit(until_ended, call) for call in calls]
        for number in range(25):
            network.send("aberdare", "barry", 1, key=f"k{number}")
        ended.set()
    assert [task.exception() for task in running] == [None] * 3
    sender.follow(wait_seconds=0)
    head, said = sender.peers["barry"].head, network["aberdare"].stream("barry")["outgoing"]
    assert (head.n, head.chain.hex()) == (said["n"], said["chain"])


def test_a_segment_beyond_the_stream_or_for_a_stranger_is_none(network: Network) -> None:
    sender = network["aberdare"].federation.sender
    assert sender.segment_after("barry", 1, limit=1) is None
    assert sender.segment_after("cardiff", 0, limit=1) is None


def test_a_statement_says_what_was_heard_and_the_latest_checkpoint(network: Network) -> None:
    network.send("barry", "aberdare", key="k")
    network.pump()
    segment = network["aberdare"].federation.sender.segment_after("barry", 1, limit=0)
    assert segment is not None
    statement = parse_segment(segment).statement
    incoming = network["aberdare"].stream("barry")["incoming"]
    assert (statement.heard.n, statement.heard.chain) == (incoming["n"], incoming["chain"])
    assert 0 < statement.size <= network["aberdare"].ledger.writer.tail.length
