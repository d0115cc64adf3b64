"""Fixtures of the federation's tests: Aberdare and Barry, with the broker inside this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.federation.towns import Network, open_towns


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with open_towns(tmp_path, "aberdare", "barry") as opened:
        yield opened
