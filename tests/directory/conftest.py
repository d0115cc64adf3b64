"""Fixtures of the directory's tests: Aberdare and Barry with all their rooms, and a client of Aberdare's directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.federation.towns import FederatedTown, Network, open_towns


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with open_towns(tmp_path, "aberdare", "barry") as opened:
        yield opened


@pytest.fixture
def aberdare(network: Network) -> FederatedTown:
    return network["aberdare"]
