"""Towns on a broker that knows them; and when it lets one of them not in, they go on over HTTPS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kafka.secured import DROPPED, Secured
from tests.kafka.towns_on_kafka import ask_peers, balance, send, settle, towns_on_kafka
from timebank_federation.broker import BrokerAway

pytestmark = [pytest.mark.servers, pytest.mark.slow, DROPPED]


def test_transfers_settle_over_a_secured_broker_alone(secured: Secured, tmp_path: Path) -> None:
    with towns_on_kafka(secured, tmp_path) as network:
        transfers = [network.send("aberdare", "barry", 5, key=f"key-{number}") for number in range(3)]
        for town in network.towns.values():
            town.door.is_cut = True
        settle(network, *transfers)
        assert network["barry"].federation.receiver.counts["pulled"] == 0
        assert (balance(network, "aberdare", "alys"), balance(network, "barry", "bryn")) == (-15, 15)


@pytest.mark.parametrize("refused", ["aberdare", "barry"])
def test_a_town_that_the_broker_refuses_goes_on_over_https(secured: Secured, tmp_path: Path, refused: str) -> None:
    with towns_on_kafka(secured, tmp_path, wrong_password_of=[refused]) as network:
        transfer = network.send("aberdare", "barry", 5, key="over-https")
        federation = network[refused].federation
        assert federation.inbox is not None
        with pytest.raises(BrokerAway, match=f"does not let {refused} in by SCRAM-SHA-512"):
            federation.receiver.step(federation.inbox, timeout_seconds=0)
        assert send(network, "aberdare") == (0 if refused == "aberdare" else 1)
        assert network["aberdare"].federation.sender.broker_away == (refused == "aberdare")
        ask_peers(network)
        settle(network, transfer, only_kafka=False)
        assert (balance(network, "aberdare", "alys"), balance(network, "barry", "bryn")) == (-5, 5)
