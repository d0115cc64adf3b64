"""The threads: trouble and bugs are seen and got over, and nothing runs on when they are stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.federation.towns import Network
from timebank_contracts.names import inbox_topic
from timebank_federation.broker import BrokerRecord

pytestmark = pytest.mark.slow  # every test opens whole towns

PATIENCE_SECONDS = 30.0


def eventually(happened: Callable[[], object]) -> None:
    """Return when it has happened; fail when it does not."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < until
        threading.Event().wait(0.02)


@contextmanager
def running(network: Network) -> Iterator[None]:
    for town in network.towns.values():
        town.federation.worker.start()
    try:
        yield
    finally:
        for town in network.towns.values():
            town.federation.worker.stop()


def readiness(network: Network, name: str) -> httpx.Response:
    with httpx.Client(transport=network.doors, base_url=f"http://{name}.example") as http:
        return http.get("/readyz")


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("federation-")}


def test_transfers_are_settled_by_the_threads_and_the_threads_end(network: Network) -> None:
    with running(network):
        transfer = network.send("aberdare", "barry", key="k")
        eventually(lambda: network.state("aberdare", transfer) == "settled")
        names = ("sender", "receiver", "poller", "witness")
        assert threads() == {f"federation-{name}" for name in names}
    assert not threads()


def test_a_ledger_that_is_away_is_seen_and_then_all_goes_on(network: Network) -> None:
    with running(network):
        network["aberdare"].to_ledger.is_cut = True
        eventually(lambda: readiness(network, "aberdare").status_code == 503)
        said = readiness(network, "aberdare").json()
        assert (said["code"], "ledger" in said["detail"]) == ("not_ready", True)
        network["aberdare"].to_ledger.is_cut = False
        eventually(lambda: readiness(network, "aberdare").status_code == 200)
        transfer = network.send("aberdare", "barry", key="k")
        eventually(lambda: network.state("aberdare", transfer) == "settled")


def test_threads_that_start_before_their_ledger_wait_for_it(network: Network) -> None:
    network["aberdare"].to_ledger.is_cut = True
    network["aberdare"].federation.registries.add(network.next_registry(limit=60))
    with running(network):
        eventually(lambda: readiness(network, "aberdare").status_code == 503)
        network["aberdare"].to_ledger.is_cut = False
        eventually(lambda: network["aberdare"].stream("barry")["owe_limit"] == 60)


def test_a_bug_is_logged_and_seen_and_ends_no_thread(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    """What no broker gives: a record whose value is no bytes."""
    broken = BrokerRecord(0, "barry", None)  # type: ignore[arg-type]  # the wrong type is the bug
    topic = network.broker.make_topic(inbox_topic(network["aberdare"].home.identity.network, "aberdare"))
    topic.records.append(broken)
    topic.end += 1
    with running(network), caplog.at_level(logging.ERROR):
        eventually(lambda: any(record.message == "bug in a loop" for record in caplog.records))
        transfer = network.send("barry", "aberdare", key="k")
        eventually(lambda: network.state("barry", transfer) == "settled")
        eventually(lambda: readiness(network, "aberdare").status_code == 200)
        assert "federation-receiver" in threads()


def test_a_fork_of_the_registry_stops_the_threads_until_its_evidence_is_put_away(network: Network) -> None:
    """PROTOCOL.md R6."""
    folder = network["aberdare"].home.registry_folder
    evidence = folder / "fork-1-0000.json"
    evidence.write_bytes(b"{}")
    with running(network):
        transfer = network.send("aberdare", "barry", key="k")
        eventually(lambda: "forked" in readiness(network, "aberdare").text)
        assert network.state("aberdare", transfer) == "sent"
        evidence.unlink()
        eventually(lambda: network.state("aberdare", transfer) == "settled")
