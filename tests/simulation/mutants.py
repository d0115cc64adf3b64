"""`python -m tests.simulation.mutants`: every planted bug must be found; exit code 1 when one lives."""

from __future__ import annotations

import argparse
import sys
from typing import NamedTuple

from tests.simulation.promises import Broken
from tests.simulation.rules import Rules
from tests.simulation.simulation import Simulation
from tests.simulation.variants import VARIANTS

SEEDS_MAX = 200
KNOWN_SEEDS: dict[str, int] = {
    "the receiver skips the high-water mark": 0,
    "the sender never repeats": 0,
    "the writer answers before the commit": 187,
    "the sender does not wait for the commit": 6,
    "nobody looks keys up": 1,
    "a commit can be torn": 6,
    "a claim ends twice": 8,
    "claims have no tolerance": 5,
    "the rule does not hear disputes": 11,
    "parts of a reversal are forgotten": 2,
    "refunds under way are not counted": 4,
    "a withdrawn claim is still credited": 4,
    "a leaver still pays": 15,
    "the timer forgets claims": 0,
    "the timer forgets claims on other towns": 0,
    "an attacker's key counts": 1,
    "a position is skipped": 4,
    "a re-cut segment is taken whole": 4,
    "a transfer comes back on time-out": 0,
    "the sender drops heard": 0,
    "keys are lost at a restart": 4,
    "a retired key counts": 13,
    "the payee's town has no limit": 14,
    "the payer's town has no limit": 1,
    "a payee has no ceiling": 6,
    "a payer has no floor": 4,
    "one sends to a suspended town": 1,
    "one takes from a suspended town": 7,
    "a frozen stream is taken": 4,
    "the debt to all has no limit": 6,
    "a transfer is settled without a decision": 4,
    "a returned refund counts twice": 4,
    "what happened is said again": 8,
    "what never happened is applied": 69,
    "what is forced is decided anew": 12,
    "a recovered transfer is debited twice": 13,
    "nothing is said again": 66,
}
"""Mutant → a seed that sees it: what `make test` runs."""


class Found(NamedTuple):
    """Where a planted bug was seen."""

    seed: int
    runs: int
    words: str


def sees(seed: int, promise: str, rules: Rules) -> str | None:
    """What the run of this seed says of a broken promise; None when this promise is not the first that breaks.

    A broken rule may also trip an assertion of the contracts first; that finds it too, and another seed tells more.
    """
    try:
        Simulation(seed, rules=rules).run()
    except Broken as broken:
        return str(broken) if str(broken).startswith(promise) else None
    except Exception:
        return None
    return None


def find(promise: str, rules: Rules, *, seeds_max: int = SEEDS_MAX) -> Found | None:
    """The first of the seeds that sees the promise broken."""
    for seed in range(seeds_max):
        words = sees(seed, promise, rules)
        if words is not None:
            return Found(seed, seed + 1, words)
    return None


def main(arguments: list[str] | None = None) -> int:
    """Look for every mutant; 0 when all were found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, help=f"for each mutant (default {SEEDS_MAX})")
    parser.add_argument("--only", choices=VARIANTS, nargs="*", help="these mutants")
    asked = parser.parse_args(arguments)
    survived = 0
    print(f"{'mutant':<44} {'found by':<8} {'seed':>4} {'runs':>4}  what was seen", flush=True)
    for name in asked.only or VARIANTS:
        rules, promise = VARIANTS[name]
        found = find(promise, rules, seeds_max=asked.seeds)
        survived += found is None
        if found is None:
            print(f"{name:<44} {'NONE':<8} {'':>4} {asked.seeds:>4}  it survived", flush=True)
        else:
            print(f"{name:<44} {promise:<8} {found.seed:>4} {found.runs:>4}  {found.words}", flush=True)
    print(f"{len(asked.only or VARIANTS) - survived} found, {survived} survived.")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
