"""What a broker loses is noticed by the streams' positions and fetched over HTTPS; nothing is lost or doubled."""

from __future__ import annotations

import logging
from pathlib import Path

import httpx
import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from tests.federation.plans import NETWORK
from tests.federation.towns import Network
from tests.kafka.secured import DROPPED, Secured, inbox_of, until
from tests.kafka.towns_on_kafka import balance, send, settle, take, towns_on_kafka
from timebank_federation.kafka_admin import KafkaAdmin
from timebank_federation.kafka_check import compare
from timebank_federation.outgoing import REPEAT_SECONDS_FIRST

pytestmark = [pytest.mark.servers, pytest.mark.slow, DROPPED]
INBOX = inbox_of("barry")
TRANSFERS = 500


def metric(network: Network, name: str) -> float:
    """A figure of Barry's federation."""
    with httpx.Client(transport=network.doors, base_url="http://barry.example") as http:
        lines = http.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(name)).rpartition(" ")[2])


def made_again(network: Network) -> float:
    return metric(network, "timebank_federation_topic_made_again_total")


def set_topic(secured: Secured, **settings: str) -> None:
    """Change Barry's inbox behind the plan's back."""
    changes = {name.replace("_", "."): value for name, value in settings.items()}
    admin = KafkaAdminClient(bootstrap_servers=secured.scram_address, **secured.admin.client_settings())
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, INBOX, changes)])
    admin.close()


def empty_by_age(secured: Secured) -> None:
    """Wait until the broker has deleted every record of Barry's inbox by age."""
    consumer = KafkaConsumer(bootstrap_servers=secured.scram_address, **secured.admin.client_settings())
    partition = TopicPartition(INBOX, 0)
    until(
        lambda: consumer.beginning_offsets([partition]) == consumer.end_offsets([partition]),
        what="the broker deletes its records",
    )
    consumer.close()


def give(network: Network, count: int, key: str) -> list[str]:
    return [network.send("aberdare", "barry", 1, key=f"{key}-{number}") for number in range(count)]


def test_five_hundred_transfers_outlive_a_retention_of_a_second(
    secured: Secured, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Case K-1."""
    with towns_on_kafka(secured, tmp_path) as network:
        settle(network, *give(network, 3, "before"))
        set_topic(secured, retention_ms="1000")
        transfers = []
        for tenth in range(10):
            transfers += give(network, TRANSFERS // 10, f"lost-{tenth}")
            until(lambda: send(network, "aberdare") == 0, what="all is sent")
        empty_by_age(secured)
        with KafkaAdmin(secured.scram_address, secured.admin) as admin:
            (sentence,) = compare(secured.plan, admin.state(NETWORK), known_ids={}).wrong
        assert "keeps records for 1000 ms; 7 to 30 days are allowed" in sentence
        assert secured.apply(secured.plan) == [f"changed topic {INBOX}"]
        assert balance(network, "barry", "bryn") == 3
        transfers += give(network, 1, "after")
        settle(network, *transfers)
        assert balance(network, "barry", "bryn") == 3 + TRANSFERS + 1
        assert balance(network, "aberdare", "alys") == -(3 + TRANSFERS + 1)
        counts = network["barry"].federation.receiver.counts
        assert (counts["gap"], counts["pulled"] > 0) == (1, True)
        assert metric(network, "timebank_federation_records_given_up_total") > 0
    said = {record.message for record in caplog.records if record.levelno >= logging.WARNING}
    assert {"gap in a stream", "records given up by the broker"} <= said


@pytest.mark.parametrize("anew", [3, 10])
def test_a_topic_made_again_skips_nothing(
    secured: Secured, tmp_path: Path, caplog: pytest.LogCaptureFixture, anew: int
) -> None:
    """Case K-3: fewer records than were read before, and more; two that nobody read went with the old topic."""
    with towns_on_kafka(secured, tmp_path) as network:
        with KafkaAdmin(secured.scram_address, secured.admin) as admin:
            before = {name: topic.id for name, topic in admin.state(NETWORK).topics.items()}
        for transfer in give(network, 5, "read"):
            settle(network, transfer)
        lost = give(network, 2, "lost")
        until(lambda: send(network, "aberdare") == 0, what="all is sent")
        secured.make_again("barry")
        new = []
        for number in range(anew):
            new += give(network, 1, f"new-{number}")
            until(lambda: send(network, "aberdare") == 0, what="all is sent")
        settle(network, *lost, *new)
        assert balance(network, "barry", "bryn") == 7 + anew
        until(lambda: take(network, "barry") == 0 and made_again(network) == 1, what="the new topic is noticed")
        assert balance(network, "barry", "bryn") == 7 + anew
    assert "topic made again" in {record.message for record in caplog.records}
    with KafkaAdmin(secured.scram_address, secured.admin) as admin:
        (sentence,) = compare(secured.plan, admin.state(NETWORK), known_ids=before).wrong
    assert f"Topic {INBOX} was deleted and made again" in sentence


def test_the_last_messages_of_a_quiet_sender_come_again_from_its_journal(secured: Secured, tmp_path: Path) -> None:
    """Case K-3: nothing follows that could show the gap, and Barry has no way to Aberdare's door."""
    with towns_on_kafka(secured, tmp_path) as network:
        settle(network, *give(network, 1, "read"))
        lost = give(network, 2, "lost")
        until(lambda: send(network, "aberdare") == 0, what="all is sent")
        secured.make_again("barry")
        network["aberdare"].door.is_cut = True
        until(lambda: take(network, "barry") == 0, what="the new topic is empty")
        assert balance(network, "barry", "bryn") == 1
        network.clock.advance(seconds=REPEAT_SECONDS_FIRST + 1)
        settle(network, *lost)
        assert balance(network, "barry", "bryn") == 3
