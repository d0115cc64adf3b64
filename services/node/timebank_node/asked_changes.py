"""From the words of `timebank network propose` to a change of the registry."""

from __future__ import annotations

from pathlib import Path

from timebank_contracts.errors import Malformed
from timebank_contracts.registry import Registry, Witness
from timebank_node.home import read_description
from timebank_node.registry_changes import (
    Change,
    add_node,
    add_witness,
    remove_witness,
    set_field,
    set_operators,
    set_state,
)
from timebank_node.requests import change_of, read_request

__all__ = [
    "address",
    "joining",
    "limit",
    "protocols",
    "remove_witness",
    "requested",
    "set_operators",
    "set_state",
    "witness",
]


def requested(file: Path, registry: Registry) -> Change:
    """What a node's request file asks for."""
    request, envelope = read_request(file)
    return change_of(request, envelope, registry)


def joining(file: Path, registry: Registry) -> Change:
    """A node joins, as its `node.json` describes it."""
    network, node = read_description(file)
    if network != registry.network:
        raise Malformed(f"{file} is of the network {network}, not {registry.network}.")
    return add_node(node)


def limit(words: str) -> Change:
    """`barry=100`: in hours."""
    node, hours = _pair(words, "barry=100")
    if not hours.isdecimal() or len(hours) > 6:
        raise Malformed(f"A limit is a whole number of hours, such as barry=100, not {words!r}.")
    return set_field(node, limit=int(hours) * 60)


def address(words: str) -> Change:
    """`barry=https://barry.example`."""
    node, url = _pair(words, "barry=https://barry.example")
    return set_field(node, url=url)


def protocols(words: str) -> Change:
    """`barry=1,2`."""
    node, listed = _pair(words, "barry=1,2")
    numbers = listed.split(",")
    if not all(number.isdecimal() and len(number) <= 4 for number in numbers):
        raise Malformed(f"Protocol versions are numbers, such as barry=1,2, not {words!r}.")
    return set_field(node, protocols=sorted({int(number) for number in numbers}))


def witness(words: str) -> Change:
    """`name=key@url`."""
    name, rest = _pair(words, "witness.example/w1=KEY@https://witness.example")
    key, _, url = rest.partition("@")
    return add_witness(Witness(name=name, key=key, url=url))


def _pair(words: str, example: str) -> tuple[str, str]:
    name, equals, value = words.partition("=")
    if not (name and equals and value):
        raise Malformed(f"Write it as {example}, not {words!r}.")
    return name, value
