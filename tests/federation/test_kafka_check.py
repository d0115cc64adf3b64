"""Brokers that would lose, compact or open what is sent are found, and each sentence says what to change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.federation.plans import GOOD_BROKER, NETWORK, registry_of, state_of, with_topic
from timebank_contracts.names import inbox_topic
from timebank_federation.kafka_check import BrokersState, NodeView, compare, compare_node, surplus
from timebank_federation.topics import Acl, Quota, TopicRules, plan_of

REGISTRY = registry_of("aberdare", "barry")
PLAN = plan_of(REGISTRY, TopicRules())
GOOD = state_of(PLAN)
BARRY = inbox_topic(NETWORK, "barry")


def wrong(state: BrokersState, known_ids: dict[str, str] | None = None) -> str:
    """The one finding."""
    (sentence,) = compare(PLAN, state, known_ids=known_ids or {}).wrong
    return sentence


def test_brokers_that_hold_the_plan_are_fine() -> None:
    found = compare(PLAN, GOOD, known_ids={name: topic.id for name, topic in GOOD.topics.items()})
    assert (found.wrong, found.notes) == ([], [])


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("auto.create.topics.enable", "true", "set auto.create.topics.enable=false"),
        ("allow.everyone.if.no.acl.found", "true", "set allow.everyone.if.no.acl.found=false"),
        ("unclean.leader.election.enable", "true", "set unclean.leader.election.enable=false"),
        ("authorizer.class.name", "", "set authorizer.class.name"),
        ("message.max.bytes", "100000", "set message.max.bytes to 528384"),
        ("replica.fetch.max.bytes", "100000", "replica.fetch.max.bytes: set it to at least 528384"),
    ],
)
def test_a_broker_setting_that_loses_or_opens_is_found(setting: str, value: str, sentence: str) -> None:
    said = wrong(replace(GOOD, brokers={**GOOD.brokers, 2: {**GOOD_BROKER, setting: value}}))
    assert said.startswith("Broker 2 ")
    assert sentence in said


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("cleanup.policy", "compact", "is compacted"),
        ("cleanup.policy", "compact,delete", "is compacted"),
        ("retention.ms", "1000", "7 to 30 days"),
        ("retention.ms", str(31 * 24 * 3600 * 1000), "7 to 30 days"),
        ("retention.ms", "-1", "7 to 30 days"),
        ("retention.ms", str(8 * 24 * 3600 * 1000), "not for 1209600000 ms"),
        ("retention.bytes", "1000000", "gives up records when it grows"),
        ("max.message.bytes", "1000", "max.message.bytes"),
        ("message.timestamp.type", "CreateTime", "by their senders' clocks"),
        ("unclean.leader.election.enable", "true", "missed records"),
        ("min.insync.replicas", "1", "one of 3 brokers"),
        ("min.insync.replicas", "3", "while one of its 3 brokers is down"),
    ],
)
def test_a_topic_setting_that_loses_or_compacts_is_found(setting: str, value: str, sentence: str) -> None:
    said = wrong(with_topic(GOOD, BARRY, settings={**GOOD.topics[BARRY].settings, setting: value}))
    assert said.startswith(f"Topic {BARRY} ")
    assert sentence in said
    assert "run `timebank kafka apply`" in said


def test_a_topic_with_several_partitions_is_found() -> None:
    assert "has 3 partitions" in wrong(with_topic(GOOD, BARRY, replicas=(3, 3, 3), in_sync=(3, 3, 3)))


def test_a_topic_on_too_few_brokers_is_found() -> None:
    found = compare(PLAN, with_topic(GOOD, BARRY, replicas=(2,), in_sync=(2,)), known_ids={}).wrong
    assert "is held by 2 brokers, not by 3" in found[0]
    assert "takes nothing while one of its 2 brokers is down" in found[1]


def test_a_broker_that_is_down_is_found() -> None:
    up = dict.fromkeys((1, 3), GOOD_BROKER)
    assert wrong(replace(GOOD, brokers=up, down=[2])) == "Broker 2 is down: start it; its log says why it ended."


def test_a_broker_that_has_not_caught_up_is_found_by_what_it_lacks() -> None:
    assert "is complete on 2 of its 3 brokers" in wrong(with_topic(GOOD, BARRY, in_sync=(2,)))


def test_a_topic_that_was_just_made_is_asked_for_again() -> None:
    assert "check again in a moment" in wrong(with_topic(GOOD, BARRY, replicas=(), in_sync=()))


def test_a_missing_topic_is_found() -> None:
    topics = {name: topic for name, topic in GOOD.topics.items() if name != BARRY}
    assert wrong(replace(GOOD, topics=topics)) == f"Topic {BARRY} is missing: run `timebank kafka apply`."


def test_a_topic_made_again_is_found_by_its_id() -> None:
    """Case K-3."""
    said = wrong(GOOD, {BARRY: "another"})
    assert "was deleted and made again (its id was another" in said


def test_fewer_brokers_than_copies_are_found() -> None:
    found = compare(PLAN, state_of(PLAN, brokers=1), known_ids={}).wrong
    assert len(found) == 2
    assert all("plan with --replication 1" in sentence for sentence in found)


def test_a_topic_of_no_node_is_noted_only() -> None:
    left = inbox_topic(NETWORK, "left")
    found = compare(PLAN, replace(GOOD, topics={**GOOD.topics, left: GOOD.topics[BARRY]}), known_ids={})
    assert found.wrong == []
    assert left in found.notes[0]


def test_a_hidden_setting_is_noted_with_the_way_to_ask() -> None:
    hidden = {**GOOD_BROKER, "allow.everyone.if.no.acl.found": None}
    found = compare(PLAN, replace(GOOD, brokers={1: hidden, 2: GOOD_BROKER, 3: GOOD_BROKER}), known_ids={})
    assert found.wrong == []
    assert "--node NAME" in found.notes[0]


def test_brokers_without_an_authorizer_are_found() -> None:
    assert "have no authorizer" in wrong(replace(GOOD, acls=None))
    open_plan = plan_of(REGISTRY, TopicRules(with_acls=False))
    assert compare(open_plan, replace(state_of(open_plan), acls=None), known_ids={}).wrong == []


def test_a_missing_right_is_found() -> None:
    acl = Acl("User:barry", "READ", "topic", BARRY)
    assert wrong(replace(GOOD, acls=set(PLAN.acls) - {acl})) == (
        f"User:barry may READ topic {BARRY} by the plan, and no ACL says so: run `timebank kafka apply`."
    )


@pytest.mark.parametrize(
    "acl",
    [
        Acl("User:aberdare", "READ", "topic", BARRY),
        Acl("User:barry", "WRITE", "topic", BARRY),
        Acl("User:*", "WRITE", "topic", BARRY),
        Acl("User:left", "WRITE", "topic", BARRY),
    ],
)
def test_a_right_beyond_the_plan_is_found_and_taken_back(acl: Acl) -> None:
    acls = {*PLAN.acls, acl}
    assert "beyond the plan" in wrong(replace(GOOD, acls=acls))
    assert surplus(PLAN, acls) == [acl]


@pytest.mark.parametrize(
    "acl",
    [
        Acl("User:tool", "ALL", "topic", "*"),
        Acl("User:tool", "READ", "topic", "timebank.", "PREFIXED"),
        Acl("User:tool", "READ", "topic", f"{BARRY[:-2]}", "PREFIXED"),
    ],
)
def test_a_wide_right_that_covers_an_inbox_is_found_and_left_alone(acl: Acl) -> None:
    acls = {*PLAN.acls, acl}
    assert "inboxes included" in wrong(replace(GOOD, acls=acls))
    assert surplus(PLAN, acls) == []


def test_rights_of_other_networks_and_tools_are_none_of_ours() -> None:
    others = {
        Acl("User:tool", "READ", "topic", "logs"),
        Acl("User:tool", "READ", "topic", "logs-", "PREFIXED"),
        Acl("User:barry", "READ", "topic", inbox_topic("other.example", "barry")),
        Acl("User:tool", "ALTER", "cluster", "kafka-cluster"),
    }
    assert compare(PLAN, replace(GOOD, acls={*PLAN.acls, *others}), known_ids={}).wrong == []


def test_a_missing_quota_is_found() -> None:
    quotas = {Quota("barry", 1, 1), *(quota for quota in PLAN.quotas if quota.user != "barry")}
    assert "User barry has no quota or another one" in wrong(replace(GOOD, quotas=quotas))


RIGHTS = {BARRY: ["READ", "DESCRIBE"], inbox_topic(NETWORK, "aberdare"): ["WRITE", "DESCRIBE"]}


def test_a_node_with_its_rights_is_fine() -> None:
    assert compare_node(PLAN, "barry", NodeView(rights=RIGHTS, sees_unlisted=False)).wrong == []


def test_a_node_is_told_what_it_may_not_and_what_is_too_much() -> None:
    rights = {BARRY: ["READ", "WRITE", "DESCRIBE"]}
    found = compare_node(PLAN, "barry", NodeView(rights=rights, sees_unlisted=True)).wrong
    assert len(found) == 3
    assert f"barry may not WRITE topic {inbox_topic(NETWORK, 'aberdare')}" in found[0]
    assert f"barry may WRITE topic {BARRY} beyond the plan" in found[1]
    assert "allow.everyone.if.no.acl.found=false" in found[2]
