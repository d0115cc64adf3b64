"""Three brokers, of which one is killed under load, and then a second: every transfer ends, and none is doubled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from deploy.servers.kafka_cluster import KafkaCluster
from tests.federation.plans import NETWORK, registry_of
from tests.federation.towns import Network, open_towns
from tests.kafka.secured import DROPPED, inbox_of, until
from tests.kafka.towns_on_kafka import KAFKA, balance
from timebank_federation.broker import BrokerAway
from timebank_federation.kafka_admin import KafkaAdmin
from timebank_federation.kafka_check import Findings, compare
from timebank_federation.topics import TopicRules, plan_of

pytestmark = [pytest.mark.servers, pytest.mark.slow, DROPPED]
TRANSFERS = 120
PLAN = plan_of(registry_of("aberdare", "barry"), TopicRules(replication=3, with_acls=False))


@contextmanager
def running(folder: Path, cluster: KafkaCluster) -> Iterator[Network]:
    """Two towns whose threads run; without a broker they ask each other twice a second."""
    settings = {KAFKA: cluster.bootstrap, "TIMEBANK_FEDERATION_POLL_SECONDS": "0.5"}
    names = ("aberdare", "barry")
    with open_towns(folder, *names, with_broker=False, settings=dict.fromkeys(names, settings)) as network:
        for town in network.towns.values():
            town.federation.worker.start()
        yield network


def leader_of(cluster: KafkaCluster, topic: str) -> int:
    """The number of the broker that takes a topic's records."""
    admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    (described,) = admin.describe_topics([topic])
    admin.close()
    return int(described["partitions"][0]["leader_id"])


def settled(network: Network, transfers: list[str]) -> None:
    """Wait until all are settled; the towns' clock goes on, so that pauses end."""
    waiting = list(transfers)

    def done() -> bool:
        network.clock.advance(0.5)
        while waiting and network.state("aberdare", waiting[0]) == "settled":
            waiting.pop(0)
        return not waiting

    until(done, what=f"{len(transfers)} transfers settle")


def test_every_transfer_ends_once_while_brokers_die(tmp_path: Path) -> None:
    with KafkaCluster(tmp_path / "cluster") as cluster:
        with KafkaAdmin(cluster.bootstrap) as admin:
            assert admin.apply(PLAN) == [f"made topic {topic.name}" for topic in PLAN.topics]
            until(lambda: compare(PLAN, admin.state(NETWORK), known_ids={}) == Findings(), what="all hold the plan")
        with running(tmp_path, cluster) as network:
            transfers = []
            for number in range(TRANSFERS):
                transfers.append(network.send("aberdare", "barry", 1, key=f"key-{number}"))
                if number == TRANSFERS // 3:
                    cluster.brokers[leader_of(cluster, inbox_of("barry")) - 1].kill()
            settled(network, transfers)
            assert (balance(network, "aberdare", "alys"), balance(network, "barry", "bryn")) == (-TRANSFERS, TRANSFERS)
            until(lambda: not _away(network), what="the brokers that are left are used")
            with KafkaAdmin(cluster.bootstrap) as admin:
                until(lambda: _incomplete(admin) == len(PLAN.topics), what="the check finds the broker that is down")
            cluster.brokers[leader_of(cluster, inbox_of("barry")) - 1].kill()
            last = [network.send("aberdare", "barry", 1, key=f"last-{number}") for number in range(5)]
            settled(network, last)
            assert balance(network, "barry", "bryn") == TRANSFERS + len(last)


def _incomplete(admin: KafkaAdmin) -> int:
    """How many topics the check finds to be complete on two of three brokers."""
    try:
        found = compare(PLAN, admin.state(NETWORK), known_ids={}).wrong
    except BrokerAway:
        return 0  # the others still believe that it is up
    return sum("is complete on 2 of its 3 brokers" in sentence for sentence in found)


def _away(network: Network) -> bool:
    network.clock.advance(0.5)
    return any(town.federation.sender.broker_away for town in network.towns.values())
