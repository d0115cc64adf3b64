"""Rolled back, cloned, closed for ever: what each of these does to two towns, whatever was said and heard before."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.simulation.stories import MINUTE, Story
from tests.simulation.town import Town, replayed
from timebank_contracts import entries as e
from timebank_contracts.invariants import broken_invariants
from timebank_ledger.timer import due_commands

TRANSFERS = 3


def told(seconds_between: float) -> Story:
    """A story of three transfers, so long apart."""
    story = Story()
    for _ in range(TRANSFERS):
        story.send(minutes=30)
        story.run(seconds_between)
    return story


def roll_back(story: Story, town: Town, entries: int) -> None:
    """The town dies, and a backup that lacks its last entries is put in place: a segment is in it whole or not at all.

    From here on what peers applied is judged by nobody: the journal that wrote it is gone.
    """
    for each in story.simulation.towns:
        each.grown = lambda town: None
    town.crash()
    size = len(town.disk.entries) - entries
    while replayed(town.disk.entries[:size]).book.pending is not None:
        size -= 1
    del town.disk.entries[size:]
    story.simulation.promises.forget(town)
    town.restart()


@pytest.mark.parametrize("back", [1, 2, 3, 5, 8, 12])
@pytest.mark.parametrize("seconds_between", [0.01, 2 * MINUTE])
def test_a_town_rolled_back_to_any_point_stops_unless_nobody_had_heard_what_it_lost(
    back: int, seconds_between: float
) -> None:
    """PROTOCOL.md S6, X1."""
    story = told(seconds_between)
    founded = next(n for n, raw in enumerate(story.a.disk.entries) if b"transfer.sent" in raw)
    back = min(back, len(story.a.disk.entries) - founded)
    roll_back(story, story.a, back)
    kept = story.a.book.peers["barry"].outgoing.n
    story.run(3 * MINUTE)
    # What was lost may have been in the broker still.
    if story.b.book.peers["aberdare"].incoming.n > kept:
        assert story.a.stopped is not None
        size = len(story.a.disk.entries)
        story.send(minutes=5)
        story.run(MINUTE)
        assert len(story.a.disk.entries) == size, "a town that is rolled back writes nothing"
    else:
        assert story.a.stopped is None
        assert not story.a.book.open_transfers
    assert broken_invariants(story.a.book) == []


@pytest.mark.parametrize("back", [1, 3, 5, 7])
def test_a_payee_town_rolled_back_to_any_point_decides_nothing_twice(back: int) -> None:
    """PROTOCOL.md S6, X1."""
    story = told(2 * MINUTE)
    settled = dict(story.a.book.balances())
    roll_back(story, story.b, back)
    story.run(4 * MINUTE)
    assert dict(story.a.book.balances()) == settled
    decided = [
        entry.data.transfer
        for entry in map(e.decode_entry, story.b.disk.entries)
        if isinstance(entry, e.TransferReceived | e.TransferRejected)
    ]
    assert len(decided) == len(set(decided))
    assert story.b.stopped is not None or len(decided) == TRANSFERS


def test_two_clones_to_one_peer_are_told_apart_and_the_later_one_stops() -> None:
    """PROTOCOL.md S6, S7: what the peer applied stays; the other history has no effect, and its bytes are kept."""
    story = told(10.0)
    high, chains = story.b.book.peers["aberdare"].incoming, dict(story.b.book.balances())
    links = {("broker", "aberdare"), ("barry", "aberdare")}
    story.network.cut_links.update(links)
    first_sent = next(n for n, raw in enumerate(story.a.disk.entries) if b"transfer.sent" in raw)
    roll_back(story, story.a, len(story.a.disk.entries) - first_sent)
    for minutes in (41, 42, 43, 44):
        story.send(minutes=minutes)
        story.run(1.0)
    before = story.b_mail.quarantined
    story.run(MINUTE)
    assert story.b_mail.quarantined > before
    assert story.b.book.peers["aberdare"].incoming == high
    assert dict(story.b.book.balances()) == chains
    story.network.cut_links.clear()
    story.run(3 * MINUTE)
    assert story.a.stopped is not None


def close_for_ever(story: Story, town: Town, by: Town) -> None:
    """The registry closes a town, and another one accepts that and does what is due."""
    story.registries.change(town.name, state="closed")
    by.submit(story.registries.latest, story.answers.append)
    story.run(0.1)
    assert not isinstance(story.answers[-1], Exception), story.answers[-1]
    time = by.book.time
    for command in list(due_commands(by.book, time)):
        story.operate(by, command)


@pytest.mark.parametrize("seconds", [0.0, 0.003, 0.006, 0.01, 0.02, 0.05, 0.2, 90.0])
def test_a_town_closed_for_ever_at_any_moment_strands_nothing(seconds: float) -> None:
    """PROTOCOL.md X6: whatever was under way then; what was settled before stays."""
    story = Story()
    for minutes in (10, 20, 30):
        story.send(minutes=minutes)
    story.run(seconds)
    story.b.crash()
    story.run(1.0)
    close_for_ever(story, story.b, story.a)
    assert not story.a.book.open_transfers
    settled = story.a.book.accounts["clearing:barry"].balance
    assert story.a.book.accounts["m0"].balance == -settled
    assert story.a.book.accounts["transit:barry"].balance == 0
    assert broken_invariants(story.a.book) == []
    story.simulation.promises.judge_memory(story.a)
    assert list(due_commands(story.a.book, story.a.book.time)) == []


def test_a_closed_town_that_still_lives_has_no_more_effect() -> None:
    """PROTOCOL.md X2, X6."""
    story = Story()
    story.network.cut_links.update({("barry", "broker"), ("barry", "aberdare")})
    story.send(minutes=20)
    story.run(1.0)
    assert story.count(story.b, "transfer.received") == 1
    close_for_ever(story, story.b, story.a)
    assert story.a.book.accounts["m0"].balance == 0
    before = list(story.a.disk.entries)
    story.network.cut_links.clear()
    story.run(5 * MINUTE)
    assert story.a.disk.entries == before


def test_the_journal_says_why_everything_came_back() -> None:
    """PROTOCOL.md X2, X6."""
    story = Story()
    story.b.crash()
    story.send(minutes=20)
    story.run(1.0)
    close_for_ever(story, story.b, story.a)
    last = [e.entry_type(e.decode_entry(raw)) for raw in story.a.disk.entries[-4:]]
    assert last == ["registry.accepted", "peer.generation_closed", "peer.changed", "transfer.returned"]
    times = [e.decode_entry(raw).time for raw in story.a.disk.entries]
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert story.reasons() == ["peer_closed"]
