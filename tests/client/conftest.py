"""A town, and a partner's client of it whose line can lose what was sent or answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.client.lines import DIRECTORY, LEDGER, SECRET, FaultyLine
from tests.federation.towns import FederatedTown, Network, open_towns
from timebank_client import Retries, Surroundings, Timebank
from timebank_kit.clock import ManualClock
from timebank_kit.web import AsgiBridge

SCOPES = ["accounts:read", "claims:write", "transfers:write", "statements:read", "reports:read"]


@pytest.fixture
def network(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Network]:
    """Aberdare, or the towns that a test names as this fixture's parameter."""
    with open_towns(tmp_path, *getattr(request, "param", ("aberdare",))) as opened:
        yield opened


@pytest.fixture
def aberdare(network: Network) -> FederatedTown:
    return network["aberdare"]


@pytest.fixture
def line(aberdare: FederatedTown) -> Iterator[FaultyLine]:
    rooms: dict[str, httpx.BaseTransport] = {
        LEDGER: AsgiBridge(aberdare.ledger.app),
        DIRECTORY: AsgiBridge(aberdare.directory.app),
    }
    made = FaultyLine(rooms)
    yield made
    made.close()


@pytest.fixture
def waited() -> list[float]:
    """How long the client waited, each time, in seconds."""
    return []


@contextmanager
def opened(
    aberdare: FederatedTown,
    line: FaultyLine,
    waited: list[float],
    client: str,
    scopes: list[str],
    accounts: list[str] | None,
) -> Iterator[Timebank]:
    aberdare.directory.directory.clients.add(client, scopes=scopes, accounts=accounts, secret=SECRET, salt=b"s" * 16)
    clock = aberdare.around.clock
    assert isinstance(clock, ManualClock)

    def sleep(seconds: float) -> None:
        # What a client waits passes for the town as well.
        waited.append(seconds)
        clock.advance(seconds)

    around = Surroundings(now=clock.now, sleep=sleep, chance=lambda: 1.0)
    with Timebank(
        f"http://{LEDGER}",
        directory_url=f"http://{DIRECTORY}",
        client_id=client,
        client_secret=SECRET,
        transport=line,
        retries=Retries(tries_max=4),
        around=around,
    ) as made:
        yield made


@pytest.fixture
def town(aberdare: FederatedTown, line: FaultyLine, waited: list[float]) -> Iterator[Timebank]:
    """The client of a partner that was granted Alys's and Bryn's accounts."""
    accounts = list(aberdare.accounts.values())
    with opened(aberdare, line, waited, "housing", SCOPES, accounts) as made:
        yield made


@pytest.fixture
def office(aberdare: FederatedTown, line: FaultyLine, waited: list[float]) -> Iterator[Timebank]:
    """The client of the town's office, a broker's."""
    with opened(aberdare, line, waited, "office", [*SCOPES, "operate"], None) as made:
        yield made
