"""`timebank audit equivocation`: a third party checks a file of evidence, offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from timebank_audit.cli import app

CASES = json.loads((Path(__file__).parents[2] / "contracts" / "vectors" / "witness.json").read_text("utf-8"))[
    "evidence"
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_a_file_that_proves_it_ends_with_1_and_any_other_with_2(tmp_path: Path, case: dict[str, str]) -> None:
    """PROTOCOL.md V6."""
    file = tmp_path / "evidence.json"
    file.write_text(case["file"], "utf-8")
    done = CliRunner().invoke(app, ["equivocation", str(file)])
    assert done.exit_code == (1 if case["proves"] else 2)
    assert ("FAIL   timebank.wales/aberdare/g1" in done.output) is bool(case["proves"])
