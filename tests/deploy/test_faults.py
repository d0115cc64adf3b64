"""The page of faults and the alert rules hold what the software has: metrics, log lines, commands, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.federation.towns import Network, open_towns
from tests.node.test_cli import made
from timebank_ledger.fault_figures import CAUSES
from timebank_ledger.webhook_tables import STATES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text("utf-8")
ALERTS = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and "| By itself |" not in line
]
METRIC = re.compile(r"timebank_(?:ledger|directory|federation|witness)_[a-z_]+")
OF_A_WITNESS = "timebank_witness_"
"""A node has these when its registry names witnesses, or when it is one."""
COMMANDS = sorted(set(re.findall(r"`timebank ((?:[a-z-]+)(?: [a-z-]+)?)", PAGE)))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names that a running node's services export."""
    with open_towns(tmp_path_factory.mktemp("towns"), "aberdare", "barry") as network:
        return set(_names(network))


def _names(network: Network) -> Iterator[str]:
    town = network["aberdare"]
    for text in (
        town.ask_ledger("GET", "/metrics").text,
        town.http.get("/metrics").text,
        network.doors.ask("aberdare", "/metrics").text,
    ):
        yield from re.findall(r"^# TYPE (timebank_\w+(?<!_created)) ", text, re.MULTILINE)


def test_every_metric_of_the_page_is_exported(exported: set[str]) -> None:
    named = {name for name in METRIC.findall(PAGE) if not name.startswith(OF_A_WITNESS)}
    assert named - exported == set()


def test_every_exported_metric_is_on_the_page(exported: set[str]) -> None:
    assert exported - set(METRIC.findall(PAGE)) == set()


def test_every_fault_has_a_metric_and_something_to_do() -> None:
    assert len(ROWS) >= 35
    for fault, by_itself, metric, _, you in ROWS:
        assert by_itself, fault
        assert you, fault
        assert METRIC.search(metric) or "does not run" in metric, fault


def _logged() -> set[str]:
    """Every constant message of the services' log lines."""
    found = set()
    for path in ROOT.glob("services/*/timebank_*/*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                of_the_log = isinstance(node.func.value, ast.Name) and node.func.value.id == "_log"
                if of_the_log and isinstance(node.args[0], ast.Constant):
                    found.add(str(node.args[0].value))
    return found


def test_every_log_line_of_the_page_is_written_by_the_software() -> None:
    said = {line for row in ROWS for line in re.findall(r"`([^`]+)`", row[3])}
    assert said - _logged() == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_exists(command: str) -> None:
    made(*command.split(), "--help")


def test_the_words_of_labels_are_those_of_the_software() -> None:
    assert set(re.findall(r'stopped{cause="([a-z_]+)"}', PAGE)) == set(CAUSES)
    assert set(re.findall(r'webhooks{state="([a-z_]+)"}', PAGE)) <= set(STATES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_asks_for_metrics_that_are_exported_and_names_its_row(
    rule: dict[str, Any], exported: set[str]
) -> None:
    named = METRIC.findall(rule["expr"])
    assert named
    assert {name for name in named if not name.startswith(OF_A_WITNESS)} - exported == set()
    assert set(named) <= set(METRIC.findall(PAGE))
    where = rule["annotations"]["description"].removeprefix("docs/faults.md: ").rstrip(".")
    for words in [where] if where in PAGE else where.split(", "):
        assert words in PAGE, words
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]


def test_every_fault_that_stops_something_has_an_alert() -> None:
    named = {name for rule in RULES for name in METRIC.findall(rule["expr"])}
    assert {"timebank_ledger_stopped", "timebank_federation_intake_stopped", "timebank_ledger_streams_frozen"} <= named
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
