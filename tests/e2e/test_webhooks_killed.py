"""A node killed while it sends webhooks: its receiver misses no event, and may know again what it gets twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.one_ledger import OneLedger, gift, one_ledger
from tests.e2e.running_towns import until
from tests.ledger.webhook_receiver import FINE, Received, Receiver, Said, open_receiver

pytestmark = pytest.mark.slow
KILL_AT = (3, 4, 9, 20)
"""The node dies when it has sent so many hints, before it has an answer to the last of them."""


def _deliver(ledger: OneLedger, receiver: Receiver) -> None:
    def answer(_: Received) -> Said:
        if len(receiver.received) in KILL_AT:
            os.kill(ledger.child.pid, signal.SIGKILL)
        return FINE

    receiver.answer = answer
    wished = {"url": receiver.url, "accounts": ["alys"], "types": ["transfer.posted"]}
    assert ledger.settle(wished, key="hook", path="/v1/webhooks")["secret"]
    positions = [ledger.settle(gift(1 + n), key=f"t{n}")["position"] for n in range(2)]
    for _ in KILL_AT:
        # The first hints may be sent before the rest is paid; a command whose answer is lost is sent again.
        while not (gone := not ledger.child.running()) and len(positions) < 30:
            paid = ledger.post(gift(1), key=f"t{len(positions)}")
            if paid is not None and paid.status_code == 201:
                positions.append(paid.json()["position"])
        if not gone:
            until(lambda: not ledger.child.running(), seconds=30, what="the node is killed")
        ledger.child.kill()
        ledger.start()
    until(lambda: set(positions) <= set(receiver.positions), seconds=30, what="every event was sent")
    events = ledger.get("/v1/accounts/alys/events?limit=500").json()["events"]
    first = positions[0]
    wanted = [one["position"] for one in events if one["type"] == "transfer.posted" and one["position"] >= first]
    assert list(dict.fromkeys(receiver.positions)) == wanted
    assert receiver.positions == sorted(receiver.positions), "an event is repeated before the next one, never after it"
    assert len(wanted) < len(receiver.received) <= len(wanted) + len(KILL_AT)


def test_a_node_that_is_killed_while_it_sends_leaves_no_event_out(tmp_path: Path) -> None:
    """L-1."""
    variables = {"TIMEBANK_LEDGER_WEBHOOK_ALLOW_LOOPBACK": "true"}
    with one_ledger(tmp_path, journal=None, variables=variables) as ledger, open_receiver() as receiver:
        _deliver(ledger, receiver)


@pytest.mark.servers
def test_a_node_on_postgresql_that_is_killed_while_it_sends_leaves_no_event_out(
    tmp_path: Path, postgres_dsn: str
) -> None:
    """L-1."""
    variables = {"TIMEBANK_LEDGER_WEBHOOK_ALLOW_LOOPBACK": "true"}
    with one_ledger(tmp_path, journal=postgres_dsn, variables=variables) as ledger, open_receiver() as receiver:
        _deliver(ledger, receiver)
