"""A short choice of the scenarios of `make chaos`, and the page that lists them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.servers.errors import ServerMissing
from deploy.servers.kafka import find_java
from tests.chaos.__main__ import run_all
from tests.chaos.table import SCENARIOS

SHORT = ("ledgers-killed", "answers-lost", "topic-made-again")
README = Path(__file__).with_name("README.md")


@pytest.mark.servers
@pytest.mark.slow
def test_three_towns_survive_a_short_choice_of_scenarios(tmp_path: Path) -> None:
    try:
        find_java()
    except ServerMissing as missing:
        pytest.skip(str(missing))
    results = run_all([each for each in SCENARIOS if each.name in SHORT], tmp_path)
    assert [result.violations for result in results] == [[]] * len(SHORT)
    assert all(result.answered for result in results)


def test_the_page_lists_every_scenario_and_no_other() -> None:
    rows = [line.split("|")[1].strip() for line in README.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert rows == [f"`{scenario.name}`" for scenario in SCENARIOS]
    assert len(rows) >= 25


def test_no_two_scenarios_have_one_name() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
