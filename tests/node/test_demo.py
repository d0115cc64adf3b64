"""The demo in this process: a file of one's own, the same bytes twice, and a status that is the auditor's."""

from __future__ import annotations

import io
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from timebank_contracts.errors import Malformed
from timebank_node.bootstrap import TownPolicy
from timebank_node.demo import export_and_audit, run_demo
from timebank_node.demo_towns import TownPlan, open_network

ROWS = """\
time,payer_town,payer,payee_town,payee,amount,purpose
2026-01-01T09:00:00Z,aberdare,alys,aberdare,bryn,90m,
2026-01-01T10:00:00Z,aberdare,alys,barry,carys,1:30,
2026-01-02T10:00:00Z,barry,carys,aberdare,alys,45m,gift
2026-01-02T11:00:00Z,barry,carys,aberdare,alys,1e3,gift
2026-01-02T12:00:00Z,barry,carys,barry,carys,10m,gift
yesterday,barry,carys,aberdare,alys,10m,gift
2026-01-03T10:00:00Z,caernarfon,dylan,barry,carys,2h,
"""


def run(tmp_path: Path, name: str, text: str = ROWS, *, seed: int = 1) -> tuple[int, str]:
    """Exit status and output of the demo over a file; its logs are in `tmp_path/name`."""
    (tmp_path / "rows.csv").write_text(text, "utf-8")
    out = io.StringIO()
    status = run_demo(
        Console(file=out, width=200, highlight=False),
        out_folder=tmp_path / name,
        seed=seed,
        serve=False,
        transfers=tmp_path / "rows.csv",
        kafka=None,
        postgres=None,
        clock="season",
    )
    return status, out.getvalue()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_of_one_s_own_is_run_counted_and_audited(tmp_path: Path) -> None:
    status, said = run(tmp_path, "logs")
    assert status == 0
    for line, column in ((5, "amount"), (7, "time")):
        assert f"Line {line}, column {column}: " in said
    assert "self_transfer" in said
    assert "Lines of the file: 8 = 5 rows + 2 that cannot be read + 1 heading." in said
    assert "PASS" in said


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        assert run(tmp_path, name, seed=seed)[0] == 0
    assert files(tmp_path / "one") == files(tmp_path / "again")
    assert files(tmp_path / "one") != files(tmp_path / "other")


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n", ROWS.splitlines()[0] + "\n", ROWS.splitlines()[0] + "\nnever,a,b,c,d,1h,\n"],
    ids=["empty", "columns", "no row", "no good row"],
)
def test_a_file_without_a_row_starts_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(Malformed):
        run(tmp_path, "logs", text)
    assert not (tmp_path / "logs").exists()


def test_the_status_is_the_auditor_s(tmp_path: Path) -> None:
    """A row of a journal that somebody changed behind the ledger's back."""
    plans = [TownPlan(name="aberdare", title="Aberdare", policy=TownPolicy(), pair_limit=60)]
    starts = datetime(2026, 1, 1, tzinfo=UTC)
    with open_network(
        plans, tmp_path / "homes", seed=1, season_starts=starts, kafka=None, postgres=None, run=""
    ) as network:
        out = Console(file=io.StringIO())
        assert export_and_audit(out, network, tmp_path / "good") == 0
        with sqlite3.connect(tmp_path / "homes" / "aberdare" / "journal.db") as database:
            changed = database.execute(
                "UPDATE stored_events SET state = replace(state, '-600', '-601') WHERE originator_version = 1"
            )
            assert changed.rowcount == 1
        database.close()
        assert export_and_audit(out, network, tmp_path / "bad") != 0
