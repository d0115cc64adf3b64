"""A sender that is killed, and one that serves many at once: nothing is left out, and nobody waits for another."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from deploy.servers.find import OwnDatabase
from tests.ledger.town_api import Town, open_town
from tests.ledger.webhook_receiver import Receiver, Said, open_receiver, pay, sender_of, subscribe
from timebank_ledger.webhook_store import WebhookStore
from timebank_ledger.webhook_tables import webhooks_url


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as opened:
        yield opened


@pytest.fixture
def town() -> Iterator[Town]:
    with open_town(webhook_allow_loopback=1) as opened:
        yield opened


class Killed(BaseException):
    """The process ends here."""


class Death:
    """Ends a sender at some of the places where it meets the world, a hundred times in all."""

    def __init__(self) -> None:
        self._random = random.Random(7)
        self._place, self._left = "", 0
        self.kills = 0

    def choose(self) -> None:
        self._place, self._left = self._random.choice(("sent", "commit", "settled")), self._random.randrange(1, 4)

    def at(self, place: str) -> None:
        if self.kills < 100 and place == self._place:
            self._left -= 1
            if not self._left:
                self.kills += 1
                raise Killed

    def chance(self) -> float:
        self.at("sent")
        return 0.0


def test_a_sender_that_is_killed_leaves_nothing_out_and_repeats_only_under_the_same_id(
    tmp_path: Path, town: Town, receiver: Receiver
) -> None:
    """L-1: killed a hundred times after sending, in the commit, and after it."""
    url, death = f"sqlite:///{tmp_path}/webhooks.db", Death()
    made = town.webhooks.find(subscribe(town, receiver)["id"])
    assert made is not None
    store = WebhookStore(url, name="test")
    with store.engine.begin() as connection:
        store.add(made)(connection)
    store.close()
    positions = pay(town, *[1] * 200)
    town.index.advance_to(town.writer.tail.length)
    for _ in range(400):
        death.choose()
        store = WebhookStore(url, name="test")
        sa.event.listen(store.engine, "commit", lambda _: death.at("commit"))
        sender = sender_of(town, store=store, chance=death.chance, on_attempt=lambda _: death.at("settled"))
        try:
            sender.deliver_due()
            if not sender.ready():
                break
        except Killed:
            continue
        finally:
            store.close()
    assert death.kills == 100
    assert list(dict.fromkeys(receiver.positions)) == positions
    assert receiver.positions == sorted(receiver.positions), "an event is repeated before the next, never after it"
    assert len(positions) < len(receiver.received) <= len(positions) + death.kills


def test_threads_of_its_own_deliver_until_they_are_closed(town: Town, receiver: Receiver) -> None:
    done = threading.Event()

    def count(_: object) -> Said:
        if len(receiver.received) == 2:
            done.set()
        return Said(204)

    receiver.answer = count
    subscribe(town, receiver)
    sender = sender_of(town)
    sender.start()
    try:
        positions = pay(town, 5, 6)
        town.index.advance_to(town.writer.tail.length)
        assert done.wait(60)
    finally:
        sender.close()
    assert receiver.positions == positions


def test_a_slow_receiver_does_not_hold_up_the_others(town: Town, receiver: Receiver) -> None:
    done = threading.Event()

    def count(_: object) -> Said:
        if len(receiver.received) == 3:
            done.set()
        return Said(204)

    receiver.answer = count
    with open_receiver() as slow:
        # It answers when the other has had everything, and not before.
        slow.answer = lambda _: Said(204 if done.wait(60) else 500)
        subscribe(town, slow)
        subscribe(town, receiver)
        sender = sender_of(town)
        sender.start()
        try:
            positions = pay(town, 5, 6, 7)
            town.index.advance_to(town.writer.tail.length)
            assert done.wait(60)
        finally:
            sender.close()
    assert receiver.positions == positions


@pytest.mark.servers
def test_a_database_that_is_killed_in_the_middle_leaves_nothing_out(
    town: Town, receiver: Receiver, private_postgres: OwnDatabase
) -> None:
    """L-1: a hint whose delivery could not be noted is sent again, under the same id."""
    made = town.webhooks.find(subscribe(town, receiver)["id"])
    assert made is not None
    store = WebhookStore(webhooks_url(private_postgres.create_database("webhooks")), name="test")
    with store.engine.begin() as connection:
        store.add(made)(connection)
    positions = pay(town, 1, 2, 3)
    town.index.advance_to(town.writer.tail.length)
    sender = sender_of(town, store=store)

    def answer(_: object) -> Said:
        if len(receiver.received) == 2:
            private_postgres.kill()
        return Said(204)

    receiver.answer = answer
    with pytest.raises(sa.exc.OperationalError):
        sender.deliver_due()
    with pytest.raises(sa.exc.OperationalError):
        sender.deliver_due()
    assert receiver.positions == positions[:2]
    private_postgres.restart()
    sender.deliver_due()
    assert receiver.positions == [positions[0], positions[1], positions[1], positions[2]]
    assert not sender.ready()
    store.close()
