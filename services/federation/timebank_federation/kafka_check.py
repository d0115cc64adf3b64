"""Compares what brokers say with a plan: each finding is a sentence that says what to change.

The broker is the fast path and never the record, so that a finding is never a loss of minutes; but a topic that is
compacted, kept too short, or open to everybody costs time on every day, and hides who writes. Pure: no broker is asked.
Source: issue 5, point 4; design page 6, "Kafka".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from timebank_contracts.names import inbox_topic
from timebank_federation.topics import (
    DAY_MILLISECONDS,
    MESSAGE_BYTES_MAX,
    PARTITIONS,
    RETENTION_DAYS_MAX,
    RETENTION_DAYS_MIN,
    Acl,
    Plan,
    Quota,
    Topic,
    inbox_prefix,
)

_APPLY: Final = "run `timebank kafka apply`"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """A topic as the brokers describe it."""

    id: str
    replicas: tuple[int, ...]
    """Copies of each partition."""
    in_sync: tuple[int, ...]
    """How many of them have every record."""
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokersState:
    """All that `check` compares, as an administrator sees it."""

    brokers: Mapping[int, Mapping[str, str | None]]
    """Settings by broker; None stands for a value that the broker hides."""
    down: Collection[int] = ()
    """Brokers that the cluster knows and does not reach."""
    topics: Mapping[str, TopicState]
    acls: Collection[Acl] | None
    """None: the brokers have no authorizer."""
    quotas: Collection[Quota] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """What brokers let one node's own credentials do."""

    rights: Mapping[str, Collection[str]]
    """Operations by topic; a topic that is missing here is hidden."""
    sees_unlisted: bool
    """Whether it is told of a topic for which there is no ACL at all."""


@dataclass(slots=True)
class Findings:
    """Sentences, and what could not be asked."""

    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def compare(plan: Plan, state: BrokersState, *, known_ids: Mapping[str, str]) -> Findings:
    """Every difference that matters.

    Args:
        plan: what shall be.
        state: what is.
        known_ids: topic ids as they were when last checked; a topic that is missing here is not compared.
    """
    found = Findings()
    for broker, settings in sorted(state.brokers.items()):
        found.wrong += _broker(plan, broker, settings)
        if plan.with_acls and settings.get("allow.everyone.if.no.acl.found", "false") is None:
            found.notes.append(
                f"Broker {broker} hides its allow.everyone.if.no.acl.found: `timebank kafka check --node NAME` with a "
                "node's credentials proves that it is false."
            )
    found.wrong += [f"Broker {broker} is down: start it; its log says why it ended." for broker in sorted(state.down)]
    brokers = len(state.brokers) + len(state.down)
    for topic in plan.topics:
        found.wrong += _topic(topic, state.topics.get(topic.name), known_ids.get(topic.name), brokers)
    planned = {topic.name for topic in plan.topics}
    for name in sorted(set(state.topics) - planned):
        found.notes.append(f"Topic {name} belongs to no open node of the registry: delete it when its node is closed.")
    if plan.with_acls:
        found.wrong += _rights(plan, state.acls)
        if state.acls is not None:
            found.wrong += _quotas(plan, state.quotas)
    return found


def _broker(plan: Plan, broker: int, settings: Mapping[str, str | None]) -> Iterator[str]:
    if settings.get("auto.create.topics.enable") == "true":
        yield (
            f"Broker {broker} makes any topic that is named, so that a typing error loses segments in silence: set "
            "auto.create.topics.enable=false in its server.properties and restart it."
        )
    if plan.with_acls and settings.get("allow.everyone.if.no.acl.found") == "true":
        yield (
            f"Broker {broker} lets everybody use what no ACL names: set allow.everyone.if.no.acl.found=false in its "
            "server.properties and restart it."
        )
    if settings.get("unclean.leader.election.enable") == "true":
        yield (
            f"Broker {broker} lets one that missed records become leader, which loses them: set "
            "unclean.leader.election.enable=false."
        )
    if plan.with_acls and not settings.get("authorizer.class.name"):
        yield (
            f"Broker {broker} has no authorizer: set authorizer.class.name to "
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer, or plan with --no-acls on a machine of your own."
        )
    # A topic's own limit overrides this one; it counts for every topic that is made without.
    if _number(settings.get("message.max.bytes"), MESSAGE_BYTES_MAX) < MESSAGE_BYTES_MAX:
        yield f"Broker {broker} takes no record as large as a segment: set message.max.bytes to {MESSAGE_BYTES_MAX}."
    if _number(settings.get("replica.fetch.max.bytes"), MESSAGE_BYTES_MAX) < MESSAGE_BYTES_MAX:
        yield (
            f"Broker {broker} copies slowly what is larger than its replica.fetch.max.bytes: set it to at least "
            f"{MESSAGE_BYTES_MAX}."
        )


