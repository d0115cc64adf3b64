"""Writes the bundle that `timebank audit selftest` checks: python -m tests.audit.make_selftest"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.audit.season import season
from timebank_audit.export import export

FILE = Path(__file__).parents[2] / "services/audit/timebank_audit/selftest.tar"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "selftest.tar"
        export([season().export(Path(folder) / "out")], made, tar=True)
        FILE.write_bytes(made.read_bytes())
