"""Two towns as separate processes on real Apache Kafka and PostgreSQL: what happens, and what crashes do not change."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from msgspec import UNSET

from tests.e2e.running_towns import RunningTown, RunningTowns, two_towns, until
from timebank_contracts.entries import TransferReceived, TransferSent, decode_entry
from timebank_contracts.messages import Sent, decode_message
from timebank_kit.journal import open_journal

pytestmark = [pytest.mark.servers, pytest.mark.slow]
KILLED = [("aberdare", "ledger"), ("barry", "federation"), ("barry", "ledger"), ("aberdare", "federation")]
SENT_BETWEEN_KILLS = 15
BETWEEN_SECONDS = 0.02
AGAIN_SECONDS = 0.2
ATTEMPTS_MAX = 300


@pytest.fixture
def towns(tmp_path: Path, kafka_bootstrap: str, postgres_dsn: str) -> Iterator[RunningTowns]:
    with two_towns(tmp_path, journal=postgres_dsn, kafka=kafka_bootstrap) as running:
        yield running


class Traffic:
    """One member who pays the other town's a minute at a time, and repeats a command until it is answered."""

    def __init__(self, payer: RunningTown, payee: RunningTown) -> None:
        self._payer, self._payee = payer, payee
        self._alias = payer.resolve(payee)
        self._ended = threading.Event()
        self.answered: dict[str, str] = {}
        """Key → transfer."""
        self.refused: list[str] = []
        self._thread = threading.Thread(target=self._run, name=f"traffic of {payer.name}")
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            self._pay(f"traffic/{number}")
            self._ended.wait(BETWEEN_SECONDS)

    def _pay(self, key: str) -> None:
        # A command of which nobody knows what became of it is sent again under its key.
        for _ in range(ATTEMPTS_MAX):
            try:
                answer = self._payer.send(self._payee, self._alias, minutes=1, key=key)
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code == 201:
                self.answered[key] = answer.json()["id"]
                return
            if answer is not None and answer.status_code < 500:
                break
            time.sleep(AGAIN_SECONDS)
        self.refused.append(f"{key}: {'no answer' if answer is None else answer.text}")

    def end(self) -> None:
        """Stop paying; the last command has its answer."""
        self._ended.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_a_transfer_settles_and_its_key_gives_the_first_answer_for_ever(towns: RunningTowns, tmp_path: Path) -> None:
    aberdare, barry = towns.both
    alias = aberdare.resolve(barry)
    first = aberdare.send(barry, alias, minutes=90, key="one")
    assert first.status_code == 201
    transfer = first.json()["id"]
    until(lambda: aberdare.state_of(transfer) == "settled", seconds=30, what="the transfer settles")
    assert (aberdare.balance(), barry.balance()) == (-90, 90)

    again = aberdare.send(barry, alias, minutes=90, key="one")
    aberdare.kill("ledger")
    aberdare.start("ledger")
    aberdare.wait_ready("ledger")
    after_restart = aberdare.send(barry, alias, minutes=90, key="one")
    for answer in (again, after_restart):
        assert answer.status_code == 201
        assert {**answer.json(), "state": ""} == {**first.json(), "state": ""}
    other = aberdare.send(barry, alias, minutes=91, key="one")
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert (aberdare.balance(), barry.balance()) == (-90, 90)

    verdict = towns.audit(tmp_path / "logs")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert "PASS" in verdict.stdout


def test_killed_processes_lose_nothing_and_double_nothing(
    towns: RunningTowns, tmp_path: Path, postgres_dsn: str
) -> None:
    by_name = {town.name: town for town in towns.both}
    traffic = [Traffic(towns.aberdare, towns.barry), Traffic(towns.barry, towns.aberdare)]
    try:
        for name, service in KILLED:
            _wait_for_more(traffic)
            by_name[name].kill(service)
            by_name[name].start(service)
            by_name[name].wait_ready(service)
        _wait_for_more(traffic)
    finally:
        for each in traffic:
            each.end()
    towns.wait_decided(seconds=90)

    assert not any(each.refused for each in traffic)
    for town, each in zip(towns.both, traffic, strict=True):
        assert {town.state_of(transfer) for transfer in list(each.answered.values())[-40:]} == {"settled"}
    verdict = towns.audit(tmp_path / "logs")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert "PASS" in verdict.stdout
    sent = {town.name: _transfers(town, postgres_dsn, TransferSent) for town in towns.both}
    received = {town.name: _transfers(town, postgres_dsn, TransferReceived) for town in towns.both}
    for town, each in zip(towns.both, traffic, strict=True):
        assert sent[town.name] == list(each.answered.values()), "what was acknowledged, and each of it once"
    assert received["barry"] == sent["aberdare"]
    assert received["aberdare"] == sent["barry"]


def test_a_towns_processes_all_killed_at_once_go_on_where_they_were(towns: RunningTowns, tmp_path: Path) -> None:
    aberdare, barry = towns.both
    alias = aberdare.resolve(barry)
    for service in ("federation", "directory", "ledger"):
        barry.kill(service)
    sent = [aberdare.send(barry, alias, minutes=3, key=f"away/{number}") for number in range(10)]
    assert {answer.status_code for answer in sent} == {201}, "a town goes on while its peer is away"
    # Federation before its ledger: the order of a restart is nobody's to keep.
    for service in ("federation", "directory", "ledger"):
        barry.start(service)
    barry.wait_ready()
    towns.wait_decided(seconds=60)
    assert (aberdare.balance(), barry.balance()) == (-30, 30)
    assert towns.audit(tmp_path / "logs").returncode == 0


def _wait_for_more(traffic: list[Traffic]) -> None:
    before = [len(each.answered) for each in traffic]
    until(
        lambda: all(
            len(each.answered) >= count + SENT_BETWEEN_KILLS for each, count in zip(traffic, before, strict=True)
        ),
        seconds=60,
        what="traffic goes on",
    )


def _transfers(town: RunningTown, dsn: str, kind: type[TransferSent | TransferReceived]) -> list[str]:
    """The transfers of the entries of a kind, in order, as the town's journal holds them."""
    journal = open_journal(dsn, town.journal)
    try:
        entries = [decode_entry(record.state) for record in journal.scan(0, journal.length())]
    finally:
        journal.close()
    found = [entry for entry in entries if isinstance(entry, kind)]
    return [_transfer_of(entry) for entry in found]


def _transfer_of(entry: TransferSent | TransferReceived) -> str:
    if isinstance(entry, TransferReceived):
        return entry.data.transfer
    assert entry.out is not UNSET
    message = decode_message(bytes(entry.out))
    assert isinstance(message.data, Sent)
    return message.data.transfer
