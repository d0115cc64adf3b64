"""`make chaos`: every scenario on real servers, and a table; exit status 1 when one did not hold."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.network import Network, Servers
from tests.chaos.run import Result, Scenario, run
from tests.chaos.table import SCENARIOS, open_network, open_servers, show

BOUND_SECONDS = 1_800.0


def main(arguments: list[str] | None = None) -> int:
    """Run the scenarios; 0 when all held."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("names", nargs="*", help="scenarios; none: all")
    parser.add_argument("--list", action="store_true", help="name the scenarios and what they cover")
    parser.add_argument("--folder", type=Path, help="for homes, logs and histories; kept")
    asked = parser.parse_args(arguments)
    if asked.list:
        for scenario in SCENARIOS:
            print(f"{scenario.name:22}{scenario.fault}")
        return 0
    known = {scenario.name: scenario for scenario in SCENARIOS}
    if unknown := set(asked.names) - set(known):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; --list names them")
    chosen = [known[name] for name in asked.names] or list(SCENARIOS)
    # Mounts and processes end as well when the run is told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # What the client of the towns' own make_topics logs is no news here.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="timebank-chaos-", ignore_cleanup_errors=True) as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = run_all(chosen, folder)
    return 0 if all(not result.violations for result in results) else 1


def run_all(chosen: list[Scenario], folder: Path) -> list[Result]:
    """Run scenarios one after the other, on one network while it is whole."""
    until = time.monotonic() + BOUND_SECONDS
    results = []
    with open_servers(folder / "servers") as servers:
        for with_kafka in (True, False):
            results += _run_on(servers, [each for each in chosen if each.with_kafka == with_kafka], folder, until)
    return results


def _run_on(servers: Servers, chosen: list[Scenario], folder: Path, until: float) -> list[Result]:
    results: list[Result] = []
    with ExitStack() as stack:
        network: Network | None = None
        for scenario in chosen:
            if time.monotonic() > until:
                results.append(Result(name=scenario.name, violations=["not run: the time is over"]))
                show(results[-1])
                continue
            if network is None:
                network = stack.enter_context(
                    open_network(servers, folder / f"towns-{scenario.name}", scenario.with_kafka)
                )
            results.append(run(scenario, network, folder / scenario.name))
            show(results[-1])
            if results[-1].violations:
                stack.pop_all().close()
                network = None
    return results


if __name__ == "__main__":
    sys.exit(main())
