"""An agreed limit between two towns: one document, signed by both nodes with their event keys, made by both operators.

    one operator proposes ──▶ signed by that node ──▶ the other operator assents ──▶ signed by both: it counts at each
It counts at each town as that town's own limit (`peer.changed`), so the network's limit still bounds it.
Source: design page 2, "Signs, limits, identities"; PROTOCOL.md R10.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from timebank_contracts import canonical, dsse
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import Ceiling, Network, Node, Time
from timebank_contracts.keys import SigningKey, b64_decode
from timebank_contracts.registry import Registry

PAYLOAD_TYPE: Final = "application/vnd.timebank.limit+json"
AGREEMENT_BYTES_MAX: Final = 4_096


class LimitAgreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two towns and what either may owe the other, in minutes."""

    network: Network
    towns: Annotated[list[Node], Meta(min_length=2, max_length=2)]
    """In alphabetical order."""
    limit: Ceiling
    proposed_at: Time
    """A later agreement of the same towns replaces an earlier one, and never the other way."""
    proposed_by: Node


_decoder: Final = msgspec.json.Decoder(LimitAgreement)


def sign_agreement(agreement: LimitAgreement, key: SigningKey) -> bytes:
    """The proposal, signed by the town that makes it."""
    return dsse.sign(canonical.encode(agreement), payload_type=PAYLOAD_TYPE, keys=[key])


def read_agreement(envelope: bytes) -> LimitAgreement:
    """What an envelope says, whoever signed it; raises `Malformed`."""
    if len(envelope) > AGREEMENT_BYTES_MAX:
        raise Malformed(f"An agreement has at most {AGREEMENT_BYTES_MAX} bytes.")
    payload = dsse.open_payload(envelope, payload_type=PAYLOAD_TYPE)
    found = canonical.decode(payload, _decoder, bytes_max=AGREEMENT_BYTES_MAX)
    if found.towns != sorted(set(found.towns)) or found.proposed_by not in found.towns:
        raise Malformed("An agreement names two towns in alphabetical order, of which one proposes.")
    return found


def assenting(envelope: bytes, registry: Registry) -> frozenset[str]:
    """Those of the two towns whose event key in this registry signed; raises `Malformed`."""
    agreement = read_agreement(envelope)
    if agreement.network != registry.network:
        raise Malformed(f"The agreement is of the network {agreement.network}, not {registry.network}.")
    found = set()
    for town in agreement.towns:
        node = registry.find(town)
        if node is None or node.state == "closed":
            raise Malformed(f"{town} is not in the registry in force, or closed.")
        if dsse.signers(envelope, [b64_decode(key) for key in node.event_keys]):
            found.add(town)
    return frozenset(found)
