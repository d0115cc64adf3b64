"""Event key and log key are changed, and a stolen event key given up, at real nodes while transfers flow.

The operator's commands are those of docs/operators.md; the nodes poll each other, so that nothing but they is needed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.running_towns import RunningTown, RunningTowns, two_towns, until
from tests.node.test_cli import made
from timebank_contracts.note import open_note, parse_vkey
from timebank_node.home import open_home

pytestmark = [pytest.mark.servers, pytest.mark.slow]
PAUSE_SECONDS = 0.1
SECONDS = 60.0


@pytest.fixture
def towns(tmp_path: Path, postgres_dsn: str) -> Iterator[RunningTowns]:
    with two_towns(tmp_path, journal=postgres_dsn, kafka=None) as running:
        yield running


class Flow:
    """Alys pays Bryn a minute at a time; a command of which nobody knows is sent again under its key."""

    def __init__(self, payer: RunningTown, payee: RunningTown) -> None:
        self._payer, self._payee = payer, payee
        self._alias = payer.resolve(payee)
        self._ended = threading.Event()
        self.sent: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            try:
                answer = self._payer.send(self._payee, self._alias, minutes=1, key=f"flow/{len(self.sent)}")
            except httpx.HTTPError:
                continue
            if answer.status_code == 201:
                self.sent.append(answer.json()["id"])

    def end(self) -> list[str]:
        self._ended.set()
        self._thread.join()
        return self.sent


def publish(towns: RunningTowns, folder: Path) -> None:
    """The operators sign what was asked for and put it where Aberdare's node finds it; Barry's fetches it."""
    home = towns.aberdare.town.home
    made("network", "propose", home, "--request", folder / "request", "--out", folder / "next")
    made("network", "sign", folder / "next", "--operator", folder / "operator.key")
    made("network", "publish", folder / "next", "--home", home)


def version(town: RunningTown) -> int:
    try:
        return int(town.ask("GET", "/v1/streams").json()["registry"]["version"])
    except httpx.HTTPError:
        return 0


def restart(town: RunningTown) -> None:
    town.stop()
    town.start()
    town.wait_ready()


def in_force(town: RunningTown, number: int) -> None:
    until(lambda: version(town) == number, seconds=SECONDS, what=f"version {number} is in force at {town.name}")


def settles(towns: RunningTowns, transfer: str) -> None:
    until(lambda: towns.aberdare.state_of(transfer) == "settled", seconds=SECONDS, what="a transfer settles")


def is_signed_by(town: RunningTown, vkey: str) -> bool:
    """Whether the latest checkpoint bears a signature of this key."""
    return bool(open_note(town.ask("GET", "/checkpoint").content, [parse_vkey(vkey)]).signed_by)


def test_keys_are_rotated_and_one_is_given_up_while_transfers_flow(towns: RunningTowns, tmp_path: Path) -> None:
    aberdare, home = towns.aberdare, towns.aberdare.town.home
    request = tmp_path / "request"
    flow = Flow(aberdare, towns.barry)
    first_event, first_vkey = open_home(home).event_keys[0].public, open_home(home).vkey
    # Old and new ones side by side: the nodes sign as before.
    made("node", "rotate-key", home, "--out", request)
    publish(towns, tmp_path)
    made("node", "rotate-log-key", home, "--out", request)
    publish(towns, tmp_path)
    in_force(aberdare, 3)
    assert is_signed_by(aberdare, first_vkey)
    # The new ones alone.
    made("node", "rotate-log-key", home, "--out", request)
    restart(aberdare)
    publish(towns, tmp_path)
    made("node", "rotate-key", home, "--out", request)
    publish(towns, tmp_path)
    in_force(aberdare, 5)
    in_force(towns.barry, 5)
    assert first_event not in [key.public for key in open_home(home).event_keys]
    assert not is_signed_by(aberdare, first_vkey)
    assert is_signed_by(aberdare, open_home(home).vkey)
    settles(towns, flow.sent[-1])
    # The new event key is stolen.
    made("node", "retire-key", home, "--out", request)
    restart(aberdare)
    publish(towns, tmp_path)
    in_force(towns.barry, 6)
    sent = flow.end()
    towns.wait_decided(seconds=SECONDS)
    assert {aberdare.state_of(transfer) for transfer in sent[-20:]} == {"settled"}
    assert towns.barry.balance() == len(sent)
    verdict = towns.audit(tmp_path / "logs")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
