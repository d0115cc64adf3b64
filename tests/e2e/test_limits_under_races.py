"""Limits hold however many processes ask at once: what the single writer is for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.forked import FORKS
from tests.e2e.one_ledger import OneLedger, gift, one_ledger

pytestmark = pytest.mark.slow
PROCESSES = 4
COMMANDS = 10


def send(command: tuple[str, dict[str, str], dict[str, Any]]) -> str:
    """Send one transfer from a process of its own; returns `accepted`, or the code of the refusal."""
    url, headers, body = command
    answer = httpx.post(url, json=body, headers=headers, timeout=30)
    return "accepted" if answer.status_code == 201 else str(answer.json()["code"])


def race(ledger: OneLedger, body: dict[str, Any]) -> Counter[str]:
    """Send the same transfer under ten keys from four processes; returns how often each answer came."""
    commands = [(*ledger.door(key=f"race-{number}"), body) for number in range(COMMANDS)]
    with FORKS.Pool(PROCESSES) as processes:
        return Counter(processes.map(send, commands, chunksize=1))


def test_ten_payments_at_once_from_four_processes_pass_the_floor_once(ledger: OneLedger) -> None:
    """D-3."""
    ledger.settle(
        {"account": "cerys", "kind": "member", "floor": -60, "ceiling": 600}, key="open/cerys", path="/v1/accounts"
    )
    assert race(ledger, gift(60, payer="cerys")) == {"accepted": 1, "floor": 9}
    assert ledger.balance("cerys") == -60


def test_ten_payments_at_once_to_another_town_pass_the_pair_s_limit_once(tmp_path: Path) -> None:
    """D-3."""
    with one_ledger(tmp_path, journal=None, peers=("barry",), pair_limit=60) as ledger:
        ledger.hand_in_registry()
        body = gift(60) | {"payee": {"node": "barry", "alias": "0" * 32}}
        assert race(ledger, body) == {"accepted": 1, "pair_limit_exceeded": 9}
        assert ledger.balance("alys") == -180, "what is on its way counts"
