"""A secured broker with the plan of a network on it, and credentials for its nodes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from deploy.servers.certificates import Authority, Pair
from deploy.servers.kafka_secured import ADMIN, CERTIFICATE_LISTENER, SCRAM_LISTENER, SecuredBroker
from tests.federation.plans import NETWORK, registry_of
from timebank_contracts.names import inbox_topic
from timebank_federation.broker_security import KafkaSecurity
from timebank_federation.kafka_admin import KafkaAdmin
from timebank_federation.topics import Plan, TopicRules, plan_of

NODES = ("aberdare", "barry", "cardiff")
RULES = TopicRules(replication=1)
DROPPED = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")
"""The client drops a connection that is still being made when it is closed; with the fixture `quiet_client`."""
PATIENCE_SECONDS = 60.0


def until(found: Callable[[], object], *, what: str) -> None:
    """Ask again until it is so; fails with `what` when it takes too long."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not found():
        assert time.monotonic() < end, f"not within {PATIENCE_SECONDS:g} s: {what}"


class Secured:
    """The broker, an administrator, and what its nodes prove themselves with."""

    def __init__(self, broker: SecuredBroker, folder: Path) -> None:
        self.broker = broker
        self.plan: Plan = plan_of(registry_of(*NODES), RULES)
        self.scram_address = broker.address(SCRAM_LISTENER)
        self.certificate_address = broker.address(CERTIFICATE_LISTENER)
        self.passwords = {node: secrets.token_urlsafe(12) for node in NODES}
        self.foreign = Authority(folder / "foreign", "foreign")
        self.admin = self.scram(ADMIN, broker.password)
        self.restore()

    def restore(self) -> None:
        """The nodes' users with their passwords, and the plan of all nodes, as each test finds them."""
        with KafkaAdmin(self.scram_address, self.admin) as admin:
            for node, password in self.passwords.items():
                admin.set_password(node, password)
            admin.apply(self.plan)

    def apply(self, plan: Plan) -> list[str]:
        """What `timebank kafka apply` does with a plan."""
        with KafkaAdmin(self.scram_address, self.admin) as admin:
            return admin.apply(plan)

    def make_again(self, *nodes: str) -> None:
        """Delete the inboxes of nodes and make them again."""
        names = [inbox_of(node) for node in nodes]
        self.forget(*names)
        assert set(self.apply(self.plan)) == {f"made topic {name}" for name in names}

    def forget(self, *names: str) -> None:
        """Delete topics."""
        client = KafkaAdminClient(bootstrap_servers=self.scram_address, **self.admin.client_settings())
        client.delete_topics(sorted(set(names) & set(client.list_topics())))
        until(lambda: not set(names) & set(client.list_topics()), what="the topics are deleted")
        client.close()

    def scram(self, user: str, password: str | None = None) -> KafkaSecurity:
        """Credentials by user and password; by default a node's right one."""
        return KafkaSecurity(
            protocol="SASL_SSL",
            ca_file=self.broker.authority.certificate,
            user=user,
            password=self.passwords[user] if password is None else password,
        )

    def certificate(self, pair: Pair | None) -> KafkaSecurity:
        """Credentials by a certificate."""
        return KafkaSecurity(
            protocol="SSL",
            ca_file=self.broker.authority.certificate,
            certificate_file=None if pair is None else pair.certificate,
            key_file=None if pair is None else pair.key,
        )

    def way(self, node: str, by: str) -> tuple[str, KafkaSecurity]:
        """Address and credentials of a node by `scram` or `certificate`."""
        if by == "scram":
            return self.scram_address, self.scram(node)
        return self.certificate_address, self.certificate(self.broker.authority.issue(node))


def inbox_of(node: str) -> str:
    return inbox_topic(NETWORK, node)


@contextmanager
def secured_broker(folder: Path) -> Iterator[Secured]:
    """The broker runs while the block lasts; the plan of `NODES` is applied."""
    # Old records are looked for twice a second instead of every five minutes.
    settings = {"log.retention.check.interval.ms": "500", "log.initial.task.delay.ms": "500"}
    with SecuredBroker(folder / "broker", settings=settings) as broker:
        yield Secured(broker, folder)
