"""`python -m tests.simulation --seeds 1000`: many runs; the first failing seed is printed and the exit code is 1."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
import traceback

from tests.simulation.rules import REAL, Rules
from tests.simulation.simulation import Simulation
from tests.simulation.variants import VARIANTS


def main(arguments: list[str] | None = None) -> int:
    """Run the seeds; 0 when every promise held, 1 when one did not."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds (default 100)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--seed", type=int, help="run this one seed and tell its story")
    parser.add_argument("--broken", choices=VARIANTS, help="break a rule on purpose, to see that it is noticed")
    asked = parser.parse_args(arguments)
    rules = VARIANTS[asked.broken][0] if asked.broken else REAL
    if asked.seed is not None:
        return _tell(asked.seed, rules)
    failed = _run(range(asked.first, asked.first + asked.seeds), rules)
    if failed is None:
        return 0
    broken = f" --broken {shlex.quote(asked.broken)}" if asked.broken else ""
    print(f"Replay it with: python -m tests.simulation --seed {failed}{broken}")
    return 1


def _run(seeds: range, rules: Rules) -> int | None:
    """Run the seeds and print how it goes; the first that fails, or None."""
    start, transfers, entries, slowest = time.monotonic(), 0, 0, 0.0
    for number, seed in enumerate(seeds, start=1):
        simulation = Simulation(seed, rules=rules)
        try:
            result = simulation.run()
        except Exception as error:
            print(f"seed {seed}: {type(error).__name__}: {error} (trace {simulation.schedule.trace})")
            return seed
        transfers += result.transfers
        entries += result.entries
        slowest = max(slowest, result.ended_after_seconds)
        if number % 100 == 0 or number == len(seeds):
            rate = number * 60 / (time.monotonic() - start)
            print(
                f"{number} seeds, {rate:.0f} a minute: {entries} entries, {transfers} transfers between towns ended; "
                f"the slowest {slowest:.1f} s after healing",
                flush=True,
            )
    return None


def _tell(seed: int, rules: Rules) -> int:
    simulation = Simulation(seed, rules=rules, story=True)
    try:
        ending = f"every promise held. {simulation.run()}"
    except Exception:
        ending = traceback.format_exc()
    print("\n".join(simulation.schedule.story or []))
    print(f"seed {seed}, trace {simulation.schedule.trace}: {ending}")
    return 0 if ending.startswith("every promise held") else 1


if __name__ == "__main__":
    sys.exit(main())
