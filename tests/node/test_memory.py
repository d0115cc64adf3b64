"""What a node loads: drivers and tools that it does not use stay out of its memory."""

from __future__ import annotations

import subprocess
import sys

SERVES = "import sys, timebank_node.cli, timebank_node.commands_node, timebank_node.compose; print(*sys.modules)"


def test_a_node_loads_no_driver_before_it_is_used() -> None:
    """A town on SQLite without Kafka needs neither; each takes about 9 MB."""
    done = subprocess.run([sys.executable, "-c", SERVES], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(done.stdout.split())
    assert "timebank_ledger.app" in loaded
    assert loaded.isdisjoint({"psycopg", "kafka", "sqlalchemy.orm", "sqlalchemy.dialects.postgresql.psycopg"})
