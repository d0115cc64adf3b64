"""Rows 1 to 10 of the crash table of design page 6: every crash, loss and fault of one transfer, and its end."""

from __future__ import annotations

import pytest

from tests.simulation.clients import BROKER
from tests.simulation.disk import COMMIT_FAULTS, CommitFault
from tests.simulation.stories import MINUTE, Story
from tests.simulation.town import Town
from timebank_contracts import canonical
from timebank_contracts import messages as m
from timebank_ledger import commands as c

DECIDED = {"transfer.received": 1, "transfer.rejected": 0}


def restart(town: Town) -> None:
    if not town.up:
        town.restart()


def settled_once(story: Story) -> bool:
    """One transfer: one entry of each kind, at both towns."""
    story.run(0.1)
    return (
        story.ends_within()
        and story.count(story.a, "transfer.sent") == story.count(story.a, "transfer.settled") == 1
        and story.count(story.b, "transfer.received") == 1
    )


def test_row_1_a_crash_before_the_commit_loses_nothing_and_the_same_key_runs_afresh() -> None:
    story = Story()
    story.a.disk.fault = "crash_before"
    command = story.send()
    story.run(1.0)
    assert (story.a.up, story.answers, story.count(story.a, "transfer.sent")) == (False, [], 0)
    story.a.restart()
    story.ask(story.a, command)
    assert settled_once(story)


@pytest.mark.parametrize("fault", ["unknown_lost", "unknown_kept"])
def test_row_2_after_an_unknown_commit_the_journal_says_and_the_key_answers(fault: CommitFault) -> None:
    story = Story()
    story.a.disk.fault = fault
    command = story.send()
    story.run(1.0)
    assert story.answers == []
    story.ask(story.a, command)
    assert settled_once(story)
    assert len(story.answers) == 1


def test_row_3_when_the_answer_was_lost_the_key_returns_the_first_answer() -> None:
    story = Story()
    story.a.disk.fault = "crash_after"
    command = story.send()
    story.run(1.0)
    story.a.restart()
    story.ask(story.a, command)
    story.ask(story.a, command)
    assert settled_once(story)
    assert story.answers[0] == story.answers[1]


def test_row_4_a_sender_that_dies_before_it_sends_sends_after_its_restart() -> None:
    story = Story()
    story.a.disk.fault = "crash_after"
    story.send()
    story.run(1.0)
    assert story.network.topics["barry"][-1:] != []
    story.a.restart()
    assert settled_once(story)


def test_row_4_a_sender_that_dies_after_it_sent_sends_twice_with_one_effect() -> None:
    story = Story()
    story.a_mail.crash_after_produce = True
    story.send()
    story.run(1.0)
    assert not story.a.up
    story.a.restart()
    assert settled_once(story)


def test_row_4_a_doubled_record_has_one_effect() -> None:
    story = Story()
    story.network.weather.duplicate = 1.0
    story.send()
    assert settled_once(story)


def test_row_4_the_same_messages_cut_otherwise_have_one_effect() -> None:
    story = Story()
    for _ in range(3):
        story.send(minutes=10)
    story.run(1.0)
    messages = story.a_mail.streams["barry"].messages
    for first, last in ((0, 3), (1, 3), (0, 2), (2, 3)):
        story.network.store("barry", story.forged_by(story.a, messages[first:last], after=first))
    assert story.ends_within()
    assert story.count(story.b, "transfer.received") == 3


def test_row_5_a_record_lost_before_later_traffic_is_pulled() -> None:
    story = Story()
    story.network.weather.loss = 1.0
    story.send()
    story.run(1.0)
    story.network.weather.loss = 0.0
    story.send()
    assert story.ends_within(5.0)
    assert story.count(story.b, "transfer.received") == 2


def test_row_5_the_lost_last_record_of_a_quiet_stream_is_repeated() -> None:
    story = Story()
    story.network.weather.loss = 1.0
    story.send()
    story.run(1.0)
    story.network.weather.loss = 0.0
    assert not story.ends_within(25.0)
    assert story.ends_within(10.0)
    assert settled_once(story)


@pytest.mark.parametrize("fault", COMMIT_FAULTS)
def test_row_6_a_crash_around_the_decision_gives_exactly_one_decision(fault: CommitFault) -> None:
    story = Story()
    story.b.disk.fault = fault
    story.send()
    story.run(1.0)
    restart(story.b)
    assert settled_once(story)


def test_row_7_a_lost_decision_is_repeated() -> None:
    story = Story()
    story.send()
    story.network.cut_links.add(("barry", "broker"))
    story.network.cut_links.add(("aberdare", "barry"))
    story.run(MINUTE)
    assert story.count(story.b, "transfer.received") == 1
    story.network.cut_links.clear()
    assert settled_once(story)


def test_row_7_a_doubled_and_late_decision_has_one_effect() -> None:
    story = Story()
    story.send()
    assert settled_once(story)
    for record in list(story.network.topics["aberdare"]):
        story.network.store("aberdare", record)
    story.run(MINUTE)
    assert settled_once(story)


