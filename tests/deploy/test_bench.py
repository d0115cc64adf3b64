"""The benches run and say what they measured; no figure is judged here."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

from rich.console import Console

from deploy.bench.__main__ import run
from deploy.bench.processor import PROCESS, by_thread, of_process, resident_mb
from deploy.bench.table import Figures, percentile


def test_a_quick_run_prints_a_table_and_writes_the_same_figures_as_json(tmp_path: Path) -> None:
    printed = io.StringIO()
    out = tmp_path / "build" / "bench.json"
    assert run(Console(file=printed, width=160), quick=True, only="journal.memory", out=out) == 0
    figures = json.loads(out.read_text("utf-8"))
    assert [figure["name"] for figure in figures] == ["journal.memory.transfers_per_s", "replay.memory.entries_per_s"]
    for figure in figures:
        assert set(figure) == {"name", "value", "unit", "note"}
        assert figure["value"] > 0
        assert figure["name"] in printed.getvalue()


def test_the_steps_of_the_path_add_up_to_the_whole(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    assert run(Console(file=io.StringIO()), quick=True, only="path", out=out) == 0
    figures = {figure["name"]: figure["value"] for figure in json.loads(out.read_text("utf-8"))}
    whole = figures.pop("path")
    assert {name.split(".")[1] for name in figures} == {"aberdare", "barry"}
    assert abs(sum(figures.values()) - whole) < 0.05 * whole


def test_a_process_tells_what_it_used_in_all_and_by_thread() -> None:
    by_name = by_thread()
    assert {PROCESS, "MainThread"} <= set(by_name)
    assert of_process(os.getpid()) > 0
    assert resident_mb(os.getpid()) > 1


def test_a_pattern_that_matches_nothing_is_told(tmp_path: Path) -> None:
    printed = io.StringIO()
    assert run(Console(file=printed, width=160), quick=True, only="nothing.at.all", out=tmp_path / "b.json") == 1
    assert "No subject matches" in printed.getvalue()
    assert not (tmp_path / "b.json").exists()


def test_a_ratio_is_kept_only_where_both_sides_were_measured() -> None:
    figures = Figures()
    figures.add("ours", 300.0, "transfers/s")
    figures.add_times("ours.times", "ours", "theirs")
    figures.add("theirs", 100.0, "transfers/s")
    figures.add_times("ours.times", "ours", "theirs")
    assert [(figure.name, figure.value) for figure in figures.found] == [
        ("ours", 300.0),
        ("theirs", 100.0),
        ("ours.times", 3.0),
    ]


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 3.0
    assert percentile([1.0], 99) == 1.0
