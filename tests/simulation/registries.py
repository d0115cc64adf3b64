"""The network's registry in the simulation: versions signed by two of three operators, with keys from fixed seeds."""

from __future__ import annotations

from functools import cache
from hashlib import sha256

import msgspec

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

NETWORK = "timebank.example"


@cache
def key_of(name: str) -> SigningKey:
    """A key made from a name: the same in every run."""
    return SigningKey(sha256(name.encode()).digest())


def public(name: str) -> str:
    """The base64 of a named key's public part, as a registry holds it."""
    return b64_encode(key_of(name).public)


OPERATORS = ("operator 1", "operator 2", "operator 3")


class Registries:
    """The chain of versions; every version is opened by the contracts before anybody uses it."""

    def __init__(self, towns: list[str], *, limit: int) -> None:
        self.versions: list[Registry] = []
        self.envelopes: list[bytes] = []
        self.event_keys: dict[str, list[str]] = {town: [f"{town} event 1"] for town in towns}
        self._by_public = {public(name): key_of(name) for names in self.event_keys.values() for name in names}
        nodes = [
            RegisteredNode(
                node=town,
                generation="g1",
                state="open",
                event_keys=[public(f"{town} event 1")],
                log_keys=[public(f"{town} log")],
                protocols=[1],
                url=f"https://{town}.example",
                limit=limit,
            )
            for town in towns
        ]
        operators = Operators(k=2, keys=[public(name) for name in OPERATORS])
        self._add(
            Registry(protocol=1, network=NETWORK, version=1, previous=FIRST_PREVIOUS, operators=operators, nodes=nodes)
        )

    @property
    def latest(self) -> Registry:
        """The newest version."""
        return self.versions[-1]

    def of_version(self, version: int) -> Registry:
        """Version 1, 2, …"""
        return self.versions[version - 1]

    def change(self, town: str, **changes: object) -> None:
        """A new version in which one node differs."""
        latest = self.latest
        nodes = [msgspec.structs.replace(node, **changes) if node.node == town else node for node in latest.nodes]
        self._add(
            msgspec.structs.replace(latest, version=latest.version + 1, previous=latest.sha256, nodes=nodes),
        )

    def retired_keys(self, town: str, version: int) -> list[str]:
        """The names of keys that the town has had and that are in force no more by this version."""
        node = self.of_version(version).find(town)
        assert node is not None
        number = min(n for n in range(1, version + 1) if public(f"{town} event {n}") in node.event_keys)
        return [f"{town} event {n}" for n in range(1, number)]

    def next_generation(self, town: str) -> str:
        """The town lost state: one version closes its generation and names the next, with a new key."""
        latest = self.latest.find(town)
        assert latest is not None
        generation = f"g{int(latest.generation[1:]) + 1}"
        number = int(self.event_keys[town][-1].rsplit(" ", 1)[1]) + 1
        name = f"{town} event {number}"
        self.event_keys[town] = [name]
        self._by_public[public(name)] = key_of(name)
        log_keys = [public(f"{town} log {generation}")]
        self.change(town, generation=generation, event_keys=[public(name)], log_keys=log_keys)
        return generation

    def replace_key(self, town: str) -> None:
        """The key was stolen: one version has the new one instead of it."""
        self.add_key(town)
        self.retire_key(town)

    def add_key(self, town: str) -> None:
        """First half of a rotation: the town's old and new key are both in force."""
        names = self.event_keys[town]
        number = int(names[-1].rsplit(" ", 1)[1]) + 1
        self._set_keys(town, [names[-1], f"{town} event {number}"])

    def retire_key(self, town: str) -> None:
        """Second half: only the newest key stays."""
        self._set_keys(town, self.event_keys[town][-1:])

    def signing_key(self, town: str, version: int) -> SigningKey:
        """The key with which a town signs while it holds this version: the newest of its own."""
        node = self.of_version(version).find(town)
        assert node is not None
        return self._by_public[node.event_keys[-1]]

    def _set_keys(self, town: str, names: list[str]) -> None:
        self.event_keys[town] = names
        self._by_public.update({public(name): key_of(name) for name in names})
        self.change(town, event_keys=[public(name) for name in names])

    def _add(self, registry: Registry) -> None:
        signers = [key_of(name) for name in OPERATORS[:2]]
        envelope = dsse.sign(canonical.encode(registry), payload_type=PAYLOAD_TYPE, keys=signers)
        previous = self.versions[-1] if self.versions else None
        self.envelopes.append(envelope)
        self.versions.append(open_registry(envelope, previous=previous))