@pytest.mark.parametrize("fault", COMMIT_FAULTS)
@pytest.mark.parametrize("outcome", ["settled", "returned"])
def test_row_7_a_crash_around_the_end_ends_the_transfer_once(fault: CommitFault, outcome: str) -> None:
    story = Story()
    story.network.cut_links.add(("broker", "aberdare"))
    story.send(payee=None if outcome == "settled" else "f" * 32)
    story.run(1.0)
    story.a.disk.fault = fault
    story.network.cut_links.clear()
    story.run(10.0)
    restart(story.a)
    assert story.ends_within()
    assert story.count(story.a, f"transfer.{outcome}") == 1


def test_row_8_what_was_signed_with_a_retired_key_is_refused_and_signed_anew() -> None:
    story = Story()
    story.registries.add_key("aberdare")
    story.registries.retire_key("aberdare")
    for registry in story.registries.versions[1:]:
        story.b.submit(registry, story.answers.append)
    story.run(0.1)
    story.send()
    assert settled_once(story)
    assert story.b_mail.quarantined > 0
    assert story.a.book.registry_version > 1


def revoke(story: Story) -> None:
    story.operate(story.b, c.RevokeAlias(by=BROKER, alias=story.payee()))


def close(story: Story) -> None:
    story.close_account(story.b, 0)


def lower_ceiling(story: Story) -> None:
    story.operate(story.b, c.ChangeAccount(by=BROKER, account="m0", floor=-60, ceiling=60))


def suspend(story: Story) -> None:
    story.registries.change("aberdare", state="suspended")
    story.b.submit(story.registries.latest, story.answers.append)
    story.run(0.1)


def lower_limit(story: Story) -> None:
    story.registries.change("barry", limit=60)
    story.b.submit(story.registries.latest, story.answers.append)
    story.run(0.1)


def turn_clock(story: Story) -> None:
    story.b.skew_seconds = 2 * 86_400.0


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (revoke, "alias_unknown"),
        (close, "account_closed"),
        (lower_ceiling, "ceiling_exceeded"),
        (turn_clock, "expired"),
        (suspend, "peer_suspended"),
        (lower_limit, "pair_limit_exceeded"),
    ],
)
def test_row_9_a_transfer_that_cannot_be_received_comes_back(cause: object, reason: str) -> None:
    story = Story()
    assert callable(cause)
    cause(story)
    before = story.a.book.accounts["m0"].balance
    story.send()
    assert story.ends_within()
    assert story.reasons() == [reason]
    assert story.a.book.accounts["m0"].balance == before


def test_row_9_a_frozen_payer_takes_the_minutes_back() -> None:
    story = Story()
    story.network.cut_links.add(("broker", "aberdare"))
    story.send(payee="f" * 32)
    story.run(1.0)
    story.operate(story.a, c.SetAccountState(by=BROKER, account="m0", state="frozen"))
    story.network.cut_links.clear()
    assert story.ends_within()
    assert story.reasons() == ["alias_unknown"]


def later_message(story: Story, position: int) -> bytes:
    """A message of a type that this version does not know."""
    good = m.decode_message(story.a_mail.streams["barry"].messages[0])
    said = {"id": f"barry/g1/{position}", "source": "aberdare", "specversion": "1.0", "subject": "barry"}
    return canonical.encode({**said, "time": good.time, "type": "pledge.made", "data": {}})


def broken_message(story: Story, position: int) -> bytes:
    """A decision about a transfer that was never sent."""
    good = m.decode_message(story.a_mail.streams["barry"].messages[0])
    return m.encode_message(
        m.TransferReceivedMessage(
            id=f"barry/g1/{position}",
            source="aberdare",
            specversion="1.0",
            subject="barry",
            time=good.time,
            data=m.Received(transfer="barry.g1.aberdare.99", minutes=5),
        )
    )


def test_row_10_an_unknown_type_stops_the_stream_there_and_what_is_before_is_taken() -> None:
    story = Story()
    story.network.cut_links.add(("aberdare", "broker"))
    story.send()
    story.run(1.0)
    messages = [*story.a_mail.streams["barry"].messages, later_message(story, 2)]
    for _ in range(2):
        story.network.store("barry", story.forged_by(story.a, messages, after=0))
        story.run(5.0)
    peer = story.b.book.peers["aberdare"]
    assert (peer.incoming.n, peer.frozen, story.count(story.b, "transfer.received")) == (1, False, 1)


def test_row_10_a_signed_breach_of_the_contract_freezes_the_stream_after_what_is_before_it() -> None:
    story = Story()
    story.network.cut_links.add(("aberdare", "broker"))
    story.send()
    story.run(1.0)
    messages = [*story.a_mail.streams["barry"].messages, broken_message(story, 2)]
    for _ in range(2):
        story.network.store("barry", story.forged_by(story.a, messages, after=0))
        story.run(5.0)
    peer = story.b.book.peers["aberdare"]
    assert (peer.incoming.n, peer.frozen, story.count(story.b, "transfer.received")) == (1, True, 1)
    assert story.count(story.b, "peer.frozen") == 1
