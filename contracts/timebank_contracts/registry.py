"""The registry: who is in the network, under which keys and limits. A DSSE document signed by k of n operators.

Version v + 1 is signed by k of v's and k of its own operators; version 1 by its own, pinned by its hash. Key ids are
computed, and a key appears once in the whole document, so that one key can never count as two.
Source: design page 2, "Registry" and "What signs what"; PROTOCOL.md R1 to R5.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from timebank_contracts import canonical, dsse
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import Ceiling, Generation, Hash, Network, Node, RawKey, Version
from timebank_contracts.keys import WeakKey, b64_decode, check_public_key

PAYLOAD_TYPE: Final = "application/vnd.timebank.registry+json"
REGISTRY_BYTES_MAX: Final = 1_048_576
NODES_MAX: Final = 1_000
WITNESSES_MAX: Final = 32


class Operators(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The operators' keys, of which `k` sign a registry."""

    k: Annotated[int, Meta(ge=1, le=20)]
    keys: Annotated[list[RawKey], Meta(min_length=1, max_length=20)]


class RegisteredNode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node: its open generation, its keys by use, where it is found, and the network's default limit."""

    node: Node
    generation: Generation
    state: Literal["open", "suspended", "closed"]
    event_keys: Annotated[list[RawKey], Meta(min_length=1, max_length=4)]
    """Sign statements of segments and node tokens."""
    log_keys: Annotated[list[RawKey], Meta(min_length=1, max_length=4)]
    """Sign checkpoints."""
    protocols: Annotated[list[Annotated[int, Meta(ge=1, le=1000)]], Meta(min_length=1, max_length=8)]
    url: Annotated[str, Meta(pattern=r"^https?://[!-~]{1,200}$")]
    limit: Ceiling
    """Default limit, in minutes, of what this node and any other may owe each other."""


class Witness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who cosigns the nodes' checkpoints: a peer in business, or somebody who is no town."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9./-]{1,189}$")]
    key: RawKey
    """Of type cosignature/v1; it signs nothing else."""
    url: Annotated[str, Meta(pattern=r"^https?://[!-~]{1,200}$")]


class Registry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One version of the network. `previous` is the SHA-256 of the predecessor's payload, 64 zeros for version 1."""

    protocol: Literal[1]
    network: Network
    version: Version
    previous: Hash
    operators: Operators
    nodes: Annotated[list[RegisteredNode], Meta(max_length=NODES_MAX)]
    witnesses: Annotated[list[Witness], Meta(min_length=1, max_length=WITNESSES_MAX)] | UnsetType = UNSET
    """Absent: none."""

    def find(self, node: str) -> RegisteredNode | None:
        """The registered node of this name, or None."""
        return next((found for found in self.nodes if found.node == node), None)

    def pair_limit(self, one: str, other: str) -> int:
        """The network's limit between two nodes, in minutes: the lower of both nodes' defaults."""
        found = [node.limit for node in self.nodes if node.node in (one, other)]
        return min(found) if len(found) == 2 else 0

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the canonical payload: what the next version and every journal cite."""
        return sha256(canonical.encode(self)).hexdigest()


FIRST_PREVIOUS: Final = "0" * 64

_decoder: Final = msgspec.json.Decoder(Registry)


def open_registry(envelope: bytes, *, previous: Registry | None) -> Registry:
    """The registry in an envelope, when it is well-formed, follows `previous` and is signed as both demand.

    Args:
        envelope: DSSE bytes, at most 1 MiB.
        previous: the registry in force, or None for version 1 (whose hash the caller compares with a pinned one).

    Raises:
        Malformed: says what is wrong: form, version, predecessor, a key twice or weak, too few signatures.
    """
    if len(envelope) > REGISTRY_BYTES_MAX:
        raise Malformed(f"A registry has at most {REGISTRY_BYTES_MAX} bytes.")
    registry = read_registry(dsse.open_payload(envelope, payload_type=PAYLOAD_TYPE))
    if previous is None:
        if (registry.version, registry.previous) != (1, FIRST_PREVIOUS):
            raise Malformed("The first registry has version 1 and no predecessor.")
    else:
        if (registry.version, registry.network) != (previous.version + 1, previous.network):
            raise Malformed(f"Version {previous.version + 1} of {previous.network} is expected.")
        if registry.previous != previous.sha256:
            raise Malformed("The registry names another predecessor than the one in force: a fork.")
        _check_threshold(envelope, previous.operators, f"version {previous.version}")
    _check_threshold(envelope, registry.operators, "its own")
    return registry


def read_registry(payload: bytes) -> Registry:
    """The registry that a payload says, whoever signed it: what operators look at before they sign.

    Raises:
        Malformed: another form, a weak key, a key or node twice, k above the number of operators.
    """
    registry = canonical.decode(payload, _decoder, bytes_max=REGISTRY_BYTES_MAX)
    check_keys(registry)
    return registry


def signatures_of(envelope: bytes, operators: Operators) -> int:
    """How many of these operators signed the envelope; raises `Malformed` for another form."""
    return len(dsse.signers(envelope, tuple(b64_decode(key) for key in operators.keys)))


def _check_threshold(envelope: bytes, operators: Operators, whose: str) -> None:
    count = signatures_of(envelope, operators)
    if count < operators.k:
        raise Malformed(f"{operators.k} of {whose} operators must sign the registry; {count} did.")


def check_keys(registry: Registry) -> None:
    """Raise `Malformed` when a key is weak or appears twice, a node appears twice, or k is above the number of keys."""
    keys = list(registry.operators.keys)
    for node in registry.nodes:
        keys += [*node.event_keys, *node.log_keys]
    witnesses = [] if registry.witnesses is UNSET else registry.witnesses
    keys += [witness.key for witness in witnesses]
    if len(set(keys)) != len(keys):
        raise Malformed("A key appears twice in the registry; each key serves one holder and one use.")
    try:
        for key in keys:
            check_public_key(b64_decode(key))
    except WeakKey as error:
        raise Malformed(f"The registry holds a weak key: {error}") from error
    if len({node.node for node in registry.nodes}) != len(registry.nodes):
        raise Malformed("A node appears twice in the registry.")
    if len({witness.name for witness in witnesses}) != len(witnesses):
        raise Malformed("A witness appears twice in the registry.")
    if registry.operators.k > len(registry.operators.keys):
        raise Malformed("k is greater than the number of operators' keys.")
