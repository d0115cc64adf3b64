"""What a network wants of its brokers, as data: topics, rights, quotas. One source for `timebank kafka` and AsyncAPI.

    registry + rules ──▶ plan: an inbox for each node · who writes to it, who reads it · how much a second

Nothing is asked and nothing is done here: `broker_kafka` applies a plan, `kafka_check` compares.
Source: PROTOCOL.md K1 to K5; issue 5, point 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from timebank_contracts.errors import Malformed
from timebank_contracts.names import inbox_topic
from timebank_contracts.registry import Registry

PARTITIONS: Final = 1
"""The order of a topic is the order of its one partition."""
RECORD_BYTES_MAX: Final = 524_288
MESSAGE_BYTES_MAX: Final = RECORD_BYTES_MAX + 4_096
"""A record with what Kafka puts around it."""
DAY_MILLISECONDS: Final = 24 * 3600 * 1000
RETENTION_DAYS: Final = 14
RETENTION_DAYS_MIN: Final = 7
RETENTION_DAYS_MAX: Final = 30
REPLICATION_MAX: Final = 9
CLUSTER: Final = "kafka-cluster"
Operation = Literal["READ", "WRITE", "DESCRIBE", "IDEMPOTENT_WRITE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRules:
    """What the operators of the brokers choose.

    Raises:
        Malformed: a figure is out of its range; the text names it.
    """

    replication: int = 3
    """Brokers that hold each record; 1 for a single broker."""
    retention_days: int = RETENTION_DAYS
    write_bytes_per_second: int = 5_000_000
    """What a node may write, at each broker: a flood of one slows nobody else."""
    read_bytes_per_second: int = 20_000_000
    with_acls: bool = True
    """False: brokers without an authorizer, for trying out on one machine."""

    def __post_init__(self) -> None:
        if not 1 <= self.replication <= REPLICATION_MAX:
            raise Malformed(f"Choose a replication factor from 1 to {REPLICATION_MAX}; 3 stands the loss of a broker.")
        if not RETENTION_DAYS_MIN <= self.retention_days <= RETENTION_DAYS_MAX:
            raise Malformed(f"Choose a retention of {RETENTION_DAYS_MIN} to {RETENTION_DAYS_MAX} days.")
        if min(self.write_bytes_per_second, self.read_bytes_per_second) < MESSAGE_BYTES_MAX:
            raise Malformed(f"Choose quotas of at least {MESSAGE_BYTES_MAX} bytes a second: the largest record.")

    @property
    def in_sync_min(self) -> int:
        """Brokers that must hold a record before it counts as stored: one may be down, and none is lost alone."""
        return 1 if self.replication == 1 else max(2, self.replication - 1)

    @property
    def topic_settings(self) -> dict[str, str]:
        """Settings of every inbox topic."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_days * DAY_MILLISECONDS),
            "retention.bytes": "-1",
            "max.message.bytes": str(MESSAGE_BYTES_MAX),
            # The broker's clock dates records: a node's own, if it is fast, would have them refused, and if it is slow
            # given up at once.
            "message.timestamp.type": "LogAppendTime",
            "min.insync.replicas": str(self.in_sync_min),
            "unclean.leader.election.enable": "false",
        }


class Topic(NamedTuple):
    """An inbox topic as it shall be."""

    name: str
    replication: int
    settings: dict[str, str]


class Acl(NamedTuple):
    """One thing that a principal may do, from any host."""

    principal: str
    operation: str
    resource: Literal["topic", "cluster"]
    name: str
    pattern: str = "LITERAL"
    permission: str = "ALLOW"

    def describe(self) -> str:
        """For people: `User:barry may READ topic timebank.….inbox.barry`."""
        may = "may" if self.permission == "ALLOW" else "may not"
        begins = " (every one that begins so)" if self.pattern == "PREFIXED" else ""
        what = "the cluster" if self.resource == "cluster" else f"topic {self.name}{begins}"
        return f"{self.principal} {may} {self.operation} {what}"


class Quota(NamedTuple):
    """Bytes a second that a user may write and read at each broker."""

    user: str
    write_bytes_per_second: int
    read_bytes_per_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a network wants of its brokers."""

    network: str
    topics: tuple[Topic, ...]
    acls: tuple[Acl, ...]
    quotas: tuple[Quota, ...]
    with_acls: bool


def principal_of(node: str) -> str:
    """A node's name at the broker: its SCRAM user, or the common name of its certificate."""
    return f"User:{node}"


def inbox_prefix(network: str) -> str:
    """What the names of all inboxes of a network begin with."""
    return inbox_topic(network, "")


def plan_of(registry: Registry, rules: TopicRules) -> Plan:
    """The plan that follows from a registry. A closed node has no inbox and no right; a suspended one keeps both,
    since its decisions are still taken.

    Args:
        registry: the one in force.
        rules: the operators' choices.
    """
    nodes = [node.node for node in registry.nodes if node.state != "closed"]
    topics = [Topic(inbox_topic(registry.network, node), rules.replication, rules.topic_settings) for node in nodes]
    acls = [acl for node in nodes for acl in _rights(registry.network, node, nodes)]
    quotas = [Quota(node, rules.write_bytes_per_second, rules.read_bytes_per_second) for node in nodes]
    return Plan(
        network=registry.network,
        topics=tuple(topics),
        acls=tuple(acls) if rules.with_acls else (),
        quotas=tuple(quotas) if rules.with_acls else (),
        with_acls=rules.with_acls,
    )


def _rights(network: str, node: str, nodes: list[str]) -> Iterator[Acl]:
    """What one node may do: read its own inbox, write to its peers', and see that they are there."""
    own = principal_of(node)
    yield Acl(own, "READ", "topic", inbox_topic(network, node))
    yield Acl(own, "DESCRIBE", "topic", inbox_topic(network, node))
    for peer in nodes:
        if peer != node:
            yield Acl(own, "WRITE", "topic", inbox_topic(network, peer))
            yield Acl(own, "DESCRIBE", "topic", inbox_topic(network, peer))
    # Brokers before 3.0 want it for an idempotent producer; later ones take WRITE on a topic for it.
    yield Acl(own, "IDEMPOTENT_WRITE", "cluster", CLUSTER)


def describe_plan(plan: Plan) -> list[str]:
    """The plan in lines for people; the same plan gives the same lines."""
    lines = []
    for topic in plan.topics:
        settings = " ".join(f"{name}={value}" for name, value in sorted(topic.settings.items()))
        lines.append(f"topic {topic.name} partitions={PARTITIONS} replication={topic.replication} {settings}")
    lines += [f"acl {acl.describe()}" for acl in plan.acls]
    lines += [
        f"quota User:{quota.user} writes {quota.write_bytes_per_second} and reads {quota.read_bytes_per_second} "
        "bytes a second"
        for quota in plan.quotas
    ]
    return lines
