"""A fast subset of the seeds; `make simulate SEEDS=1000` runs many."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from msgspec import UNSET

from tests.simulation.simulation import NAMES, Simulation
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.errors import REJECTIONS
from timebank_contracts.names import parse_transfer

SEEDS = 500
SEEDS_TOGETHER = 20


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_TOGETHER))
def test_every_promise_holds(first: int) -> None:
    for seed in range(first, first + SEEDS_TOGETHER):
        try:
            Simulation(seed).run()
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("towns", [2, 3, 5])
def test_every_promise_holds_for_so_many_towns(towns: int) -> None:
    assert len(NAMES) >= towns
    Simulation(100 + towns, towns=towns).run()


def test_the_same_seed_gives_the_same_trace() -> None:
    first, again, other = (Simulation(seed).run() for seed in (3, 3, 4))
    assert first == again
    assert first.trace != other.trace


def test_a_trace_does_not_depend_on_the_process() -> None:
    root = Path(__file__).parents[2]
    program = "from tests.simulation.simulation import Simulation; print(Simulation(3).run().trace)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={"PYTHONHASHSEED": "77", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == Simulation(3).run().trace


def test_the_seeds_meet_every_reason_of_a_rejection_and_every_kind_of_entry() -> None:
    kinds: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for seed in range(200, 240):
        simulation = Simulation(seed)
        simulation.run()
        for town in simulation.towns:
            for raw in town.disk.entries:
                entry = e.decode_entry(raw)
                kinds[e.entry_type(entry)] += 1
                if isinstance(entry, e.TransferRejected):
                    reasons[entry.data.reason] += 1
                if isinstance(entry, e.TransferPosted) and entry.data.claim is not UNSET:
                    kinds[f"a claim confirmed by {entry.by.kind}"] += 1
                if isinstance(entry, e.TransferReversed) and entry.data.minutes is not UNSET:
                    kinds["a part taken back"] += 1
                if isinstance(entry, e.AccountClosed) and entry.postings is not UNSET:
                    kinds["a remainder at closing"] += 1
                kinds.update(across_towns(entry))
                kinds.update(after_a_return(entry))
    assert set(reasons) == REJECTIONS
    assert {"a refund taken", "a refund that comes back", "a claim paid from another town"} <= set(kinds)
    assert set(kinds) >= e.ENTRY_TYPES
    assert {"a decision that was forced", "a transfer that its lost town had said"} <= set(kinds)
    assert {"a part taken back", "a remainder at closing"} <= set(kinds)
    assert {f"a claim confirmed by {who}" for who in ("member", "broker", "delegate", "rule")} <= set(kinds)


def across_towns(entry: e.Entry) -> list[str]:
    """What a decision about a peer's transfer means for refunds and claims."""
    if not isinstance(entry, e.TransferReceived | e.TransferRejected):
        return []
    assert entry.in_ is not UNSET
    message = m.decode_message(bytes(entry.in_))
    assert isinstance(message, m.TransferSentMessage)
    taken = isinstance(entry, e.TransferReceived)
    found = ["a claim paid from another town"] if taken and message.data.claim is not UNSET else []
    if message.data.purpose == "refund":
        found.append("a refund taken" if taken else "a refund that comes back")
    return found


def after_a_return(entry: e.Entry) -> list[str]:
    """What only a town that lost state, or its peer, enters."""
    if not isinstance(entry, e.TransferReceived | e.TransferRejected):
        return []
    assert entry.in_ is not UNSET
    message = m.decode_message(bytes(entry.in_))
    found = ["a decision that was forced"] if entry.out is UNSET else []
    if parse_transfer(entry.data.transfer).generation != m.generation_in(message):
        found.append("a transfer that its lost town had said")
    return found


def test_the_command_tells_how_many_seeds_held_and_ends_well() -> None:
    done = simulate("--seeds", "2")
    assert done.returncode == 0
    assert "2 seeds" in done.stdout


def test_the_command_names_a_failing_seed_and_how_to_replay_it_exactly() -> None:
    done = simulate("--seeds", "20", "--broken", "the receiver skips the high-water mark")
    assert done.returncode == 1
    found = re.search(r"\(trace ([0-9a-f]{64})\)\nReplay it with: python -m tests.simulation (.*)\n", done.stdout)
    assert found is not None
    again = simulate(*shlex.split(found[2]))
    assert again.returncode == 1
    assert f"trace {found[1]}" in again.stdout


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
