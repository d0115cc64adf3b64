"""What an operator does and asks at Kafka: the whole state as plain data, a node's own view, and a plan applied.

With `broker_kafka` the only file that imports the client. What shall be is in `topics`, what is wrong in `kafka_check`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, Literal, Self

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    NewTopic,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from kafka.errors import KafkaError, NoError, SecurityDisabledError, TopicAuthorizationFailedError, for_code
from kafka.protocol.admin import AlterClientQuotasRequest, DescribeClientQuotasRequest

from timebank_federation.broker import BrokerAway
from timebank_federation.broker_kafka import open_admin
from timebank_federation.broker_security import PLAIN, KafkaSecurity
from timebank_federation.kafka_check import BrokersState, NodeView, TopicState, surplus
from timebank_federation.topics import PARTITIONS, Acl, Plan, Quota, Topic, inbox_prefix

SCRAM_ROUNDS: Final = 8_192
PAGE: Final = 500
"""ACLs in one request."""
ANY_HOST: Final = "*"
_ANY_NAME: Final = 2
_WRITE_RATE: Final = "producer_byte_rate"
_READ_RATE: Final = "consumer_byte_rate"
_KINDS: Final[dict[ResourceType, Literal["topic", "cluster"]]] = {
    ResourceType.TOPIC: "topic",
    ResourceType.CLUSTER: "cluster",
}


class KafkaAdmin:
    """What an operator does and asks; a context manager. Every method raises `BrokerAway`.

    Args:
        bootstrap: host:port[,…] of the brokers.
        security: an administrator's credentials; a node's, to ask `view`.
    """

    def __init__(self, bootstrap: str, security: KafkaSecurity = PLAIN) -> None:
        self._bootstrap = bootstrap
        self._client = open_admin(bootstrap, security)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @contextlib.contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        try:
            yield
        except KafkaError as error:
            raise BrokerAway(f"Kafka at {self._bootstrap} {what}: {type(error).__name__}.") from error

    def state(self, network: str) -> BrokersState:
        """Everything that `kafka_check.compare` wants to know about a network."""
        with self._refusals("does not tell an administrator's view"):
            known = self._client.describe_cluster()["brokers"]
            brokers = [str(broker["broker_id"]) for broker in known if not broker.get("is_fenced")]
            prefix = inbox_prefix(network)
            names = sorted(name for name in self._client.list_topics() if name.startswith(prefix))
            described = self._client.describe_topics(names) if names else []
            topics = self._settings(ConfigResourceType.TOPIC, names)
            return BrokersState(
                brokers={int(name): of for name, of in self._settings(ConfigResourceType.BROKER, brokers).items()},
                down=[int(broker["broker_id"]) for broker in known if broker.get("is_fenced")],
                topics={
                    topic["name"]: TopicState(
                        id=str(topic["topic_id"]),
                        replicas=tuple(len(each["replica_nodes"]) for each in topic["partitions"]),
                        in_sync=tuple(len(each["isr_nodes"]) for each in topic["partitions"]),
                        settings={name: value or "" for name, value in topics[topic["name"]].items()},
                    )
                    for topic in described
                },
                acls=self._acls(),
                quotas=self._quotas(),
            )

    def view(self, topics: Sequence[str], unlisted: str) -> NodeView:
        """What our own credentials may do with topics; `unlisted` names one that nobody makes and no ACL allows."""
        with self._refusals("does not tell a node's view"):
            found = {topic["name"]: topic for topic in self._client.describe_topics([*topics, unlisted])}
        refused = TopicAuthorizationFailedError.errno
        return NodeView(
            rights={
                name: found[name].get("authorized_operations") or ()
                for name in topics
                if found[name]["error_code"] == 0
            },
            sees_unlisted=found[unlisted]["error_code"] != refused,
        )

    def apply(self, plan: Plan) -> list[str]:
        """Make and change what differs from a plan, topics first; a second time nothing is done. Returns: lines."""
        state = self.state(plan.network)
        done = []
        for topic in plan.topics:
            there = state.topics.get(topic.name)
            if there is None:
                self._make_topic(topic)
                done.append(f"made topic {topic.name}")
            elif any(there.settings.get(name) != value for name, value in topic.settings.items()):
                self._change_topic(topic.name, topic.settings)
                done.append(f"changed topic {topic.name}")
        if plan.with_acls:
            if state.acls is None:
                raise BrokerAway(
                    f"Kafka at {self._bootstrap} has no authorizer: set authorizer.class.name, or --no-acls."
                )
            done += self._apply_acls(plan, state.acls)
            done += self._apply_quotas([quota for quota in plan.quotas if quota not in state.quotas])
        return done

    def set_password(self, user: str, password: str) -> None:
        """Make a SCRAM user, or give it another password; who is connected stays so until its next login."""
        change = UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, password, iterations=SCRAM_ROUNDS)
        with self._refusals("refuses to make a user"):
            said = self._client.alter_user_scram_credentials([change])
        if said[user] is not None:
            raise BrokerAway(f"Kafka at {self._bootstrap} refuses to make a user: {said[user]}.")

    def _make_topic(self, topic: Topic) -> None:
        new = NewTopic(
            name=topic.name,
            num_partitions=PARTITIONS,
            replication_factor=topic.replication,
            topic_configs=dict(topic.settings),
        )
        with self._refusals("refuses to make a topic"):
            self._client.create_topics([new], wait_for_metadata=True)

    def _change_topic(self, topic: str, settings: Mapping[str, str]) -> None:
        with self._refusals("refuses to change a topic"):
            said = self._client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict(settings))])
        if said["topic"][topic] != "OK":
            raise BrokerAway(f"Kafka at {self._bootstrap} refuses to change a topic: {said['topic'][topic]}.")

    def _settings(self, kind: ConfigResourceType, names: Sequence[str]) -> dict[str, dict[str, str | None]]:
        asked = [ConfigResource(kind, name) for name in names]
        told = self._client.describe_configs(asked, config_filter="all") if asked else {}
        return {
            resource: {name: setting["value"] for name, setting in settings.items()}
            for resource, settings in told.get(kind.name.lower(), {}).items()
        }

    def _acls(self) -> set[Acl] | None:
        every = ACLFilter(
            None,
            None,
            ACLOperation.ANY,
            ACLPermissionType.ANY,
            ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
        )
        try:
            found, _ = self._client.describe_acls(every)
        except SecurityDisabledError:
            return None
        return {_acl_of(acl) for acl in found if acl.resource_pattern.resource_type in _KINDS}

    def _apply_acls(self, plan: Plan, there: Collection[Acl]) -> list[str]:
        missing, more = sorted(set(plan.acls) - set(there)), surplus(plan, there)
        with self._refusals("refuses to change rights"):
            for first in range(0, len(missing), PAGE):
                made = self._client.create_acls([_kafka_acl(acl, ACL) for acl in missing[first : first + PAGE]])
                for error in made["failed"]:
                    raise error
            for first in range(0, len(more), PAGE):
                filters = [_kafka_acl(acl, ACLFilter) for acl in more[first : first + PAGE]]
                for _, _, error in self._client.delete_acls(filters):
                    if error is not NoError:
                        raise error
        return [f"allowed: {acl.describe()}" for acl in missing] + [f"took back: {acl.describe()}" for acl in more]

    def _quotas(self) -> set[Quota]:
        component = DescribeClientQuotasRequest.ComponentData(entity_type="user", match_type=_ANY_NAME, match=None)
        request = DescribeClientQuotasRequest(components=[component], strict=True)
        told = self._client._manager.run(self._client._manager.send, request)
        if told.error_code:
            raise for_code(told.error_code)(told.error_message)
        quotas = set()
        for entry in told.entries or ():
            values = {value.key: int(value.value) for value in entry.values}
            (user,) = [entity.entity_name for entity in entry.entity]
            quotas.add(Quota(user, values.get(_WRITE_RATE, 0), values.get(_READ_RATE, 0)))
        return quotas

    def _apply_quotas(self, quotas: Sequence[Quota]) -> list[str]:
        """The client has the requests for quotas and no method that sends them."""
        if not quotas:
            return []
        entries = [
            AlterClientQuotasRequest.EntryData(
                entity=[AlterClientQuotasRequest.EntryData.EntityData(entity_type="user", entity_name=quota.user)],
                ops=[
                    AlterClientQuotasRequest.EntryData.OpData(key=key, value=float(value), remove=False)
                    for key, value in (
                        (_WRITE_RATE, quota.write_bytes_per_second),
                        (_READ_RATE, quota.read_bytes_per_second),
                    )
                ],
            )
            for quota in quotas
        ]
        request = AlterClientQuotasRequest(entries=entries, validate_only=False)
        with self._refusals("refuses to set quotas"):
            told = self._client._manager.run(self._client._manager.send, request)
            for entry in told.entries:
                if entry.error_code:
                    raise for_code(entry.error_code)(entry.error_message)
        return [f"set quota of User:{quota.user}" for quota in quotas]


def _acl_of(acl: ACL) -> Acl:
    pattern = acl.resource_pattern
    return Acl(
        principal=acl.principal,
        operation=acl.operation.name,
        resource=_KINDS[pattern.resource_type],
        name=pattern.resource_name,
        pattern=pattern.pattern_type.name,
        permission=acl.permission_type.name,
    )


def _kafka_acl(acl: Acl, kind: type[ACLFilter]) -> ACLFilter:
    """As the client wants it: `ACL` to make one, `ACLFilter` to take it back."""
    resource = ResourceType.TOPIC if acl.resource == "topic" else ResourceType.CLUSTER
    pattern = ResourcePattern(resource, acl.name, ACLResourcePatternType[acl.pattern])
    return kind(acl.principal, ANY_HOST, ACLOperation[acl.operation], ACLPermissionType[acl.permission], pattern)
