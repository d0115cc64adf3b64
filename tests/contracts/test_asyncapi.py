"""The AsyncAPI document says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from timebank_contracts import messages, names, segments
from timebank_federation import broker_kafka, broker_security, topics

FOLDER = Path(__file__).parents[2] / "contracts"
DOCUMENT: dict[str, Any] = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text("utf-8"))
INBOX = DOCUMENT["channels"]["inbox"]
SEGMENT = DOCUMENT["components"]["messages"]["segment"]


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for inner in value.values() for found in references(inner)]
    return [found for inner in value for found in references(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize("reference", sorted(set(references(DOCUMENT))))
def test_every_reference_leads_somewhere(reference: str) -> None:
    if not reference.startswith("#"):
        assert (FOLDER / reference).is_file()
        return
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    assert found


def test_the_topic_is_named_as_the_code_names_it() -> None:
    """PROTOCOL.md K1."""
    address = INBOX["address"].format(network="timebank.wales", node="barry")
    assert address == names.inbox_topic("timebank.wales", "barry")
    assert INBOX["bindings"]["kafka"]["topic"] == INBOX["address"]
    assert set(re.findall(r"{([a-z]+)}", INBOX["address"])) == set(INBOX["parameters"])


def test_a_record_is_one_segment_under_its_senders_name() -> None:
    """PROTOCOL.md K2, S3, C4."""
    assert INBOX["bindings"]["kafka"]["partitions"] == 1
    assert SEGMENT["bindings"]["kafka"]["key"]["pattern"] == names.NODE_PATTERN
    assert "headers" not in SEGMENT
    assert SEGMENT["payload"]["maxLength"] == segments.SEGMENT_BYTES_MAX
    assert SEGMENT["x-envelope"]["maxLength"] == segments.ENVELOPE_BYTES_MAX
    assert SEGMENT["x-envelope"]["payloadType"] == segments.PAYLOAD_TYPE
    line = SEGMENT["x-line"]
    assert line["maxLength"] == messages.MESSAGE_BYTES_MAX
    assert line["maxItems"] == segments.SEGMENT_MESSAGES_MAX
    assert line["maxLengthTogether"] == segments.SEGMENT_MESSAGE_BYTES_MAX


def test_every_type_of_message_is_listed_in_the_order_of_the_code() -> None:
    """PROTOCOL.md E5."""
    assert tuple(SEGMENT["x-line"]["types"]) == messages.MESSAGE_TYPES


def test_a_topic_has_the_settings_that_timebank_kafka_applies() -> None:
    """PROTOCOL.md K3."""
    rules = topics.TopicRules()
    binding = INBOX["bindings"]["kafka"]
    text = {name: as_kafka_writes(value) for name, value in binding["topicConfiguration"].items()}
    assert text == rules.topic_settings
    assert broker_kafka.TOPIC_SETTINGS.items() <= text.items()
    assert (binding["partitions"], binding["replicas"]) == (topics.PARTITIONS, rules.replication)
    assert int(text["max.message.bytes"]) > segments.SEGMENT_BYTES_MAX
    assert not broker_kafka.PRODUCER_SETTINGS["allow_auto_create_topics"]


def as_kafka_writes(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list) else str(value)


def test_a_node_proves_itself_as_its_settings_say() -> None:
    schemes = {scheme["type"] for scheme in DOCUMENT["components"]["securitySchemes"].values()}
    assert schemes == {broker_security.MECHANISM.title().replace("Scram-Sha-", "scramSha"), "X509"}
    assert DOCUMENT["servers"]["kafka"]["protocol"] == "kafka-secure"
    assert topics.principal_of("<node>") in DOCUMENT["servers"]["kafka"]["description"]


def test_a_reader_loses_no_record_by_its_settings() -> None:
    """PROTOCOL.md K4."""
    settings = broker_kafka.CONSUMER_SETTINGS
    assert settings["auto_offset_reset"] == "earliest"
    assert settings["isolation_level"] == "read_committed"
    assert settings["enable_auto_commit"] is False
    assert settings["group_id"] is None
    assert settings["allow_auto_create_topics"] is False
    for word in ("earliest", "committed", "commits nothing"):
        assert word in DOCUMENT["operations"]["takeSegment"]["summary"]
