"""How far the inbox was read is a hint: it spares a restart weeks of records, and nothing rests on it."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from timebank_federation.broker import BrokerRecord
from timebank_federation.broker_kafka import KafkaInbox, KafkaOutbox
from timebank_federation.inbox_place import READ_AGAIN_RECORDS, InboxPlace

RECORDS = 500
PATIENCE_SECONDS = 60.0


def test_what_was_saved_is_loaded_with_some_records_to_read_again(tmp_path: Path) -> None:
    file = tmp_path / "inbox-read"
    InboxPlace(file).save("topic", READ_AGAIN_RECORDS + 7)
    assert InboxPlace(file).load() == ("topic", 7)
    InboxPlace(file).save("topic", 3)
    assert InboxPlace(file).load() == ("topic", 0)


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b"null", b"{}", b'{"topic_id": 1, "next": 1}', b'{"topic_id": "t", "next": true}']
)
def test_a_file_that_says_nothing_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "inbox-read"
    file.write_bytes(content)
    assert InboxPlace(file).load() is None


def test_where_nothing_can_be_written_reading_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "no-such-folder" / "inbox-read"
    InboxPlace(file).save("topic", 7)
    assert InboxPlace(file).load() is None
    assert InboxPlace(None).load() is None


@pytest.mark.servers
def test_a_started_reader_goes_on_near_where_the_last_one_was(tmp_path: Path, kafka_bootstrap: str) -> None:
    topic, file = f"inbox.place.{uuid.uuid4().hex}", tmp_path / "inbox-read"
    outbox, first = KafkaOutbox(kafka_bootstrap), KafkaInbox(kafka_bootstrap, topic, place=file)
    first.poll(timeout_seconds=0)
    for number in range(RECORDS):
        outbox.send(topic, key="barry", value=b"%d" % number)
    until = time.monotonic() + PATIENCE_SECONDS
    found = InboxPlace(file).load()
    while found is None or found[1] != RECORDS - READ_AGAIN_RECORDS:
        assert time.monotonic() < until, "what was taken is written down"
        first.poll(timeout_seconds=0.2)
        found = InboxPlace(file).load()
    first.close()
    for place, offset in ((file, RECORDS - READ_AGAIN_RECORDS), (None, 0)):
        second = KafkaInbox(kafka_bootstrap, topic, place=place)
        records: list[BrokerRecord] = []
        while not records:
            assert time.monotonic() < until, "records come"
            records += second.poll(timeout_seconds=0.2)
        second.close()
        assert records[0].offset == offset
        assert (second.made_again, second.given_up) == (0, 0)
    outbox.close()
