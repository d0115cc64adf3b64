"""What `docs/webhooks.md` says is so: its example verifies what the ledger sends, and its table is the schedule."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import time_machine

from tests.ledger.town_api import START, open_town
from tests.ledger.webhook_receiver import Received, deliver, open_receiver, pay, sender_of, subscribe
from timebank_ledger.webhook_retry import RETRY_SECONDS
from timebank_ledger.webhook_store import DELIVERIES_KEPT

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")


def _example() -> Any:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "webhooks.md", "exec"), names)
    return names["verify"]


def _sent() -> tuple[str, str, Received]:
    """A secret, the one after it, and a hint that both have signed."""
    with open_town(webhook_allow_loopback=1) as town, open_receiver() as receiver:
        made = subscribe(town, receiver)
        changed = town.member("alys").post(f"/v1/webhooks/{made['id']}/secret", {}).json()
        pay(town, 5)
        deliver(town, sender_of(town))
        return made["secret"], changed["secret"], receiver.received[0]


def test_the_page_s_example_verifies_a_hint_by_either_secret_and_nothing_else() -> None:
    verify, (old, new, sent) = _example(), _sent()
    with time_machine.travel(START, tick=False):
        assert verify([old], sent.headers, sent.body) == sent.id
        assert verify(["whsec_" + "A" * 43 + "=", new], sent.headers, sent.body) == sent.id
        assert verify(["whsec_" + "A" * 43 + "="], sent.headers, sent.body) is None
        assert verify([old], sent.headers, sent.body + b" ") is None
        assert verify([old], sent.headers | {"webhook-id": "evt-aberdare-g1-7"}, sent.body) is None
    with time_machine.travel(START + timedelta(minutes=6), tick=False):
        assert verify([old], sent.headers, sent.body) is None


def test_the_page_shows_a_hint_as_it_is_sent() -> None:
    _, _, sent = _sent()
    assert f"    {sent.body.decode()}\n" in PAGE
    assert f"webhook-id: {sent.id}\n" in PAGE
    assert f"webhook-timestamp: {sent.headers['webhook-timestamp']}\n" in PAGE


def test_the_page_gives_the_schedule_and_the_bounds() -> None:
    units = {"s": 1, "min": 60, "h": 3_600}
    [said] = re.findall(r"Again after (.*?) \(", PAGE)
    pauses = [int(number) * units[unit] for number, unit in re.findall(r"(\d+) (s|min|h)\b", said)]
    assert tuple(pauses) == RETRY_SECONDS
    assert f"the last {DELIVERIES_KEPT} attempts" in PAGE
