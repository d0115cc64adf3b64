"""Kafka: bounced, emptied, made again, too forgetful; old records again, and some that nobody should have written."""

from __future__ import annotations

import os
import random
import signal

from tests.chaos.load import Load
from tests.chaos.network import Network
from tests.chaos.run import Scenario
from tests.chaos.topics import Topics

BOUNCES = 5
SHUFFLE_SEED = 5
DEPTH = 10_000
DAY_MILLISECONDS = 24 * 3600 * 1000
FORTNIGHT = str(14 * DAY_MILLISECONDS)
POISON = (
    b"",
    b"\xff\xfe\x00 not UTF-8 \xc3\x28",
    b'{"statement": {"n": 1, "n": 2}}',
    b'{"statement": NaN, "messages": [Infinity, 1e999]}',
    b"[" * DEPTH + b"]" * DEPTH,
    b'{"version": 99, "statement": {}, "messages": []}',
    b"null",
    b"0" * 500_000,
    b'{"payload": "AAAA", "payloadType": "application/vnd.timebank.segment+json", "signatures": []}',
)
POISON_PER_SEGMENT = 3


def topics_of(network: Network) -> Topics:
    """The broker's topics."""
    return Topics(network.servers.broker.bootstrap)


def bounce(network: Network, load: Load) -> None:
    for number in range(BOUNCES):
        if number % 2:
            network.servers.broker.kill()
            load.during(1.0)
        network.servers.broker.restart()
        load.more(3)


def broker_away(network: Network, load: Load) -> None:
    network.servers.broker.kill()
    load.during(25.0)


def pause_broker(network: Network, load: Load) -> None:
    os.kill(network.servers.broker.pid, signal.SIGSTOP)
    load.during(14.0)
    os.kill(network.servers.broker.pid, signal.SIGCONT)


def empty_broker(network: Network, load: Load) -> None:
    load.more(5)
    network.servers.empty_broker()
    network.servers.broker.start()
    load.more(5)


def made_again(network: Network, load: Load) -> None:
    for town in ("barry", "caerphilly"):
        topics_of(network).forget(network.topic(town))
        load.more(3)
        topics_of(network).make(network.topic(town))
        load.more(5)


def forgetful_topic(network: Network, load: Load) -> None:
    topic = network.topic("barry")
    network["barry"].kill("federation")
    load.more(10)
    topics_of(network).set(topic, retention_ms="1000", segment_ms="1000")
    load.more(10)
    topics_of(network).wait_given_up(topic)
    topics_of(network).set(topic, retention_ms=FORTNIGHT, segment_ms=FORTNIGHT)
    network.restart("barry", "federation")


def compacted(network: Network, load: Load) -> None:
    topic = network.topic("aberdare")
    network["aberdare"].kill("federation")
    load.more(10)
    topics_of(network).set(
        topic,
        cleanup_policy="compact",
        min_cleanable_dirty_ratio="0.001",
        segment_ms="1000",
        max_compaction_lag_ms="1000",
    )
    load.more(20)
    load.during(4.0)
    network.restart("aberdare", "federation")
    load.more(5)
    topics_of(network).set(topic, cleanup_policy="delete", segment_ms=FORTNIGHT)


def widened(network: Network, load: Load) -> None:
    topic = network.topic("barry")
    topics_of(network).widen(topic, partitions=3)
    load.more(10)
    network["barry"].kill("federation")
    network.restart("barry", "federation")
    load.more(10)
    # What an operator does about it: one partition again.
    topics_of(network).forget(topic)
    topics_of(network).make(topic)


def offsets_lost(network: Network, load: Load) -> None:
    # The position in the topic is only ever in memory: each start reads the topic from its first record.
    for town in ("aberdare", "barry", "aberdare"):
        network[town].kill("federation")
        network.restart(town, "federation")
        load.more(5)


def shuffled(network: Network, load: Load) -> None:
    chance = random.Random(SHUFFLE_SEED)
    for town in network.towns:
        records = topics_of(network).read(network.topic(town))[-400:] * 2
        chance.shuffle(records)
        topics_of(network).write(network.topic(town), records)
        load.more(3)


def misdirected(network: Network, load: Load) -> None:
    # Every town gets what was written for the others.
    records = {town: topics_of(network).read(network.topic(town))[-60:] for town in network.towns}
    for town in network.towns:
        others = [record for other, found in records.items() if other != town for record in found]
        topics_of(network).write(network.topic(town), others)
    load.more(10)


def poisoned(network: Network, load: Load) -> None:
    for _ in range(POISON_PER_SEGMENT):
        for value in POISON:
            for town in network.towns:
                topics_of(network).write(network.topic(town), [(b"barry", value)])
        load.more(3)


def forged(network: Network, load: Load) -> None:
    # Genuine segments with one byte changed: of the statement, of a message, of the signature.
    chance = random.Random(SHUFFLE_SEED)
    for town in network.towns:
        records = topics_of(network).read(network.topic(town))[-60:]
        wrong = []
        for key, value in records:
            changed = bytearray(value)
            changed[chance.randrange(len(changed))] ^= 1
            wrong.append((key, bytes(changed)))
        topics_of(network).write(network.topic(town), wrong)
    load.more(10)


SCENARIOS = (
    Scenario(name="broker-bounced", fault="The broker bounces five times.", run=bounce),
    Scenario(name="broker-away", fault="Total loss of the broker for a while.", run=broker_away),
    Scenario(name="broker-paused", fault="The broker is paused past every time-out.", run=pause_broker),
    Scenario(name="broker-empty", fault="The broker comes back empty.", run=empty_broker),
    Scenario(name="topic-made-again", fault="A topic deleted and recreated.", run=made_again),
    Scenario(name="retention-short", fault="Retention shorter than the outage.", run=forgetful_topic),
    Scenario(name="compacted", fault="Compaction by mistake.", run=compacted),
    Scenario(name="partitions-changed", fault="Partition count changed.", run=widened),
    Scenario(name="offsets-lost", fault="Lost group offsets; a topic replayed from 0.", run=offsets_lost),
    Scenario(name="shuffled", fault="Any permutation and duplication of messages.", run=shuffled),
    Scenario(name="misdirected", fault="Another's topic: replays of what was for others.", run=misdirected),
    Scenario(name="poisoned", fault="Poison and oversize records among good ones.", run=poisoned),
    Scenario(name="forged", fault="Unsigned: genuine segments with a byte changed.", run=forged),
)
