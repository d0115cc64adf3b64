"""A real broker that knows its clients: each node writes to its peers and reads its own, and nobody else gets in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.federation.plans import NETWORK, registry_of
from tests.federation.towns import OPERATORS
from tests.kafka.secured import DROPPED, NODES, RULES, Secured, inbox_of
from timebank_federation.broker import BrokerAway, TopicAway
from timebank_federation.broker_kafka import KafkaInbox, KafkaOutbox
from timebank_federation.broker_security import PLAIN, KafkaSecurity
from timebank_federation.kafka_admin import KafkaAdmin
from timebank_federation.kafka_check import compare, compare_node
from timebank_federation.topics import inbox_prefix, plan_of
from timebank_node.cli import app
from timebank_node.network import first_registry

pytestmark = [pytest.mark.servers, pytest.mark.slow, DROPPED]
BOTH = pytest.mark.parametrize("by", ["scram", "certificate"])


def refusal(bootstrap: str, security: KafkaSecurity, topic: str) -> str:
    """What a sender is told; a reader is told the same."""
    outbox, inbox = KafkaOutbox(bootstrap, security), KafkaInbox(bootstrap, topic, security)
    with pytest.raises(BrokerAway) as sending:
        outbox.send(topic, key="barry", value=b"x")
    with pytest.raises(BrokerAway) as reading:
        inbox.poll(timeout_seconds=0)
    said = str(sending.value).partition(": ")[2]
    assert said == str(reading.value).partition(": ")[2]
    return said


def unreadable(inbox: KafkaInbox) -> str:
    """Why an inbox cannot be read; fails when it can."""
    for _ in range(10):
        try:
            assert inbox.poll(timeout_seconds=0.5) == []
        except BrokerAway as away:
            return str(away)
    raise AssertionError("another's inbox can be read, or is empty in silence")


def test_applying_a_plan_twice_does_nothing_the_second_time(secured: Secured) -> None:
    assert secured.apply(secured.plan) == []


def test_the_brokers_hold_what_was_applied(secured: Secured) -> None:
    with KafkaAdmin(secured.scram_address, secured.admin) as admin:
        found = compare(secured.plan, admin.state(NETWORK), known_ids={})
    assert found.wrong == []
    assert "--node NAME" in found.notes[0], "the broker hides a setting, and the note says how to ask"


@BOTH
@pytest.mark.parametrize("node", NODES)
def test_each_node_may_do_what_the_plan_says_and_no_more(secured: Secured, node: str, by: str) -> None:
    names = [topic.name for topic in secured.plan.topics]
    with KafkaAdmin(*secured.way(node, by)) as admin:
        view = admin.view(names, inbox_prefix(NETWORK) + "no_such_node")
    assert compare_node(secured.plan, node, view).wrong == []


@BOTH
def test_a_node_writes_to_its_peers_and_reads_its_own_only(secured: Secured, by: str) -> None:
    """PROTOCOL.md K5."""
    outbox = KafkaOutbox(*secured.way("aberdare", by))
    own = secured.way("barry", by)
    inbox = KafkaInbox(own[0], inbox_of("barry"), own[1])
    value = f"by {by}".encode()
    outbox.send(inbox_of("barry"), key="aberdare", value=value)
    found: list[bytes] = []
    while value not in found:
        found += [record.value for record in inbox.poll(timeout_seconds=5)]
    with pytest.raises(TopicAway, match=r"lets this node not write to \S+aberdare: run `timebank kafka apply`"):
        outbox.send(inbox_of("aberdare"), key="aberdare", value=b"to myself")
    outbox.send(inbox_of("cardiff"), key="aberdare", value=b"and on")
    for other in ("aberdare", "cardiff", "never-made"):
        assert "run `timebank kafka apply`" in unreadable(KafkaInbox(own[0], inbox_of(other), own[1]))
    inbox.close()
    outbox.close()


def test_a_closed_node_loses_its_rights_and_gets_them_back(secured: Secured) -> None:
    without = plan_of(registry_of(*NODES, states={"cardiff": "closed"}), RULES)
    done = secured.apply(without)
    assert f"took back: User:cardiff may READ topic {inbox_of('cardiff')}" in done
    where, security = secured.way("cardiff", "scram")
    with pytest.raises(BrokerAway, match="run `timebank kafka apply`"):
        KafkaInbox(where, inbox_of("cardiff"), security).poll(timeout_seconds=0)
    assert secured.apply(secured.plan)
    inbox = KafkaInbox(where, inbox_of("cardiff"), security)
    inbox.poll(timeout_seconds=0)
    inbox.close()


def test_a_wrong_password_is_refused_with_a_clear_sentence(secured: Secured) -> None:
    said = refusal(secured.scram_address, secured.scram("aberdare", "wrong"), inbox_of("barry"))
    assert said.startswith("it does not let aberdare in by SCRAM-SHA-512: see TIMEBANK_FEDERATION_KAFKA_USER")


def test_an_unknown_user_is_refused_with_a_clear_sentence(secured: Secured) -> None:
    said = refusal(secured.scram_address, secured.scram("nobody", "wrong"), inbox_of("barry"))
    assert "it does not let nobody in" in said


@pytest.mark.parametrize("which", ["expired", "foreign", "none"])
def test_a_certificate_that_does_not_count_is_refused_with_a_clear_sentence(secured: Secured, which: str) -> None:
    pairs = {
        "expired": secured.broker.authority.issue("expired", expired=True),
        "foreign": secured.foreign.issue("aberdare"),
        "none": None,
    }
    said = refusal(secured.certificate_address, secured.certificate(pairs[which]), inbox_of("barry"))
    assert said.startswith("it refuses our certificate, which may be missing, have expired, or be signed by")


@BOTH
def test_a_broker_that_our_authority_does_not_vouch_for_is_not_believed(secured: Secured, by: str) -> None:
    where, security = secured.way("aberdare", by)
    said = refusal(where, replace(security, ca_file=secured.foreign.certificate), inbox_of("barry"))
    assert said.startswith("its certificate is not one that TIMEBANK_FEDERATION_KAFKA_CA_FILE vouches for")


def test_plaintext_at_a_secured_port_is_told_to_look_at_the_protocol(secured: Secured) -> None:
    said = refusal(secured.scram_address, PLAIN, inbox_of("barry"))
    assert said.startswith("it does not answer as a broker at this port: see its listeners")


def test_the_command_finds_what_was_changed_and_says_so_by_its_exit_status(secured: Secured, tmp_path: Path) -> None:
    """Exit status 1, one sentence for each finding; 0 after `apply`."""
    registry = first_registry(NETWORK, registry_of(*NODES).nodes, operators=OPERATORS, k=1)
    (tmp_path / "registry.json").write_bytes(registry)
    (tmp_path / "admin").touch(mode=0o600)
    (tmp_path / "admin").write_text(secured.broker.password)
    words = ["--registry", str(tmp_path / "registry.json"), "--replication", "1"]
    around = {
        "TIMEBANK_FEDERATION_KAFKA": secured.scram_address,
        "TIMEBANK_FEDERATION_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "TIMEBANK_FEDERATION_KAFKA_CA_FILE": str(secured.broker.authority.certificate),
        "TIMEBANK_FEDERATION_KAFKA_USER": "admin",
        "TIMEBANK_FEDERATION_KAFKA_PASSWORD_FILE": str(tmp_path / "admin"),
    }

    def run(command: str, *more: str) -> Result:
        return CliRunner(env=around).invoke(app, ["kafka", command, *words, *more])

    assert run("apply").exit_code == 0
    known = ("--known", str(tmp_path / "ids.json"))
    assert run("check", *known).exit_code == 0
    secured.make_again("barry")
    found = run("check", *known)
    assert (found.exit_code, found.output.count("WRONG")) == (1, 1)
    assert "was deleted and made again" in found.output
    longer = run("check", "--retention-days", "30")
    assert (longer.exit_code, longer.output.count("WRONG")) == (1, len(NODES))
