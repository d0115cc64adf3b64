"""The next version of a network's registry: one change to the one in force. Pure; nothing is signed here.

Each function returns what changes (`Changed`); `follow` makes the next version of it. One version has one change, so
that an operator who signs can see at a glance what it does.
Source: design page 2, "Registry" and "What signs what"; PROTOCOL.md R1 to R3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from timebank_contracts import canonical
from timebank_contracts.errors import Malformed
from timebank_contracts.registry import Operators, RegisteredNode, Registry, Witness, read_registry

Change = Callable[[Registry], Registry]


def follow(registry: Registry, change: Change) -> Registry:
    """The version after `registry` with one change.

    Raises:
        Malformed: the change changes nothing, names what is not there, or gives a registry that cannot be.
    """
    changed = change(registry)
    if changed == registry:
        raise Malformed("This changes nothing in the registry in force.")
    following = msgspec.structs.replace(changed, version=registry.version + 1, previous=registry.sha256)
    return read_registry(canonical.encode(following))


def add_node(node: RegisteredNode) -> Change:
    """A town joins."""

    def change(registry: Registry) -> Registry:
        if registry.find(node.node) is not None:
            raise Malformed(f"{node.node} is in the network already.")
        return msgspec.structs.replace(registry, nodes=[*registry.nodes, node])

    return change


def set_state(node: str, state: Literal["open", "suspended", "closed"]) -> Change:
    """A town is suspended, opened again, or closed for ever."""

    def change(registry: Registry) -> Registry:
        if _named(registry, node).state == "closed":
            raise Malformed(f"{node} was closed for ever.")
        return _with(registry, node, state=state)

    return change


def set_field(node: str, **fields: Any) -> Change:
    """A node's URL, default limit (minutes), protocol versions or keys are others from now on."""
    return lambda registry: _with(registry, node, **fields)


def set_operators(*, add: str | None = None, remove: str | None = None, k: int | None = None) -> Change:
    """An operator's key (base64) comes or goes, or another number of them must sign."""

    def change(registry: Registry) -> Registry:
        keys = list(registry.operators.keys)
        if add is not None:
            keys.append(add)
        if remove is not None:
            if remove not in keys:
                raise Malformed("This key is no operator's of the registry in force.")
            keys.remove(remove)
        operators = Operators(k=registry.operators.k if k is None else k, keys=keys)
        return msgspec.structs.replace(registry, operators=operators)

    return change


def add_witness(witness: Witness) -> Change:
    """Somebody cosigns checkpoints from now on."""

    def change(registry: Registry) -> Registry:
        return msgspec.structs.replace(registry, witnesses=[*_witnesses(registry), witness])

    return change


def remove_witness(name: str) -> Change:
    """Somebody is no witness any more."""

    def change(registry: Registry) -> Registry:
        kept = [witness for witness in _witnesses(registry) if witness.name != name]
        if len(kept) == len(_witnesses(registry)):
            raise Malformed(f"{name} is no witness of the registry in force.")
        return msgspec.structs.replace(registry, witnesses=kept or UNSET)

    return change


def differences(before: Registry | None, after: Registry) -> list[str]:
    """What an operator reads before signing: a sentence for each thing that `after` says otherwise."""
    if before is None:
        return ["The first version: everything in it is new."]
    said = []
    if after.previous != before.sha256:
        said.append(f"It does NOT follow the document that it is compared with, {before.sha256}.")
    said += _of_operators(before.operators, after.operators)
    old, new = ({node.node: node for node in registry.nodes} for registry in (before, after))
    said += [f"{name} joins, at {new[name].url}." for name in new if name not in old]
    said += [f"{name} is taken out of the registry." for name in old if name not in new]
    for name in new:
        if name in old:
            said += _of_node(old[name], new[name])
    was, now = ({msgspec.json.encode(one).decode() for one in _witnesses(found)} for found in (before, after))
    said += [f"Witness gone: {one}" for one in sorted(was - now)] + [f"Witness new: {one}" for one in sorted(now - was)]
    return said or ["Nothing but its number."]


def _of_operators(before: Operators, after: Operators) -> list[str]:
    said = [f"Operator leaves: {key}" for key in before.keys if key not in after.keys]
    said += [f"Operator joins: {key}" for key in after.keys if key not in before.keys]
    if before.k != after.k:
        said.append(f"{after.k} operators sign instead of {before.k}.")
    return said


def _of_node(before: RegisteredNode, after: RegisteredNode) -> list[str]:
    fields = [name for name in RegisteredNode.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    return [f"{after.node}: {name} was {getattr(before, name)}, is {getattr(after, name)}" for name in fields]


def _named(registry: Registry, node: str) -> RegisteredNode:
    found = registry.find(node)
    if found is None:
        raise Malformed(f"{node} is not in the registry in force.")
    return found


def _with(registry: Registry, node: str, **fields: Any) -> Registry:
    changed = msgspec.structs.replace(_named(registry, node), **fields)
    nodes = [changed if one.node == node else one for one in registry.nodes]
    return msgspec.structs.replace(registry, nodes=nodes)


def _witnesses(registry: Registry) -> list[Witness]:
    return [] if registry.witnesses is UNSET else registry.witnesses
