"""Fixtures of the ledger's tests: a town in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ledger.town_api import Town, open_town


@pytest.fixture
def town() -> Iterator[Town]:
    with open_town() as opened:
        yield opened
