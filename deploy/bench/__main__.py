"""`python -m deploy.bench`: run the benches, print each figure and then the table, write them as JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from deploy.bench.bench_audit import bench_audit
from deploy.bench.bench_backlog import bench_backlog
from deploy.bench.bench_http import bench_http
from deploy.bench.bench_journal import bench_journal
from deploy.bench.bench_pace import bench_pace
from deploy.bench.bench_path import bench_path
from deploy.bench.bench_plain import bench_plain
from deploy.bench.bench_raw import bench_raw
from deploy.bench.bench_startup import bench_startup
from deploy.bench.bench_towns import bench_towns
from deploy.bench.setting import BenchTrouble, Setting, open_setting
from deploy.bench.table import Figure, Figures, print_table, show, write_json

OUT = Path("build/bench.json")
SUBJECTS: tuple[Callable[[Setting], None], ...] = (
    bench_journal,
    bench_plain,
    bench_raw,
    bench_startup,
    bench_path,
    bench_http,
    bench_towns,
    bench_pace,
    bench_backlog,
    bench_audit,
)


def run(console: Console, *, quick: bool, only: str, out: Path) -> int:
    """Run what `only` matches; returns the exit status: 1 when a subject could not be run or nothing matched."""
    figures = Figures(lambda figure: tell(console, figure))
    trouble = []
    with open_setting(quick=quick, only=only, figures=figures) as setting:
        for subject in SUBJECTS:
            try:
                subject(setting)
            except BenchTrouble as error:
                trouble.append(str(error))
                console.print(f"[red]{subject.__name__}[/]: {error}")
        servers = [line for line in setting.servers.report() if "not started" not in line]
    if not figures.found and not trouble:
        known = "journal.*, startup.*, memory.*, path, http_*, town_to_town.*, backlog.*, audit."
        console.print(f"No subject matches {only}: try {known}")
        return 1
    print_table(console, figures.found)
    for line in servers:
        console.print(line, markup=False)
    write_json(out, figures.found)
    console.print(f"Written: {out}", markup=False)
    return 1 if trouble else 0


def tell(console: Console, figure: Figure) -> None:
    """Say a figure as soon as it is known."""
    console.print(f"{figure.name}: {show(figure)} {figure.unit} ({figure.note})", markup=False, soft_wrap=True)


def main(arguments: list[str]) -> int:
    """Do what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.bench", description="Measure; judge nothing.")
    parser.add_argument("--quick", action="store_true", help="small counts, to see that everything runs")
    parser.add_argument("--only", default="*", help="a pattern of subjects, such as 'journal.*' or 'town_to_town.*'")
    parser.add_argument("--out", type=Path, default=OUT, help=f"the JSON file ({OUT})")
    asked = parser.parse_args(arguments)
    return run(Console(highlight=False), quick=asked.quick, only=asked.only, out=asked.out)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
