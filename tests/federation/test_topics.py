"""What a network wants of its brokers follows from its registry, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.federation.plans import NETWORK, registry_of
from timebank_contracts.errors import Malformed
from timebank_contracts.names import inbox_topic
from timebank_federation.topics import MESSAGE_BYTES_MAX, TopicRules, describe_plan, plan_of

PLAN = plan_of(registry_of("aberdare", "barry", "cardiff"), TopicRules())


def test_every_node_has_one_inbox_with_the_settings_of_the_protocol() -> None:
    """PROTOCOL.md K1 to K3."""
    assert [topic.name for topic in PLAN.topics] == [
        inbox_topic(NETWORK, node) for node in ("aberdare", "barry", "cardiff")
    ]
    for topic in PLAN.topics:
        assert topic.replication == 3
        assert topic.settings == {
            "cleanup.policy": "delete",
            "retention.ms": "1209600000",
            "retention.bytes": "-1",
            "max.message.bytes": "528384",
            "message.timestamp.type": "LogAppendTime",
            "min.insync.replicas": "2",
            "unclean.leader.election.enable": "false",
        }


def test_a_node_may_write_to_its_peers_and_read_its_own_and_nothing_else() -> None:
    """PROTOCOL.md K5."""
    rights = {(acl.operation, acl.name) for acl in PLAN.acls if acl.principal == "User:barry"}
    own, peers = inbox_topic(NETWORK, "barry"), [inbox_topic(NETWORK, node) for node in ("aberdare", "cardiff")]
    assert rights == {
        ("READ", own),
        ("DESCRIBE", own),
        *(("WRITE", peer) for peer in peers),
        *(("DESCRIBE", peer) for peer in peers),
        ("IDEMPOTENT_WRITE", "kafka-cluster"),
    }


@given(st.lists(st.sampled_from(["open", "suspended", "closed"]), min_size=1, max_size=6))
def test_no_right_crosses_from_writing_to_reading(states: list[str]) -> None:
    nodes = [f"town-{number}" for number in range(len(states))]
    registry = registry_of(*nodes, states=dict(zip(nodes, states, strict=True)))
    plan = plan_of(registry, TopicRules())
    living = {node for node, state in zip(nodes, states, strict=True) if state != "closed"}
    assert {topic.name for topic in plan.topics} == {inbox_topic(NETWORK, node) for node in living}
    reads = {(acl.principal, acl.name) for acl in plan.acls if acl.operation == "READ"}
    writes = {(acl.principal, acl.name) for acl in plan.acls if acl.operation == "WRITE"}
    assert reads == {(f"User:{node}", inbox_topic(NETWORK, node)) for node in living}
    assert len(writes) == len(living) * (len(living) - 1)
    assert not reads & writes
    assert {quota.user for quota in plan.quotas} == living


def test_without_an_authorizer_there_are_topics_only() -> None:
    plan = plan_of(registry_of("aberdare", "barry"), TopicRules(with_acls=False))
    assert len(plan.topics) == 2
    assert not plan.acls
    assert not plan.quotas


@pytest.mark.parametrize(("replication", "in_sync"), [(1, "1"), (2, "2"), (3, "2"), (5, "4")])
def test_a_record_counts_when_two_brokers_or_more_have_it(replication: int, in_sync: str) -> None:
    assert TopicRules(replication=replication).topic_settings["min.insync.replicas"] == in_sync


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({"replication": 0}, "replication factor from 1"),
        ({"replication": 10}, "replication factor from 1"),
        ({"retention_days": 6}, "retention of 7 to 30 days"),
        ({"retention_days": 31}, "retention of 7 to 30 days"),
        ({"write_bytes_per_second": MESSAGE_BYTES_MAX - 1}, "quotas of at least"),
    ],
)
def test_choices_that_would_lose_records_are_refused(rules: dict[str, int], sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        TopicRules(**rules)  # type: ignore[arg-type]  # all of these are whole numbers


def test_the_plan_is_printed_line_by_line() -> None:
    lines = describe_plan(PLAN)
    assert len(lines) == len(PLAN.topics) + len(PLAN.acls) + len(PLAN.quotas)
    assert lines[0].startswith("topic timebank.timebank.example.inbox.aberdare partitions=1 replication=3 ")
    assert "acl User:barry may READ topic timebank.timebank.example.inbox.barry" in lines
    assert "acl User:barry may IDEMPOTENT_WRITE the cluster" in lines
    assert lines[-1] == "quota User:cardiff writes 5000000 and reads 20000000 bytes a second"
