"""A town's ledger as a real process, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.one_ledger import OneLedger, one_ledger


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OneLedger]:
    """A running ledger with two members, a pot, grants and imports; on each store."""
    journal = request.getfixturevalue("postgres_dsn") if request.param == "postgresql" else None
    with one_ledger(tmp_path, journal=journal) as running:
        yield running
