"""Aberdare and Barry on the secured broker, each under its own name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.servers.certificates import Pair
from tests.federation.towns import Network, open_towns
from tests.kafka.secured import Secured, until
from timebank_federation.broker import BrokerAway

KAFKA = "TIMEBANK_FEDERATION_KAFKA"


def by_certificate(secured: Secured, pair: Pair) -> dict[str, str]:
    """What a node's settings say that proves itself by a certificate."""
    return {
        KAFKA: secured.certificate_address,
        f"{KAFKA}_SECURITY_PROTOCOL": "SSL",
        f"{KAFKA}_CA_FILE": str(secured.broker.authority.certificate),
        f"{KAFKA}_CERTIFICATE_FILE": str(pair.certificate),
        f"{KAFKA}_KEY_FILE": str(pair.key),
    }


def by_password(secured: Secured, node: str, folder: Path, *, password: str | None = None) -> dict[str, str]:
    """What a node's settings say that proves itself by its password; by default the right one."""
    file = folder / f"{node}.{'right' if password is None else 'other'}-password"
    file.touch(mode=0o600)
    file.write_text(secured.passwords[node] if password is None else password, "utf-8")
    return {
        KAFKA: secured.scram_address,
        f"{KAFKA}_SECURITY_PROTOCOL": "SASL_SSL",
        f"{KAFKA}_CA_FILE": str(secured.broker.authority.certificate),
        f"{KAFKA}_USER": node,
        f"{KAFKA}_PASSWORD_FILE": str(file),
    }


@contextmanager
def towns_on_kafka(
    secured: Secured, folder: Path, *, other: Mapping[str, dict[str, str]] | None = None
) -> Iterator[Network]:
    """Two towns, whose inboxes are emptied first; the threads do not run.

    Args:
        other: settings of a town in place of its name and right password.
    """
    secured.make_again("aberdare", "barry")
    names = ("aberdare", "barry")
    settings = {node: by_password(secured, node, folder) for node in names} | dict(other or {})
    with open_towns(folder, *names, with_broker=False, settings=settings) as network:
        yield network


def send(network: Network, town: str) -> int:
    """Send what is due; returns how many segments."""
    return network[town].federation.sender.step(wait_seconds=0)


def take(network: Network, town: str) -> int:
    """Take what the broker has; trouble with it costs time only. Returns how many records."""
    federation = network[town].federation
    assert federation.inbox is not None
    try:
        return federation.receiver.step(federation.inbox, timeout_seconds=0.2)
    except BrokerAway:
        return 0


def ask_peers(network: Network) -> int:
    """Let each town ask its peers over HTTPS; returns how many segments came."""
    return sum(town.federation.receiver.poll_peers() for town in network.towns.values())


def settle(network: Network, *transfers: str, only_kafka: bool = True) -> None:
    """Let segments pass until transfers of Aberdare are settled."""
    waiting = list(transfers)

    def moved() -> bool:
        for town in network.towns:
            send(network, town)
            take(network, town)
        if not only_kafka:
            ask_peers(network)
        while waiting and network.state("aberdare", waiting[0]) == "settled":
            waiting.pop(0)
        return not waiting

    until(moved, what=f"{len(transfers)} transfers settle")


def balance(network: Network, town: str, handle: str) -> int:
    """Minutes on a member's account."""
    account = network[town].accounts[handle]
    return int(network[town].ask_ledger("GET", f"/v1/accounts/{account}").json()["balance"])
