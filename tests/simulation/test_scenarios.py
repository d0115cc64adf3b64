"""Named misfortunes of design page 6 that are more than one crash: topics, replays, poison, rolled-back nodes."""

from __future__ import annotations

import pytest

from tests.simulation.clients import BROKER
from tests.simulation.faults import GARBAGE
from tests.simulation.stories import MINUTE, Story
from timebank_ledger import commands as c

YEAR_SECONDS = 365 * 86_400.0


def test_a_topic_that_is_deleted_and_recreated_costs_time_only() -> None:
    story = Story()
    story.network.cut_links.update({("broker", "barry"), ("barry", "aberdare")})
    for _ in range(3):
        story.send(minutes=10)
    story.run(10.0)
    story.network.topics["barry"].clear()
    story.b_mail.position = story.b_mail.hint = 99
    story.network.cut_links.clear()
    assert story.ends_within()
    assert story.count(story.b, "transfer.received") == 3


def test_a_topic_replayed_from_its_beginning_has_no_second_effect() -> None:
    story = Story()
    for _ in range(5):
        story.send(minutes=10)
        assert story.ends_within() or story.ends_within()
    before = (list(story.a.disk.entries), list(story.b.disk.entries))
    for mail in (story.a_mail, story.b_mail):
        mail.position = 0
        mail.read_soon()
    story.run(MINUTE)
    assert (story.a.disk.entries, story.b.disk.entries) == before


def test_a_segment_replayed_a_year_later_has_no_effect() -> None:
    story = Story()
    story.send()
    story.run(10.0)
    recorded = list(story.network.seen)
    for town in (story.a, story.b):
        town.skew_seconds = YEAR_SECONDS
    story.operate(story.b, c.OpenAccount(by=BROKER, account="m99", kind="member"))
    before = (list(story.a.disk.entries), list(story.b.disk.entries))
    for receiver, segment in recorded:
        story.network.store(receiver, segment)
    story.run(MINUTE)
    assert (story.a.disk.entries, story.b.disk.entries) == before


@pytest.mark.slow
def test_poison_among_ten_thousand_good_messages_loses_none_of_them() -> None:
    story = Story(limit=10_000_000)
    for town in (story.a, story.b):
        policy = c.ChangePolicy(by=BROKER, default_floor=0, default_ceiling=0, debt_limit=10_000_000)
        story.operate(town, policy)
        story.operate(town, c.ChangeAccount(by=BROKER, account="m0", floor=-10_000_000, ceiling=10_000_000))
    for number in range(10_000):
        story.send(minutes=1)
        if number % 100 == 0:
            story.network.store("barry", GARBAGE[number // 100 % len(GARBAGE)])
            story.run(0.01)
    # Records that changed places leave a gap, which pulls and repetitions of 4,096 messages close.
    assert story.ends_within(3 * MINUTE)
    assert story.b_mail.quarantined == 100
    assert story.a.book.accounts["m0"].balance == -10_000
    assert story.b.book.accounts["m0"].balance == 10_000


@pytest.mark.parametrize("poison", range(len(GARBAGE)))
def test_poison_alone_has_no_effect_and_stops_nothing(poison: int) -> None:
    story = Story()
    story.network.store("barry", GARBAGE[poison])
    story.send()
    story.run(1.0)
    assert story.count(story.b, "transfer.received") == 1
    assert story.b_mail.quarantined == 1


def test_a_town_without_a_broker_still_federates() -> None:
    story = Story()
    story.network.broker_up = False
    story.send()
    assert story.ends_within(3 * MINUTE)
    assert story.count(story.b, "transfer.received") == 1


def test_one_town_cut_off_from_the_broker_still_federates() -> None:
    story = Story()
    story.network.cut_links.update({("aberdare", "broker"), ("broker", "aberdare")})
    story.send()
    assert story.ends_within(4 * MINUTE)


def test_a_node_that_was_rolled_back_stops_when_its_peer_had_heard_more() -> None:
    story = Story()
    story.send()
    story.run(10.0)
    story.a.crash()
    sent = next(n for n, raw in enumerate(story.a.disk.entries) if b"transfer.sent" in raw)
    del story.a.disk.entries[sent:]
    story.simulation.promises.forget(story.a)
    story.a.restart()
    story.run(MINUTE + 40.0)
    assert story.a.stopped is not None
    assert "rolled back" in story.a.stopped
    assert len(story.a.disk.entries) == sent


def test_a_payee_town_that_was_rolled_back_stops_when_its_decision_was_heard() -> None:
    story = Story()
    story.send()
    story.run(2 * MINUTE)
    story.b.crash()
    accepted = next(n for n, raw in enumerate(story.b.disk.entries) if b"segment.accepted" in raw)
    del story.b.disk.entries[accepted:]
    story.simulation.promises.forget(story.b)
    story.b.restart()
    story.run(3 * MINUTE)
    assert story.b.stopped is not None


def test_a_rolled_back_node_that_sends_another_history_is_not_followed() -> None:
    story = Story()
    story.send()
    story.run(10.0)
    high = story.b.book.peers["aberdare"].incoming
    story.network.cut_links.update({("broker", "aberdare"), ("barry", "aberdare")})
    story.a.crash()
    sent = next(n for n, raw in enumerate(story.a.disk.entries) if b"transfer.sent" in raw)
    del story.a.disk.entries[sent:]
    story.simulation.promises.forget(story.a)
    story.a.restart()
    for minutes in (30, 31):
        story.send(minutes=minutes)
    story.run(10.0)
    assert story.b.book.peers["aberdare"].incoming == high
    assert story.count(story.b, "transfer.received") == 1
