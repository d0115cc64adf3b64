"""Delivery of webhooks: in order, never left out, again after a pause, and with an end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from standardwebhooks import Webhook, WebhookVerificationError

from tests.ledger.town_api import START, Town, gift, open_town
from tests.ledger.webhook_receiver import Receiver, Said, deliver, open_receiver, pay, sender_of, subscribe
from timebank_contracts.http_webhooks import Hint
from timebank_ledger.webhook_retry import RETRY_SECONDS
from timebank_ledger.webhook_sender import SKIP_ENTRIES, TURN_EVENTS_MAX
from timebank_ledger.webhook_store import DELIVERIES_KEPT


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as opened:
        yield opened


@pytest.fixture
def town() -> Iterator[Town]:
    with open_town(webhook_allow_loopback=1) as opened:
        yield opened


def _state(town: Town, webhook: str) -> dict[str, object]:
    found: dict[str, object] = town.operator().get(f"/v1/webhooks/{webhook}").json()
    return found


def _log(town: Town, webhook: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (
        town.operator().get(f"/v1/webhooks/{webhook}/deliveries", limit=100).json()["deliveries"]
    )
    return found


def test_a_hint_of_each_event_is_sent_in_order_and_the_signature_verifies(town: Town, receiver: Receiver) -> None:
    before = pay(town, 1)
    made = subscribe(town, receiver)
    positions = pay(town, 5, 6, 7)
    deliver(town, sender_of(town))
    assert receiver.positions == positions
    assert before[0] not in receiver.positions, "it begins where it was made"
    first = receiver.received[0]
    assert first.path == "/in"
    with time_machine.travel(START, tick=False):
        said = Webhook(made["secret"]).verify(first.body, first.headers)
    assert said == {
        "type": "transfer.posted",
        "timestamp": "2026-03-02T10:00:00.000Z",
        "data": {"event": first.id, "position": positions[0]},
    }
    Hint.model_validate(said)
    event = town.member("alys").get("/v1/events", after=positions[0] - 1, limit=1).json()["events"][0]
    assert (event["id"], event["type"]) == (first.id, said["type"])
    deliver(town, sender_of(town))
    assert len(receiver.received) == 3


def test_nothing_in_a_hint_says_whose_it_is_or_how_much(town: Town, receiver: Receiver) -> None:
    subscribe(town, receiver)
    pay(town, 37)
    deliver(town, sender_of(town))
    body, headers = receiver.received[0].body.decode(), json.dumps(receiver.received[0].headers)
    for name in ("alys", "bryn", "37"):
        assert name not in body
    for name in ("alys", "bryn"):
        assert name not in headers


def test_only_the_types_and_accounts_that_were_wished_are_sent(town: Town, receiver: Receiver) -> None:
    operator = town.operator()
    body = {"url": receiver.url, "accounts": ["alys", "library"], "types": ["account.frozen", "transfer.reversed"]}
    assert operator.post("/v1/webhooks", body).status_code == 201
    pay(town, 5)
    for account in ("alys", "bryn"):
        frozen = operator.put(f"/v1/accounts/{account}/state", {"state": "frozen"})
        assert frozen.status_code == 200, frozen.text
    deliver(town, sender_of(town))
    hints = [json.loads(one.body) for one in receiver.received]
    assert [(hint["type"], hint["data"]["position"]) for hint in hints] == [("account.frozen", 7)]


def test_an_operator_gets_every_entry_of_the_town(town: Town, receiver: Receiver) -> None:
    assert town.operator().post("/v1/webhooks", {"url": receiver.url}).json()["accounts"] is None
    town.operator().put("/v1/accounts/library/limits", {"floor": -1, "ceiling": 5})
    pay(town, 5)
    deliver(town, sender_of(town))
    assert receiver.positions == [6, 7]


def test_a_failure_is_tried_again_with_the_same_id_until_it_ends_and_is_resumed_by_hand(
    town: Town, receiver: Receiver
) -> None:
    """N-1: pauses grow; after the last one the webhook waits for somebody; nothing behind it was lost or sent."""
    made = subscribe(town, receiver)
    first, second = pay(town, 5, 6)
    receiver.says(then=Said(500))
    sender = sender_of(town, chance=lambda: 0.5)
    for pause in RETRY_SECONDS:
        deliver(town, sender, turns=2)
        assert _state(town, made["id"])["state"] == "active"
        town.clock.advance(pause * 1.1 - 1)
        deliver(town, sender)
        town.clock.advance(1)
    assert len(receiver.received) == len(RETRY_SECONDS)
    deliver(town, sender)
    stopped = _state(town, made["id"])
    assert (stopped["state"], stopped["failure"], stopped["position"]) == ("failing", "status_500", 6)
    assert len(set(receiver.ids)) == 1
    assert len({one.headers["webhook-timestamp"] for one in receiver.received}) == len(RETRY_SECONDS) + 1
    assert len({one.body for one in receiver.received}) == 1
    assert 'timebank_ledger_webhooks{state="failing"} 1.0' in town.http.get("/metrics").text
    town.clock.advance(30 * 86_400)
    deliver(town, sender)
    assert len(receiver.received) == len(RETRY_SECONDS) + 1
    receiver.says()
    receiver.received.clear()
    enabled = town.member("alys").post(f"/v1/webhooks/{made['id']}/enable").json()
    assert (enabled["state"], enabled["failures"]) == ("active", 0)
    deliver(town, sender)
    assert receiver.positions == [first, second]
    attempts = [one["attempt"] for one in reversed(_log(town, made["id"]))]
    assert attempts == [*range(1, len(RETRY_SECONDS) + 2), 1, 1]


def test_a_receiver_that_answers_too_late_gets_the_event_again(town: Town, receiver: Receiver) -> None:
    """N-1: it kept the event and then slept: the second has the same id."""

    def late(_: object) -> Said:
        town.clock.advance(31)
        return Said(200)

    made = subscribe(town, receiver)
    pay(town, 5)
    receiver.answer = late
    sender = sender_of(town)
    deliver(town, sender)
    assert (_log(town, made["id"])[0]["failure"], _log(town, made["id"])[0]["status"]) == ("timeout", None)
    receiver.says()
    town.clock.advance(10)
    deliver(town, sender)
    assert len(receiver.received) == 2
    assert len(set(receiver.ids)) == 1
    assert _log(town, made["id"])[0]["outcome"] == "delivered"


@pytest.mark.parametrize(
    "said", [Said(200, body=b"{broken"), Said(200, (("Content-Length", "999"),), b"x"), Said(204), Said(299)]
)
def test_an_answer_of_200_to_299_is_a_delivery_whatever_its_body(town: Town, receiver: Receiver, said: Said) -> None:
    """N-1."""
    made = subscribe(town, receiver)
    pay(town, 5, 6)
    receiver.says(then=said)
    deliver(town, sender_of(town))
    assert [one["status"] for one in _log(town, made["id"])] == [said.status] * 2
    assert len(receiver.received) == 2


def test_a_redirect_is_a_failure_and_is_not_followed(town: Town, receiver: Receiver) -> None:
    """N-1, N-3."""
    made = subscribe(town, receiver)
    pay(town, 5)
    receiver.says(Said(302, (("Location", receiver.url + "/else"),)))
    deliver(town, sender_of(town))
    assert [one.path for one in receiver.received] == ["/in"]
    assert _log(town, made["id"])[0]["failure"] == "status_302"


def test_410_disables_at_once(town: Town, receiver: Receiver) -> None:
    """N-1."""
    made = subscribe(town, receiver)
    first, second = pay(town, 5, 6)
    receiver.says(Said(410))
    sender = sender_of(town)
    deliver(town, sender)
    town.clock.advance(86_400)
    deliver(town, sender)
    assert receiver.positions == [first]
    assert _state(town, made["id"])["state"] == "gone"
    town.member("alys").post(f"/v1/webhooks/{made['id']}/enable")
    deliver(town, sender)
    assert receiver.positions == [first, first, second]


def test_a_receiver_that_asks_for_time_gets_it_within_a_day(town: Town, receiver: Receiver) -> None:
    made = subscribe(town, receiver)
    pay(town, 5)
    receiver.says(Said(429, (("Retry-After", "600"),)), Said(503, (("Retry-After", "999999"),)))
    sender = sender_of(town)
    deliver(town, sender)
    assert _state(town, made["id"])["next_attempt_at"] == "2026-03-02T10:10:00.000Z"
    town.clock.advance(600)
    deliver(town, sender)
    assert _state(town, made["id"])["next_attempt_at"] == "2026-03-03T10:10:00.000Z"
    town.clock.advance(86_400)
    deliver(town, sender)
    assert _state(town, made["id"])["failures"] == 0


def test_one_webhook_in_trouble_does_not_hold_up_another(town: Town, receiver: Receiver) -> None:
    with open_receiver() as broken:
        broken.says(then=Said(500))
        subscribe(town, broken)
        subscribe(town, receiver)
        positions = pay(town, 5, 6)
        deliver(town, sender_of(town))
        assert len(broken.received) == 1
    assert receiver.positions == positions


def test_a_change_of_secret_signs_with_both_until_the_overlap_is_over(town: Town, receiver: Receiver) -> None:
    made = subscribe(town, receiver)
    path = f"/v1/webhooks/{made['id']}"
    changed = town.member("alys").post(f"{path}/secret", {"overlap_seconds": 3_600}).json()
    assert changed["old_secret_until"] == "2026-03-02T11:00:00.000Z"
    sender = sender_of(town)
    pay(town, 5)
    deliver(town, sender)
    town.clock.advance(3_600)
    pay(town, 6)
    deliver(town, sender)
    both, new = receiver.received
    with time_machine.travel(START, tick=False):
        for secret in (made["secret"], changed["secret"]):
            Webhook(secret).verify(both.body, both.headers)
    with time_machine.travel(START + timedelta(hours=1), tick=False):
        Webhook(changed["secret"]).verify(new.body, new.headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(made["secret"]).verify(new.body, new.headers)
    kept = town.webhooks.find(made["id"])
    assert kept is not None
    assert kept.old_secret is None, "what signs no more is not kept"


def test_a_delivery_is_sent_again_by_hand_with_the_same_id(town: Town, receiver: Receiver) -> None:
    """N-1."""
    made = subscribe(town, receiver)
    positions = pay(town, 5, 6)
    sender = sender_of(town)
    deliver(town, sender)
    path = f"/v1/webhooks/{made['id']}/deliveries"
    asked = town.member("alys").post(f"{path}/1/replay", key="again")
    assert (asked.status_code, asked.json()["outcome"], asked.json()["delivery"]) == (202, "waiting", 3)
    assert town.member("alys").post(f"{path}/1/replay", key="again").json()["delivery"] == 3
    deliver(town, sender, turns=2)
    assert receiver.positions == [*positions, positions[0]]
    last = _log(town, made["id"])[0]
    assert (last["delivery"], last["outcome"], last["by_hand"], last["status"]) == (3, "delivered", True, 204)


def test_a_stopped_webhook_can_be_tried_by_hand_and_stays_stopped(town: Town, receiver: Receiver) -> None:
    made = subscribe(town, receiver)
    first, _ = pay(town, 5, 6)
    receiver.says(Said(410), Said(500))
    sender = sender_of(town)
    deliver(town, sender)
    for outcome in ("failed", "delivered"):
        town.member("alys").post(f"/v1/webhooks/{made['id']}/deliveries/1/replay")
        deliver(town, sender)
        assert _log(town, made["id"])[0]["outcome"] == outcome
    assert receiver.positions == [first] * 3
    assert _state(town, made["id"])["state"] == "gone"


def test_a_webhook_that_is_ahead_of_the_journal_stops_rather_than_leaves_events_out(
    town: Town, receiver: Receiver
) -> None:
    made = subscribe(town, receiver)
    found = town.webhooks.find(made["id"])
    assert found is not None
    town.webhooks.move(found, position=90)
    pay(town, 5)
    sender = sender_of(town)
    town.index.advance_to(town.writer.tail.length)
    sender.turn(made["id"])
    assert _state(town, made["id"])["failure"] == "journal_shorter"
    assert town.member("alys").post(f"/v1/webhooks/{made['id']}/enable").json()["position"] == 7


def test_a_long_backlog_is_sent_in_turns_and_the_log_keeps_the_last(town: Town, receiver: Receiver) -> None:
    made = subscribe(town, receiver, types=["transfer.posted"])
    count = DELIVERIES_KEPT + 40
    operator = town.operator()
    commands = [gift("alys", "bryn", 1) | {"key": f"k{n}"} for n in range(count)]
    assert operator.post("/v1/transfers/batch", commands, key=None).status_code == 200
    sender = sender_of(town)
    deliver(town, sender)
    assert len(receiver.received) == TURN_EVENTS_MAX
    deliver(town, sender, turns=count // TURN_EVENTS_MAX)
    assert receiver.positions == list(range(6, 6 + count))
    numbers = [one.n for one in town.webhooks.deliveries(made["id"], before=10_000, limit=10_000)]
    assert numbers == list(range(count, count - DELIVERIES_KEPT, -1))


def test_the_cursor_moves_past_what_nobody_wants(town: Town, receiver: Receiver) -> None:
    made = subscribe(town, receiver, types=["account.closed"])
    pairs = [("alys", "bryn"), ("bryn", "alys")]
    for turn in range(SKIP_ENTRIES // 500 + 1):
        commands = [gift(*pairs[turn % 2], 1) | {"key": f"{turn}-{n}"} for n in range(500)]
        assert town.operator().post("/v1/transfers/batch", commands, key=None).status_code == 200
    sender = sender_of(town)
    town.index.advance_to(town.writer.tail.length)
    turns = 0
    while sender.ready():
        sender.deliver_due()
        turns += 1
        assert turns < 1_000
    position = _state(town, made["id"])["position"]
    assert isinstance(position, int)
    assert position > SKIP_ENTRIES
    assert receiver.received == []


def test_a_slow_receiver_gets_one_delivery_a_turn(town: Town, receiver: Receiver) -> None:
    def slow(_: object) -> Said:
        town.clock.advance(6)
        return Said(204)

    made = subscribe(town, receiver)
    pay(town, *[1] * 4)
    receiver.answer = slow
    sender = sender_of(town)
    for count in (1, 2, 3):
        deliver(town, sender)
        assert len(receiver.received) == count
    for _ in range(2):
        town.operator().post(f"/v1/webhooks/{made['id']}/deliveries/1/replay")
    for count in (4, 5, 6):
        deliver(town, sender)
        assert len(receiver.received) == count
