"""Protocol versions side by side: which types of message each has, and which a town may send to a peer.

A town lists in the registry the versions that it speaks, the newest (N) and the one before (N−1) while peers upgrade. A
sender keeps to the highest version that both list: a newer town never sends an older one what would stop its stream.
Source: design page 2, "Entry and message"; PROTOCOL.md E9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from timebank_contracts.messages import MESSAGE_TYPES

TYPES_OF: Final[Mapping[int, frozenset[str]]] = {1: frozenset(MESSAGE_TYPES)}
"""Protocol version → the types of message that it has. A later version has its own line and takes none from this."""


def sendable_types(protocols: Iterable[int], *, types_of: Mapping[int, frozenset[str]] = TYPES_OF) -> frozenset[str]:
    """The types of the highest version that both speak; none when they share no version.

    Args:
        protocols: what the registry lists for the receiver.
        types_of: what the sender speaks.
    """
    shared = set(protocols) & set(types_of)
    return types_of[max(shared)] if shared else frozenset()
