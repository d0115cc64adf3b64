"""What a node asks of the network's operators, as a file that travels: to join, to leave, other event keys.

A request of a node that is in the registry is signed with the event key in force, or, after that key was stolen, by
nobody whom the registry knows: the operators must hear it from the node's operator by another way before they sign.
Source: design page 2, "What signs what"; PROTOCOL.md R1 to R3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from timebank_contracts import canonical, dsse
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import Network, Node, RawKey
from timebank_contracts.keys import SigningKey, b64_decode
from timebank_contracts.registry import RegisteredNode, Registry
from timebank_contracts.rules_generations import number_of
from timebank_node.registry_changes import Change, add_node, set_field, set_state

PAYLOAD_TYPE: Final = "application/vnd.timebank.request+json"
REQUEST_BYTES_MAX: Final = 16_384


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a node asks for."""

    network: Network
    node: Node
    kind: Literal["join", "leave", "rotate", "retire", "return"]
    described: RegisteredNode | UnsetType = UNSET
    """Of a node that joins, or comes back under another generation after it lost state."""
    event_keys: Annotated[list[RawKey], Meta(min_length=1, max_length=4)] | UnsetType = UNSET
    """Of one that changes its keys: those that it wants to be in force."""
    log_keys: Annotated[list[RawKey], Meta(min_length=1, max_length=4)] | UnsetType = UNSET
    """Likewise, of one that changes its log key."""
    topic: Annotated[str, Meta(max_length=249)] | UnsetType = UNSET
    """Its inbox at the network's broker."""


_decoder: Final = msgspec.json.Decoder(Request)


def sign_request(request: Request, keys: list[SigningKey]) -> bytes:
    """The request's file: a DSSE envelope."""
    return dsse.sign(canonical.encode(request), payload_type=PAYLOAD_TYPE, keys=keys)


def read_request(path: Path) -> tuple[Request, bytes]:
    """The request in a file and the file's bytes; raises `Malformed`."""
    envelope = path.read_bytes()
    payload = dsse.open_payload(envelope, payload_type=PAYLOAD_TYPE)
    return canonical.decode(payload, _decoder, bytes_max=REQUEST_BYTES_MAX), envelope


def change_of(request: Request, envelope: bytes, registry: Registry) -> Change:
    """The change of the registry that a request asks for.

    Raises:
        Malformed: it is of another network, is signed by none of the keys that should have, or lacks what it asks for.
    """
    if request.network != registry.network:
        raise Malformed(f"The request is of the network {request.network}, not {registry.network}.")
    if request.kind == "join":
        if request.described is UNSET or request.described.node != request.node:
            raise Malformed("A request to join describes its own node.")
        _check_signed(envelope, request.described.event_keys)
        return add_node(request.described)
    named = registry.find(request.node)
    if named is None:
        raise Malformed(f"{request.node} is not in the registry in force.")
    if request.kind == "leave":
        _check_signed(envelope, named.event_keys)
        return set_state(request.node, "closed")
    if request.kind == "rotate" and request.log_keys is not UNSET:
        _check_signed(envelope, named.event_keys)
        return set_field(request.node, log_keys=request.log_keys)
    if request.kind == "return":
        return _return(request, envelope, named)
    if request.event_keys is UNSET:
        raise Malformed("A request for other keys names them.")
    # After a theft the old key proves nothing, so the new one signs; who holds it, the operators ask by another way.
    _check_signed(envelope, named.event_keys if request.kind == "rotate" else request.event_keys)
    return set_field(request.node, event_keys=request.event_keys)


def _return(request: Request, envelope: bytes, named: RegisteredNode) -> Change:
    """A node that lost state goes on under its next generation. Whether it really lost it, the operators ask it."""
    if request.described is UNSET or request.described.node != request.node:
        raise Malformed("A request to return describes its own node.")
    described = request.described
    if number_of(described.generation) != number_of(named.generation) + 1:
        raise Malformed(f"{named.node} is at {named.generation}: only the next generation follows it.")
    _check_signed(envelope, [*named.event_keys, *described.event_keys])
    return set_field(
        named.node,
        generation=described.generation,
        event_keys=described.event_keys,
        log_keys=described.log_keys,
        url=described.url,
    )


def _check_signed(envelope: bytes, keys: list[str]) -> None:
    if not dsse.signers(envelope, [b64_decode(key) for key in keys]):
        raise Malformed("The request is not signed with the node's event key.")
