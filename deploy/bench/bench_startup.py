"""Start-up and memory of one town: real homes, each opened by a fresh process.

A start is measured from the open journal file to a writer that takes commands, without what Python takes to load the
program. Memory is what the kernel says of `timebank node serve` when it has come to rest.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import httpx

from deploy.bench.bench_journal import submit_all
from deploy.bench.exchanges import account, post_commands
from deploy.bench.load import apart
from deploy.bench.nodes import Plan, make_towns, opened_ledger
from deploy.bench.setting import BenchTrouble, Setting
from deploy.servers.child import free_port
from timebank_contracts.entries import Actor
from timebank_contracts.merkle import Tree
from timebank_ledger import commands as c
from timebank_ledger.head import HeadFile
from timebank_ledger.snapshot import take

ENTRIES, ENTRIES_QUICK = 1_000_000, 3_000
ENTRIES_FEW, ENTRIES_FEW_QUICK = 10_000, 500
ACCOUNTS, ACCOUNTS_QUICK = 100_000, 500
MEMBERS = 1_000
PART = 50_000
READY_SECONDS = 120.0
REST_SECONDS, REST_SECONDS_QUICK = 5.0, 0.5
_RSS = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
_SERVE = "from timebank_node.cli import main; main()"
_OPERATOR = Actor(kind="operator", id="bench")


class Started(NamedTuple):
    """How a start went."""

    seconds: float
    entries: int


def bench_startup(setting: Setting) -> None:
    """Seconds to a writer that works, with the snapshot and without; the memory of a node that rests."""
    if not (setting.wants("startup.sqlite") or setting.wants("memory.sqlite")):
        return
    entries = setting.count(ENTRIES, quick=ENTRIES_QUICK)
    many = make_home(setting, entries=entries, members=MEMBERS)
    if setting.wants("startup.sqlite"):
        _bench_start(setting, many)
    if setting.wants("memory.sqlite"):
        _bench_memory(setting, many, entries)


def _bench_start(setting: Setting, plan: Plan) -> None:
    name, add = "startup.sqlite", setting.figures.add
    note = "from the open journal to a writer that takes commands, in a fresh process"
    for what in ("snapshot", "replay"):
        if what == "replay":
            (plan.folder / "snapshot").unlink()
        with apart(start, plan) as done:
            started = done.result()
        add(f"{name}.{what}_s", started.seconds, "s", f"{started.entries:,} entries; {note}")
    add(f"{name}.replay_entries_per_s", started.entries / started.seconds, "entries/s", "of the start without one")


def _bench_memory(setting: Setting, many: Plan, entries: int) -> None:
    name, add = "memory.sqlite", setting.figures.add
    few = setting.count(ENTRIES_FEW, quick=ENTRIES_FEW_QUICK)
    accounts = setting.count(ACCOUNTS, quick=ACCOUNTS_QUICK)
    idle = resting_bytes(setting, make_home(setting, entries=0, members=0))
    add(f"{name}.idle_mb", idle / 1e6, "MB", "resident, `timebank node serve` of an empty town")
    crowded = make_home(setting, entries=0, members=accounts)
    pause = pause_seconds(crowded)
    add("snapshot.sqlite.pause_ms", 1e3 * pause, "ms", f"the writer waits, with {accounts:,} accounts")
    held = resting_bytes(setting, crowded)
    add(f"{name}.account_bytes", (held - idle) / accounts, "bytes", f"for each of {accounts:,} accounts")
    for count, plan in ((few, make_home(setting, entries=few, members=MEMBERS)), (entries, many)):
        held = resting_bytes(setting, plan)
        add(f"{name}.entries_{count}_mb", held / 1e6, "MB", f"resident, {MEMBERS:,} accounts and {count:,} transfers")


def make_home(setting: Setting, *, entries: int, members: int) -> Plan:
    """A home whose journal has so many members and transfers, stopped well."""
    [made] = make_towns(setting, "bench.timebank.wales", ["aberdare"], ["memory:"])
    plan = replace(made, environ={})
    with opened_ledger(plan) as ledger:
        ids = [account(number) if members == MEMBERS else f"m{number:09d}" for number in range(members)]
        submit_all(ledger.writer, [c.OpenAccount(by=_OPERATOR, account=one, kind="member") for one in ids])
        for first in range(0, entries, PART):
            part = post_commands(min(PART, entries - first), ledger.writer.clock.now())
            submit_all(ledger.writer, [replace(one, key=c.key_of(f"from-{first}", str(one.key))) for one in part])
    return plan


def start(plan: Plan) -> Started:
    """Start the town's ledger in this process; returns how long it took, and of how many entries."""
    began = time.perf_counter()
    with opened_ledger(plan) as ledger:
        return Started(time.perf_counter() - began, ledger.writer.tail.length)


def pause_seconds(plan: Plan) -> float:
    """How long copying the book for a snapshot holds the writer: the median of five."""
    seconds = []
    with opened_ledger(plan) as ledger:
        for _ in range(5):
            with ledger.writer.reading() as book:
                began = time.perf_counter()
                take(book, Tree(), HeadFile(None))
                seconds.append(time.perf_counter() - began)
    return sorted(seconds)[2]


def resting_bytes(setting: Setting, plan: Plan) -> int:
    """What the kernel counts as resident of a node that serves, and has nothing to do."""
    port = free_port()
    command = [sys.executable, "-c", _SERVE, "node", "serve", str(plan.folder), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - ours
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/readyz")
            time.sleep(REST_SECONDS_QUICK if setting.quick else REST_SECONDS)
            found = _RSS.search(Path(f"/proc/{process.pid}/status").read_text("ascii"))
        finally:
            process.terminate()
    if found is None:
        raise BenchTrouble("This system does not say how much memory a process has; the bench needs Linux.")
    return 1024 * int(found[1])


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise BenchTrouble(f"A node was not ready within {READY_SECONDS:.0f} s.")
