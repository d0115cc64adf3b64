"""Kafka is the fast path, never the record: without it towns ask each other, with it again they go on as before."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.servers.find import OwnBroker
from tests.e2e.running_towns import RunningTowns, two_towns, until

pytestmark = [pytest.mark.servers, pytest.mark.slow]


def _settles(towns: RunningTowns, alias: str, key: str, *, seconds: float) -> None:
    sent = towns.aberdare.send(towns.barry, alias, minutes=5, key=key)
    assert sent.status_code == 201, sent.text
    transfer = sent.json()["id"]
    until(lambda: towns.aberdare.state_of(transfer) == "settled", seconds=seconds, what=f"{key} settles")


def test_a_killed_broker_costs_time_only(tmp_path: Path, kafka_broker: OwnBroker, postgres_dsn: str) -> None:
    with two_towns(tmp_path, journal=postgres_dsn, kafka=kafka_broker.bootstrap) as towns:
        alias = towns.aberdare.resolve(towns.barry)
        _settles(towns, alias, "with-the-broker", seconds=30)
        kafka_broker.kill()
        _settles(towns, alias, "while-it-is-away", seconds=90)
        kafka_broker.restart()
        _settles(towns, alias, "when-it-is-back", seconds=60)
        until(lambda: all(_broker(towns, name) == "in use" for name in (0, 1)), seconds=90, what="the broker is used")
        verdict = towns.audit(tmp_path / "logs")
        assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def test_towns_without_any_broker_settle_by_asking_each_other(tmp_path: Path, postgres_dsn: str) -> None:
    with two_towns(tmp_path, journal=postgres_dsn, kafka=None) as towns:
        alias = towns.aberdare.resolve(towns.barry)
        _settles(towns, alias, "polled", seconds=30)
        back = towns.barry.send(towns.aberdare, towns.barry.resolve(towns.aberdare), minutes=2, key="back")
        assert back.status_code == 201
        towns.wait_decided(seconds=30)
        assert (towns.aberdare.balance(), towns.barry.balance()) == (-3, 3)
        assert towns.audit(tmp_path / "logs").returncode == 0


def _broker(towns: RunningTowns, number: int) -> str:
    ready = towns.both[number].ask("GET", "/readyz", service="federation")
    return str(ready.json()["broker"])
