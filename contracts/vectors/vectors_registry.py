"""Vectors of the registry: two versions, and documents that no node may accept after the first."""

from __future__ import annotations

from typing import Any

import msgspec

from contracts.vectors import edwards
from contracts.vectors.paper_town import NETWORK, make_key
from contracts.vectors.vectors_bytes import Case, b64
from timebank_contracts import canonical, dsse
from timebank_contracts.keys import SigningKey, b64_encode, key_id
from timebank_contracts.registry import FIRST_PREVIOUS, PAYLOAD_TYPE, Operators, RegisteredNode, Registry

OPERATORS = [make_key(f"operator {n}") for n in range(1, 6)]


def make_node(node: str, *, key: str = "event key", limit: int = 3000) -> RegisteredNode:
    """A node of the registry, its keys made from its name."""
    return RegisteredNode(
        node=node,
        generation="g1",
        state="open",
        event_keys=[b64_encode(make_key(f"{node} {key}").public)],
        log_keys=[b64_encode(make_key(f"{node} log key").public)],
        protocols=[1],
        url=f"https://{node}.example",
        limit=limit,
    )


def make_first() -> Registry:
    """Version 1: two of three operators sign for Aberdare and Barry."""
    return Registry(
        protocol=1,
        network=NETWORK,
        version=1,
        previous=FIRST_PREVIOUS,
        operators=_operators(2, OPERATORS[:3]),
        nodes=[make_node("aberdare"), make_node("barry")],
    )


def make_second(first: Registry) -> Registry:
    """Version 2: another three operators, of whom one stays, and Caernarfon."""
    operators = _operators(2, OPERATORS[2:])
    nodes = [*first.nodes, make_node("caernarfon")]
    return msgspec.structs.replace(first, version=2, previous=first.sha256, operators=operators, nodes=nodes)


def _operators(k: int, keys: list[SigningKey]) -> Operators:
    return Operators(k=k, keys=[b64_encode(key.public) for key in keys])


def sign(registry: Registry, *signers: int) -> bytes:
    """The envelope, signed by the operators of these numbers (from 1)."""
    keys = [OPERATORS[number - 1] for number in signers]
    return dsse.sign(canonical.encode(registry), payload_type=PAYLOAD_TYPE, keys=keys)


def registry_vectors() -> dict[str, Any]:
    first = make_first()
    second = make_second(first)
    return {
        "pair_limit": {"aberdare": {"barry": first.pair_limit("aberdare", "barry")}},
        "first": {"envelope": b64(sign(first, 1, 2)), "sha256": first.sha256},
        "second": {"envelope": b64(sign(second, 1, 2, 3, 4)), "sha256": second.sha256},
        "first_cases": _first_cases(first),
        "second_cases": _second_cases(first, second),
    }


def _twice(envelope: bytes) -> bytes:
    """The first signature once more, under the second operator's id."""
    opened = msgspec.json.decode(envelope)
    again = {"keyid": key_id(OPERATORS[1].public), "sig": opened["signatures"][0]["sig"]}
    return canonical.encode({**opened, "signatures": [*opened["signatures"], again]})


def _first_cases(first: Registry) -> list[Case]:
    """Documents judged without a predecessor."""

    def bad(**change: Any) -> bytes:
        return sign(msgspec.structs.replace(first, **change), 1, 2)

    def node(**change: Any) -> bytes:
        return bad(nodes=[msgspec.structs.replace(first.nodes[0], **change), first.nodes[1]])

    aberdare, barry = first.nodes
    weak = b64_encode(bytes.fromhex(edwards.SMALL_ORDER[4]))
    cases = {
        "one-signature-of-two": sign(first, 1),
        "one-key-under-two-ids": _twice(sign(first, 1)),
        "one-operator-twice": sign(first, 1, 1),
        "a-stranger-as-second": sign(first, 1, 4),
        "version-2-as-first": bad(version=2),
        "a-predecessor-of-the-first": bad(previous="ab" * 32),
        "a-key-for-two-uses": node(log_keys=aberdare.event_keys),
        "a-key-for-two-nodes": node(event_keys=barry.event_keys),
        "an-operators-key-for-a-node": node(event_keys=[first.operators.keys[0]]),
        "a-weak-key": node(event_keys=[weak]),
        "a-node-twice": bad(nodes=[aberdare, barry, make_node("barry", key="another event key")]),
        "k-above-the-keys": bad(operators=_operators(4, OPERATORS[:3])),
        "another-payload-type": dsse.sign(canonical.encode(first), payload_type="text/plain", keys=OPERATORS[:2]),
        "no-url": node(url="ftp://aberdare.example"),
    }
    return [{"name": "valid", "envelope": b64(sign(first, 1, 3)), "valid": True}] + [
        {"name": name, "envelope": b64(raw), "valid": False} for name, raw in cases.items()
    ]


def _second_cases(first: Registry, second: Registry) -> list[Case]:
    """Documents judged as the successor of version 1."""
    other = msgspec.structs.replace(first, nodes=[make_node("aberdare", limit=1), make_node("barry")])
    cases = {
        "not-enough-of-the-old-operators": sign(second, 1, 4, 5),
        "not-enough-of-its-own-operators": sign(second, 1, 2, 3),
        "a-fork": sign(msgspec.structs.replace(second, previous=other.sha256), 1, 2, 3, 4),
        "the-first-again": sign(first, 1, 2),
        "a-version-left-out": sign(msgspec.structs.replace(second, version=3), 1, 2, 3, 4),
        "another-network": sign(msgspec.structs.replace(second, network="timebank.example"), 1, 2, 3, 4),
    }
    return [{"name": "valid", "envelope": b64(sign(second, 1, 3, 4)), "valid": True}] + [
        {"name": name, "envelope": b64(raw), "valid": False} for name, raw in cases.items()
    ]
