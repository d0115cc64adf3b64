"""Towns on a broker that knows them; and when it lets one of them not in, they go on over HTTPS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kafka.secured import DROPPED, Secured
from tests.kafka.towns_on_kafka import ask_peers, balance, by_certificate, by_password, send, settle, towns_on_kafka
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


@pytest.mark.parametrize("node", ["aberdare", "barry"])
def test_a_town_with_a_certificate_is_as_good_as_one_with_a_password(
    secured: Secured, tmp_path: Path, node: str
) -> None:
    other = {node: by_certificate(secured, secured.broker.authority.issue(node))}
    with towns_on_kafka(secured, tmp_path, other=other) as network:
        transfer = network.send("aberdare", "barry", 5, key="by-certificate")
        for town in network.towns.values():
            town.door.is_cut = True
        settle(network, transfer)


WRONG_PASSWORD = "it does not let {} in by SCRAM-SHA-512"
WRONG_CERTIFICATE = "it refuses our certificate, which may be missing, have expired"


@pytest.mark.parametrize(
    ("node", "by"),
    [("aberdare", "password"), ("barry", "password"), ("aberdare", "foreign"), ("barry", "expired")],
)
def test_a_town_that_the_broker_refuses_goes_on_over_https(
    secured: Secured, tmp_path: Path, node: str, by: str
) -> None:
    refused = {
        "password": lambda: by_password(secured, node, tmp_path, password="wrong"),
        "foreign": lambda: by_certificate(secured, secured.foreign.issue(node)),
        "expired": lambda: by_certificate(secured, secured.broker.authority.issue(node, expired=True)),
    }
    with towns_on_kafka(secured, tmp_path, other={node: refused[by]()}) as network:
        transfer = network.send("aberdare", "barry", 5, key="over-https")
        federation = network[node].federation
        assert federation.inbox is not None
        sentence = WRONG_PASSWORD.format(node) if by == "password" else WRONG_CERTIFICATE
        with pytest.raises(BrokerAway, match=sentence):
            federation.receiver.step(federation.inbox, timeout_seconds=0)
        assert send(network, "aberdare") == (0 if node == "aberdare" else 1)
        assert network["aberdare"].federation.sender.broker_away == (node == "aberdare")
        ask_peers(network)
        settle(network, transfer, only_kafka=False)
        assert (balance(network, "aberdare", "alys"), balance(network, "barry", "bryn")) == (-5, 5)
