"""`python -m tests.simulation --seeds 1000`: many runs; the first failing seed is printed and the exit code is 1."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from tests.simulation.simulation import Simulation


def main() -> int:
    """Run the seeds; 0 when every promise held, 1 when one did not."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds (default 100)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--seed", type=int, help="run this one seed and tell its story")
    asked = parser.parse_args()
    if asked.seed is not None:
        return _tell(asked.seed)
    start, transfers, entries, slowest = time.monotonic(), 0, 0, 0.0
    for number, seed in enumerate(range(asked.first, asked.first + asked.seeds), start=1):
        try:
            result = Simulation(seed).run()
        except Exception as error:
            print(f"seed {seed}: {type(error).__name__}: {error}")
            print(f"Replay it with: python -m tests.simulation --seed {seed}")
            return 1
        transfers += result.transfers
        entries += result.entries
        slowest = max(slowest, result.ended_after_seconds)
        if number % 100 == 0 or number == asked.seeds:
            rate = number * 60 / (time.monotonic() - start)
            print(
                f"{number} seeds, {rate:.0f} a minute: {entries} entries, {transfers} transfers between towns ended; "
                f"the slowest {slowest:.1f} s after healing"
            )
    return 0


def _tell(seed: int) -> int:
    simulation = Simulation(seed, story=True)
    try:
        result = simulation.run()
    except Exception:
        print("\n".join(simulation.schedule.story or []))
        traceback.print_exc(file=sys.stdout)
        print(f"trace {simulation.schedule.trace}")
        return 1
    print("\n".join(simulation.schedule.story or []))
    print(f"seed {seed}: every promise held. {result}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
