"""The simulation can fail: rules that are broken on purpose are caught, each by a seed that is known to see it.

`make mutants` looks for the seeds; when the faults of the seeds change, it prints the new ones.
"""

from __future__ import annotations

import pytest

from tests.simulation.mutants import KNOWN_SEEDS, sees
from tests.simulation.variants import VARIANTS


@pytest.mark.parametrize("name", VARIANTS)
def test_a_broken_rule_is_noticed(name: str) -> None:
    rules, promise = VARIANTS[name]
    seed = KNOWN_SEEDS[name]
    assert sees(seed, promise, rules) is not None, f"seed {seed} did not see {promise} broken; run `make mutants`"
