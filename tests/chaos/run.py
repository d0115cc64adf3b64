"""One scenario from its load to its verdict; read it from the top.

load ─▶ the faults ─▶ heal ─▶ load goes on ─▶ quiet ─▶ final within 60 s ─▶ history against journals ─▶ audit PASS
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

import httpx

from deploy.servers.errors import ServerTrouble
from tests.chaos.check import check, read_journal
from tests.chaos.history import History, read_history
from tests.chaos.load import Load, Payer
from tests.chaos.network import Network
from tests.e2e.running_towns import timebank
from timebank_contracts.note import parse_vkey
from timebank_federation.registries import Registries
from timebank_kit.journal import open_journal
from timebank_ledger.publication import export_town
from timebank_node.home import open_home

AFTER_HEALING = 5
"""Payments of each payer that must succeed after all is mended."""


class Skipped(Exception):
    """What the scenario needs is not on this machine; the text says what to install."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One row of the table.

    Args:
        name: for `make chaos SCENARIO=…`.
        fault: the words of the design's list of faults.
        run: breaks things while the load goes on; what it leaves broken, `Network.heal` mends.
        with_kafka: False: on a network without a broker.
    """

    name: str
    fault: str
    run: Callable[[Network, Load], None]
    with_kafka: bool = True


@dataclass(kw_only=True)
class Result:
    """What became of a scenario."""

    name: str
    answered: int = 0
    attempts: int = 0
    unknown: int = 0
    final_seconds: float = 0.0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    skipped: str = ""


def run(scenario: Scenario, network: Network, folder: Path) -> Result:
    """Run one scenario on a network that is whole."""
    began = time.monotonic()
    result = Result(name=scenario.name)
    folder.mkdir(parents=True, exist_ok=True)
    starts = {name: _length(network, name) for name in network.towns}
    history = History(folder / "history.jsonl")
    try:
        load = _load(scenario, network, history)
        try:
            load.more(3)
            scenario.run(network, load)
            network.heal()
            healed = time.monotonic()
            load.more(AFTER_HEALING)
        finally:
            load.end()
        network.wait_final()
        result.final_seconds = time.monotonic() - healed
        history.close()
        _judge(result, load, network, history.file, starts, folder / "logs")
    except Skipped as why:
        result.skipped = str(why)
    except (AssertionError, ServerTrouble, httpx.HTTPError) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        result.violations.append(f"{error} ({where.name}; open: {network.open_transfers()})")
    finally:
        history.close()
        result.seconds = time.monotonic() - began
    return result


def _load(scenario: Scenario, network: Network, history: History) -> Load:
    return Load(
        [
            Payer(
                network[payer],
                network[payee],
                base_url=f"http://{network.clients[payer].address}",
                label=f"{scenario.name}-{starts_at:.0f}",
                history=history,
            )
            for starts_at in [time.time()]
            for payer, payee in permutations(network.towns, 2)
        ]
    )


def _judge(result: Result, load: Load, network: Network, history: Path, starts: dict[str, int], logs: Path) -> None:
    attempts = read_history(history)
    result.answered, result.attempts = load.answered, len(attempts)
    result.unknown = sum(attempt.outcome == "unknown" for attempt in attempts)
    journals = {
        name: read_journal(url, network[name].journal, start=starts[name]) for name, url in network.journals.items()
    }
    result.violations += check(attempts, journals)
    exported, keys = _export(network, logs)
    verdict = timebank("audit", "verify", *exported, *keys)
    if verdict.returncode or "PASS" not in verdict.stdout:
        result.violations.append(f"the auditor: {(verdict.stdout + verdict.stderr)[-1500:]}")


def _export(network: Network, logs: Path) -> tuple[list[Path], list[str]]:
    """Write the towns' logs as files while they run, each up to its published checkpoint."""
    keys = []
    for name, town in network.towns.items():
        home = open_home(town.town.home)
        journal = open_journal(network.journals[name], town.journal)
        try:
            export_town(
                journal,
                checkpoint=town.ask("GET", "/checkpoint").content,
                vkey=parse_vkey(home.vkey),
                registries=Registries(home.registry_folder).envelopes,
                directory=logs / name,
            )
        finally:
            journal.close()
        keys += ["--vkey", str(logs / name / "vkey")]
    return [logs / name for name in network.towns], keys


def _length(network: Network, name: str) -> int:
    journal = open_journal(network.journals[name], network[name].journal)
    try:
        return journal.length()
    finally:
        journal.close()
