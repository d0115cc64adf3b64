"""A backlog: one town is stopped while the other goes on sending to it; then it comes back and takes all that waits.

What is under way is in the sender's book, so that one grows with the backlog and shrinks with it; the town that comes
back holds one segment after the other, and must not grow.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from contextlib import ExitStack
from datetime import UTC, datetime

from deploy.bench.bench_towns import TOWNS, stream_of
from deploy.bench.exchanges import account, bodies
from deploy.bench.load import apart, post_batches
from deploy.bench.nodes import RunningTown, running_towns
from deploy.bench.processor import resident_mb
from deploy.bench.setting import BenchTrouble, Setting

NAME = "backlog.kafka.postgresql"
TRANSFERS, TRANSFERS_QUICK = 200_000, 2_000
PART = 20_000
"""Transfers between two looks at the memory."""
DRAIN_SECONDS = 3_600.0
LOOK_SECONDS = 0.5
CONNECTIONS = 2


def bench_backlog(setting: Setting) -> None:
    """The memory of both towns while a backlog grows and is taken, and how fast it is taken."""
    if not setting.wants(NAME):
        return
    with ExitStack() as stack:
        urls = [stack.enter_context(setting.journal_url("postgresql")) for _ in TOWNS]
        with running_towns(setting, TOWNS, urls=urls, kafka=setting.bootstrap()) as [payers, payees]:
            answer = payees.ask("POST", f"/v1/accounts/{account(0)}/aliases", json={})
            count = setting.count(TRANSFERS, quick=TRANSFERS_QUICK)
            os.kill(payees.pid, signal.SIGSTOP)
            try:
                _gather(setting, payers, (payees.home.identity.node, answer.json()["alias"]), count)
            finally:
                os.kill(payees.pid, signal.SIGCONT)
            _drain(setting, payers, payees, count)


def _gather(setting: Setting, payers: RunningTown, alias: tuple[str, str], count: int) -> None:
    """Post so many transfers to the town that does not answer."""
    _keep(setting, "sender_mb.at_start", payers, "nothing under way")
    done = 0
    while done < count:
        part = min(PART, count - done)
        some = bodies(part, datetime.now(UTC), alias=alias)
        run = secrets.token_hex(4)
        with apart(post_batches, payers.plan.port, payers.token, some, connections=CONNECTIONS, run=run) as posted:
            posted.result()
        done += part
        _keep(setting, f"sender_mb.waiting_{done}", payers, f"{done:,} transfers under way")


def _drain(setting: Setting, payers: RunningTown, payees: RunningTown, count: int) -> None:
    """Wait until all are settled, and look at both towns at each part."""
    _keep(setting, "receiver_mb.at_start", payees, "back again, nothing taken")
    began, next_look = time.monotonic(), PART
    while (left := stream_of(payers)["open_transfers"]) > 0:
        if count - left >= next_look:
            _keep(setting, f"sender_mb.settled_{count - left}", payers, f"{left:,} transfers under way")
            _keep(setting, f"receiver_mb.settled_{count - left}", payees, "")
            next_look = count - left + PART
        if time.monotonic() > began + DRAIN_SECONDS:
            raise BenchTrouble(f"After {DRAIN_SECONDS:.0f} s {left:,} transfers are still open.")
        time.sleep(LOOK_SECONDS)
    seconds = time.monotonic() - began
    _keep(setting, "sender_mb.at_end", payers, "nothing under way")
    _keep(setting, "receiver_mb.at_end", payees, "")
    note = f"{count:,} transfers that waited, all settled after {seconds:.0f} s"
    setting.figures.add(f"{NAME}.settled_per_s", count / seconds, "transfers/s", note)


def _keep(setting: Setting, name: str, town: RunningTown, note: str) -> None:
    setting.figures.add(f"{NAME}.{name}", resident_mb(town.pid), "MB", f"resident memory; {note}".rstrip("; "))
