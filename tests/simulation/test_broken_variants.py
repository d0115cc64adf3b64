"""The simulation can fail: rules that are broken on purpose are caught within a bounded number of seeds."""

from __future__ import annotations

import pytest

from tests.simulation.promises import Broken
from tests.simulation.rules import Rules
from tests.simulation.simulation import Simulation
from tests.simulation.variants import VARIANTS

SEEDS_MAX = 60


def seed_that_sees(promise: str, rules: Rules) -> int | None:
    """The first seed in which this promise is the first that breaks."""
    for seed in range(SEEDS_MAX):
        try:
            Simulation(seed, rules=rules).run()
        except (
            Exception
        ) as broken:  # a broken rule may also trip an assertion of the contracts; another seed tells more
            if isinstance(broken, Broken) and str(broken).startswith(promise):
                return seed
    return None


@pytest.mark.parametrize("name", VARIANTS)
def test_a_broken_rule_is_noticed(name: str) -> None:
    rules, promise = VARIANTS[name]
    assert seed_that_sees(promise, rules) is not None, f"{SEEDS_MAX} seeds did not see {promise} broken, but {name}"
