"""Networks: the operators' keys and the first registry that they sign. (Changing a network: a later issue.)"""

from __future__ import annotations

from collections.abc import Sequence

from timebank_contracts import canonical, dsse
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.registry import (
    FIRST_PREVIOUS,
    PAYLOAD_TYPE,
    Operators,
    RegisteredNode,
    Registry,
    open_registry,
)


def first_registry(network: str, nodes: Sequence[RegisteredNode], *, operators: Sequence[SigningKey], k: int) -> bytes:
    """Version 1 of a network's registry, signed by all operators given.

    Args:
        network: its DNS name.
        nodes: as their operators described them.
        operators: the operators' keys.
        k: how many of them must sign later versions.

    Returns:
        The DSSE envelope.

    Raises:
        Malformed: a key or node appears twice, or k is greater than the number of keys.
    """
    registry = Registry(
        protocol=1,
        network=network,
        version=1,
        previous=FIRST_PREVIOUS,
        operators=Operators(k=k, keys=[b64_encode(key.public) for key in operators]),
        nodes=list(nodes),
    )
    envelope = dsse.sign(canonical.encode(registry), payload_type=PAYLOAD_TYPE, keys=operators)
    open_registry(envelope, previous=None)
    return envelope
