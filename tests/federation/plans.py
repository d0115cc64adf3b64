"""Registries and brokers' states for the tests of plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.registry import FIRST_PREVIOUS, Operators, RegisteredNode, Registry
from timebank_federation.kafka_check import BrokersState, TopicState
from timebank_federation.topics import Plan
from timebank_node.chance import Seeded

NETWORK = "timebank.example"


def _key(name: str) -> str:
    return b64_encode(SigningKey(Seeded(1, name)(32)).public)


def registry_of(*nodes: str, states: Mapping[str, str] | None = None, network: str = NETWORK) -> Registry:
    """Version 1 with these nodes, open unless `states` says otherwise."""
    described = [
        RegisteredNode(
            node=node,
            generation="g1",
            state=msgspec.convert((states or {}).get(node, "open"), type=Any),
            event_keys=[_key(f"{node} event")],
            log_keys=[_key(f"{node} log")],
            protocols=[1],
            url=f"https://{node}.example",
            limit=6_000,
        )
        for node in nodes
    ]
    return Registry(
        protocol=1,
        network=network,
        version=1,
        previous=FIRST_PREVIOUS,
        operators=Operators(k=1, keys=[_key("operator")]),
        nodes=described,
    )


GOOD_BROKER: dict[str, str | None] = {
    "auto.create.topics.enable": "false",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "unclean.leader.election.enable": "false",
    "message.max.bytes": "1048588",
}


def state_of(plan: Plan, *, brokers: int = 3) -> BrokersState:
    """Brokers that hold exactly a plan."""
    topics = {
        topic.name: TopicState(
            id=f"id of {topic.name}",
            replicas=(topic.replication,),
            in_sync=(topic.replication,),
            settings=dict(topic.settings),
        )
        for topic in plan.topics
    }
    return BrokersState(
        brokers={number: dict(GOOD_BROKER) for number in range(1, brokers + 1)},
        topics=topics,
        acls=set(plan.acls) if plan.with_acls else None,
        quotas=set(plan.quotas),
    )


def with_topic(state: BrokersState, name: str, **changes: Any) -> BrokersState:
    """The same brokers, where one topic differs."""
    return replace(state, topics={**state.topics, name: replace(state.topics[name], **changes)})
