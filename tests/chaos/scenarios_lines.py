"""The network: partitions of every form, slow, torn and corrupted lines, lost answers."""

from __future__ import annotations

import random

from tests.chaos.fault_line import CUT, SILENT, FaultLine, Weather
from tests.chaos.load import Load
from tests.chaos.network import Network
from tests.chaos.run import Scenario

PARTITION_SECONDS = 20.0
SWIZZLE_SEED = 6


def between_towns(network: Network) -> list[FaultLine]:
    """Every way from town to town: the doors, and each town's way to the broker."""
    return [*network.doors.values(), *network.servers.kafka_lines.values()]


def ways_of(network: Network, town: str) -> None:
    """Cut a town off: nobody reaches its door, and it reaches neither the broker nor other doors."""
    network.doors[town].set(CUT)
    network.servers.kafka_lines[town].set(CUT)
    for name, door in network.doors.items():
        if name != town:
            door.set(CUT, asker=town)


def partition(network: Network, load: Load) -> None:
    ways_of(network, "barry")
    load.during(PARTITION_SECONDS)


def silent_partition(network: Network, load: Load) -> None:
    for line in between_towns(network):
        line.set(SILENT)
    load.during(PARTITION_SECONDS)


def one_way(network: Network, load: Load) -> None:
    for name, weather in (
        ("aberdare", Weather(holds_questions=True)),
        ("barry", Weather(holds_answers=True)),
    ):
        network.servers.kafka_lines[name].set(weather)
        network.doors[name].set(weather)
    load.during(PARTITION_SECONDS)


def not_transitive(network: Network, load: Load) -> None:
    # No broker for either, and neither reaches the other's door; both reach Barry's, and Barry reaches theirs.
    for town, other in (("aberdare", "caerphilly"), ("caerphilly", "aberdare")):
        network.servers.kafka_lines[town].set(CUT)
        network.doors[town].set(CUT, asker=other)
    load.during(PARTITION_SECONDS)


def swizzle(network: Network, load: Load) -> None:
    chance = random.Random(SWIZZLE_SEED)
    lines = [*between_towns(network), *network.ledgers.values()]
    chance.shuffle(lines)
    for line in lines:
        line.set(CUT)
        load.during(1.0)
    chance.shuffle(lines)
    for line in lines:
        line.heal()
        load.during(1.0)


def lossy(network: Network, load: Load) -> None:
    for line in [*between_towns(network), *network.clients.values(), *network.ledgers.values()]:
        line.set(Weather(torn_answers=0.15, lost_answers=0.15))
    load.during(15.0)


def slow(network: Network, load: Load) -> None:
    for line in between_towns(network):
        line.set(Weather(bytes_per_second=20_000))
    load.during(15.0)


def delayed(network: Network, load: Load) -> None:
    for line in between_towns(network):
        line.set(Weather(delay_seconds=0.8))
    load.during(15.0)


def torn(network: Network, load: Load) -> None:
    for line in network.doors.values():
        line.set(Weather(torn_answers=0.5))
    for line in network.servers.kafka_lines.values():
        line.set(CUT)
    load.during(15.0)


def answers_lost_to_clients(network: Network, load: Load) -> None:
    for line in network.clients.values():
        line.set(Weather(lost_answers=0.3))
    load.during(8.0)
    load.more(5)


def answers_lost_within(network: Network, load: Load) -> None:
    for line in network.ledgers.values():
        line.set(Weather(lost_answers=0.3, torn_answers=0.1))
    load.during(10.0)


def corrupted_doors(network: Network, load: Load) -> None:
    for line in network.servers.kafka_lines.values():
        line.set(CUT)
    for line in network.doors.values():
        line.set(Weather(flipped_answers=0.5, flipped_questions=0.2))
    load.during(12.0)


def corrupted_kafka(network: Network, load: Load) -> None:
    for line in network.servers.kafka_lines.values():
        line.set(Weather(flipped_answers=0.1, flipped_questions=0.1))
    load.during(12.0)


def flapping(network: Network, load: Load) -> None:
    for _ in range(8):
        for line in between_towns(network):
            line.set(CUT)
        load.during(0.7)
        for line in between_towns(network):
            line.heal()
        load.during(0.7)


SCENARIOS = (
    Scenario(name="partition", fault="A partition: one town is cut off.", run=partition),
    Scenario(name="silence", fault="A partition without a word: nothing is closed.", run=silent_partition),
    Scenario(name="one-way", fault="One-way loss.", run=one_way),
    Scenario(name="not-transitive", fault="A-C cut while both see B.", run=not_transitive),
    Scenario(name="swizzle", fault="Links stopped one by one, restored in random order.", run=swizzle),
    Scenario(name="loss", fault="30 % loss.", run=lossy),
    Scenario(name="slow", fault="Slow link; throttling.", run=slow),
    Scenario(name="delay", fault="Slow link: each chunk waits.", run=delayed),
    Scenario(name="torn", fault="Reset in mid-response.", run=torn),
    Scenario(name="answers-lost", fault="Request delivered and response lost.", run=answers_lost_to_clients),
    Scenario(name="answers-lost-within", fault="The same between a town's own processes.", run=answers_lost_within),
    Scenario(name="corrupted-https", fault="Corrupted bytes between towns.", run=corrupted_doors),
    Scenario(name="corrupted-kafka", fault="Corrupted bytes on the way to the broker.", run=corrupted_kafka),
    Scenario(name="flapping", fault="Links that come and go.", run=flapping),
    Scenario(
        name="without-broker", fault="A partition in a network that has no broker.", run=partition, with_kafka=False
    ),
)