def _topic(topic: Topic, state: TopicState | None, known_id: str | None, brokers: int) -> Iterator[str]:
    name = topic.name
    if topic.replication > brokers:
        yield (
            f"Topic {name} shall be held by {topic.replication} brokers and there are {brokers}: add brokers, or plan "
            f"with --replication {brokers}."
        )
    if state is None:
        yield f"Topic {name} is missing: {_APPLY}."
        return
    if known_id is not None and state.id != known_id:
        yield (
            f"Topic {name} was deleted and made again (its id was {known_id}, it is {state.id}): no minute is lost, "
            "senders repeat what was not heard. Find out who did it, then take its line out of the file of known ids."
        )
    if not state.replicas:
        yield f"Topic {name} is not known to every broker yet: check again in a moment."
        return
    if len(state.replicas) != PARTITIONS:
        yield (
            f"Topic {name} has {len(state.replicas)} partitions, which have no common order: delete it and {_APPLY}; "
            "its segments come again over HTTPS."
        )
    elif state.replicas[0] != topic.replication:
        yield (
            f"Topic {name} is held by {state.replicas[0]} brokers, not by {topic.replication}: move it with "
            "kafka-reassign-partitions, or delete it and " + _APPLY + "."
        )
    for copies, complete in zip(state.replicas, state.in_sync, strict=True):
        if complete < copies:
            yield (
                f"Topic {name} is complete on {complete} of its {copies} brokers: start the one that is down, or wait "
                "until it has caught up."
            )
    yield from _topic_settings(topic, state.settings, copies=min(state.replicas, default=1))


def _topic_settings(topic: Topic, settings: Mapping[str, str], *, copies: int) -> Iterator[str]:
    name = topic.name
    if settings.get("cleanup.policy", "delete") != "delete":
        yield f"Topic {name} is compacted, which keeps one segment of each sender and loses the others: {_APPLY}."
    kept = _number(settings.get("retention.ms"), 0)
    if not RETENTION_DAYS_MIN * DAY_MILLISECONDS <= kept <= RETENTION_DAYS_MAX * DAY_MILLISECONDS:
        yield (
            f"Topic {name} keeps records for {kept} ms; {RETENTION_DAYS_MIN} to {RETENTION_DAYS_MAX} days are allowed: "
            f"{_APPLY}."
        )
    elif str(kept) != topic.settings["retention.ms"]:
        yield f"Topic {name} keeps records for {kept} ms, not for {topic.settings['retention.ms']} ms: {_APPLY}."
    if _number(settings.get("retention.bytes"), -1) != -1:
        yield f"Topic {name} gives up records when it grows (retention.bytes): {_APPLY}."
    if _number(settings.get("max.message.bytes"), 0) < MESSAGE_BYTES_MAX:
        yield f"Topic {name} takes no record as large as a segment (max.message.bytes): {_APPLY}."
    if settings.get("message.timestamp.type", "CreateTime") != "LogAppendTime":
        yield f"Topic {name} dates records by their senders' clocks, and refuses those of a fast one: {_APPLY}."
    if settings.get("unclean.leader.election.enable") == "true":
        yield f"Topic {name} lets a broker that missed records become its leader: {_APPLY}."
    in_sync = _number(settings.get("min.insync.replicas"), 1)
    if copies > 1 and in_sync < 2:
        yield f"Topic {name} calls a record stored that one of {copies} brokers has (min.insync.replicas): {_APPLY}."
    if copies > 1 and in_sync >= copies:
        yield f"Topic {name} takes nothing while one of its {copies} brokers is down (min.insync.replicas): {_APPLY}."


def _number(text: str | None, otherwise: int) -> int:
    return otherwise if text is None else int(text)


def _rights(plan: Plan, acls: Collection[Acl] | None) -> Iterator[str]:
    if acls is None:
        yield (
            "The brokers have no authorizer, so that everybody may read and write: set authorizer.class.name, or plan "
            "with --no-acls on a machine of your own."
        )
        return
    for missing in sorted(set(plan.acls) - set(acls)):
        yield f"{missing.describe()} by the plan, and no ACL says so: {_APPLY}."
    for more in surplus(plan, acls):
        yield f"{more.describe()} beyond the plan: {_APPLY}."
    prefix = inbox_prefix(plan.network)
    for acl in sorted(acls):
        wide = acl.name == "*" or (
            acl.pattern == "PREFIXED" and (prefix.startswith(acl.name) or acl.name.startswith(prefix))
        )
        if acl.resource == "topic" and acl.permission == "ALLOW" and wide:
            yield f"{acl.describe()}, inboxes included: delete this ACL with kafka-acls, `apply` does not touch it."


def surplus(plan: Plan, acls: Collection[Acl]) -> list[Acl]:
    """ACLs on single inboxes of this network that the plan does not hold, such as those of a closed node."""
    prefix = inbox_prefix(plan.network)
    mine = (acl for acl in acls if acl.resource == "topic" and acl.pattern == "LITERAL" and acl.name.startswith(prefix))
    return sorted(set(mine) - set(plan.acls))


def _quotas(plan: Plan, quotas: Collection[Quota]) -> Iterator[str]:
    there = set(quotas)
    for quota in plan.quotas:
        if quota not in there:
            yield f"User {quota.user} has no quota or another one than the plan's: {_APPLY}."


def compare_node(plan: Plan, node: str, view: NodeView) -> Findings:
    """What one node's credentials may do, against what they shall.

    Args:
        plan: what shall be.
        node: whose credentials asked.
        view: what the brokers answered.
    """
    found = Findings()
    own = inbox_topic(plan.network, node)
    for topic in plan.topics:
        shall, may = ("READ" if topic.name == own else "WRITE"), set(view.rights.get(topic.name, ()))
        if shall not in may and "ALL" not in may:
            found.wrong.append(f"{node} may not {shall} topic {topic.name}: {_APPLY} as an administrator.")
        for more in sorted(may - {shall, "DESCRIBE"} if plan.with_acls else ()):
            found.wrong.append(f"{node} may {more} topic {topic.name} beyond the plan: {_APPLY} as an administrator.")
    if plan.with_acls and view.sees_unlisted:
        found.wrong.append(
            f"{node} is told of topics for which there is no ACL: set allow.everyone.if.no.acl.found=false on every "
            "broker, take the node out of super.users, and restart the brokers."
        )
    return found
