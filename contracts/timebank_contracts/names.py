"""Identifiers: networks, nodes, generations, accounts, aliases, transfers. Their forms, and nothing else.

Every pattern is ASCII and anchored; a name that does not match never reaches a rule. In Python `$` also matches before
a final line feed: match with `fullmatch`, or decode by `canonical.decode`, which takes no escape.
Source: design page 2, "Names"; PROTOCOL.md N1 to N6.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from timebank_contracts.errors import Malformed

NODE_PATTERN: Final = r"^[a-z][a-z0-9-]{1,30}$"
NETWORK_PATTERN: Final = r"^(?=.{4,190}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$"
GENERATION_PATTERN: Final = r"^g[1-9][0-9]{0,5}$"
ACCOUNT_PATTERN: Final = r"^[a-z][a-z0-9-]{0,62}$|^(clearing|transit):[a-z][a-z0-9-]{1,30}$"
ALIAS_PATTERN: Final = r"^[0-9a-f]{32}$"
HASH_PATTERN: Final = r"^[0-9a-f]{64}$"
TAG_PATTERN: Final = r"^[0-9a-f]{30}$"
KEY_PATTERN: Final = r"^[0-9a-f]{32}$"
HANDLE_PATTERN: Final = r"^[a-z][a-z0-9-]{0,29}$"
TRANSFER_PATTERN: Final = r"^[a-z][a-z0-9-]{1,30}\.g[1-9][0-9]{0,5}(\.[a-z][a-z0-9-]{1,30})?\.(0|[1-9][0-9]{0,15})$"

_NODE = re.compile(NODE_PATTERN)
_NETWORK = re.compile(NETWORK_PATTERN)
_GENERATION = re.compile(GENERATION_PATTERN)
_TRANSFER = re.compile(TRANSFER_PATTERN)


class Identity(NamedTuple):
    """Who a journal belongs to: network (a DNS name), node (a slug), generation (`g1`, `g2`, …)."""

    network: str
    node: str
    generation: str

    @property
    def origin(self) -> str:
        """The log's origin line, `timebank.wales/aberdare/g1` (PROTOCOL.md N4)."""
        return f"{self.network}/{self.node}/{self.generation}"


class TransferName(NamedTuple):
    """Where a transfer was born: `aberdare.g1.10423`, or `aberdare.g1.barry.17` between towns."""

    node: str
    generation: str
    peer: str | None
    position: int


def check_identity(identity: Identity) -> Identity:
    """Return `identity` when each part has its form.

    Raises:
        Malformed: names the part and the form that it must have.
    """
    if not _NETWORK.fullmatch(identity.network):
        raise Malformed("A network id is a DNS name in lower case, such as timebank.wales.")
    if not _NODE.fullmatch(identity.node):
        raise Malformed("A node id is 2 to 31 of a-z, 0-9 and -, beginning with a letter.")
    if not _GENERATION.fullmatch(identity.generation):
        raise Malformed("A generation is g1, g2, …")
    return identity


def parse_origin(origin: str) -> Identity:
    """The identity in an origin line; raises `Malformed` when it has another form."""
    parts = origin.split("/")
    if len(parts) != 3:
        raise Malformed("An origin is <network>/<node>/<generation>.")
    return check_identity(Identity(*parts))


def local_transfer(identity: Identity, position: int) -> str:
    """Id of a transfer within the town: the journal position of its entry."""
    return f"{identity.node}.{identity.generation}.{position}"


def federated_transfer(node: str, generation: str, peer: str, position: int) -> str:
    """Id of a transfer between towns: its position in the stream from `node` to `peer`."""
    return f"{node}.{generation}.{peer}.{position}"


def parse_transfer(transfer: str) -> TransferName:
    """The parts of a transfer id; raises `Malformed` when it has another form."""
    if not _TRANSFER.fullmatch(transfer):
        raise Malformed("A transfer id is <node>.<generation>.<position> or <node>.<generation>.<peer>.<position>.")
    parts = transfer.split(".")
    return TransferName(parts[0], parts[1], parts[2] if len(parts) == 4 else None, int(parts[-1]))


def clearing(peer: str) -> str:
    """The clearing account of a peer: > 0 when we owe the peer."""
    return f"clearing:{peer}"


def transit(peer: str) -> str:
    """The transit account of a peer: minutes sent and not yet decided, never negative."""
    return f"transit:{peer}"


def inbox_topic(network: str, node: str) -> str:
    """The one Kafka topic that a node reads (PROTOCOL.md K1)."""
    return f"timebank.{network}.inbox.{node}"
