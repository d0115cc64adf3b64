"""A message that the older town does not know waits there, with all behind it, and goes on after the upgrade."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.federation.towns import NETWORK, Network
from timebank_contracts.segments import parse_segment
from timebank_federation.ledger_client import LedgerClient, TakenSegment
from timebank_federation.peer_door import HttpDoor
from timebank_federation.quarantine import Quarantine
from timebank_federation.receiver import Receiver
from timebank_kit.web import AsgiBridge

pytestmark = pytest.mark.slow  # every test opens whole towns


class OlderLedger(LedgerClient):
    """A town's ledger as it was before it knew `thanks.given`: it stops there, as PROTOCOL.md S8 and S10 say."""

    def take_segment(self, raw: bytes) -> TakenSegment:
        segment = parse_segment(raw)
        high = next(one["incoming"]["n"] for one in self.streams()["streams"])
        for position, message in enumerate(segment.messages, start=segment.statement.first):
            if position > high and b'"type":"thanks.given"' in message:
                return TakenSegment("stops", high, position, None, "The message needs a newer version of the node.")
        return super().take_segment(raw)


def thank(network: Network, transfer: str) -> None:
    answer = network["aberdare"].ask_ledger("POST", f"/v1/transfers/{transfer}/thanks", json={"side": "payer"})
    assert answer.status_code == 201, answer.text


@contextmanager
def barry_before_its_upgrade(network: Network) -> Iterator[Receiver]:
    """A receiver of Barry's before the upgrade, at the same ledger."""
    barry = network["barry"]

    def token(aud: str) -> str:
        return barry.node_headers(to=aud.partition("/")[2])["Authorization"].removeprefix("Bearer ")

    with (
        httpx.Client(transport=AsgiBridge(barry.ledger.app), base_url="http://ledger") as ledger_http,
        httpx.Client(transport=network.doors) as peers,
    ):
        yield Receiver(
            identity=barry.home.identity,
            ledger=OlderLedger(ledger_http, lambda: token(f"{NETWORK}/barry")),
            registries=barry.federation.registries,
            sender=barry.federation.sender,
            door=HttpDoor(peers, token),
            quarantine=Quarantine(None),
            clock=network.clock,
        )


def applied(network: Network) -> int:
    return int(network["barry"].stream("aberdare")["incoming"]["n"])


def test_an_unknown_message_waits_with_all_behind_it_and_goes_on_after_the_upgrade(network: Network) -> None:
    """PROTOCOL.md S8, S10, E9."""
    first = network.send("aberdare", "barry", key="first")
    network.pump()
    before = network.send("aberdare", "barry", key="before")
    thank(network, first)
    behind = network.send("aberdare", "barry", key="behind")
    network["aberdare"].federation.sender.step(wait_seconds=0)
    inbox = network["barry"].federation.inbox
    assert inbox is not None
    with barry_before_its_upgrade(network) as older:
        older.step(inbox, timeout_seconds=0)
        assert applied(network) == 2, "what stands before it is taken"
        for _ in range(3):
            older.poll_peers()
        assert applied(network) == 2, "it is never skipped"
        assert not older.quarantine.kept
    network["barry"].federation.receiver.poll_peers()
    network.pump()
    assert applied(network) == 4
    assert [network.state("aberdare", one) for one in (first, before, behind)] == ["settled"] * 3
