"""The test network of a run: its operator, its towns and what each is for, its registry's versions. Pure.

    kit-main         what is good: transfers, cuts, claims           kit-next       comes back as another generation
    kit-poor         a limit of one hour                             kit-closed     is closed for ever
    kit-away         suspended from the start                        kit-rotate     changes its event key
    kit-unknown      says a type of a later version                  kit-late       is bad behind a good message
    kit-hostile-1 …  segments that have no effect                    kit-breach-1 … one breach of the contract each

Source: PROTOCOL.md R1 to R3, R8, X2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from timebank_conformance.breaches import BREACHES
from timebank_conformance.towns import KitTown
from timebank_contracts import canonical, dsse
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import KEY_BYTES, SigningKey, b64_encode
from timebank_contracts.moments import show_time
from timebank_contracts.names import Identity
from timebank_contracts.registry import FIRST_PREVIOUS, PAYLOAD_TYPE, Operators, RegisteredNode, Registry
from timebank_kit.clock import Clock

HOSTILE_TOWNS: Final = 6
POOR_LIMIT_MINUTES: Final = 60
GOOD_LIMIT_MINUTES: Final = 2_000
NAMED: Final = ("main", "poor", "away", "unknown", "late", "next", "closed", "rotate")
Random = Callable[[int], bytes]


def town_names() -> list[str]:
    """The towns that the kit plays."""
    hostile = [f"hostile-{number}" for number in range(1, HOSTILE_TOWNS + 1)]
    breaches = [f"breach-{number}" for number in range(1, len(BREACHES) + 1)]
    return [f"kit-{name}" for name in (*NAMED, *hostile, *breaches)]


@dataclass(kw_only=True)
class KitNetwork:
    """The operator's key, the towns with their seeds, and every version of the registry."""

    network: str
    described: RegisteredNode
    """The node under test."""
    operator: SigningKey
    stranger: SigningKey
    """A key that no registry names."""
    towns: dict[str, KitTown]
    seeds: dict[str, bytes]
    new_seed: bytes
    """Of the key to which `kit-rotate` changes."""
    registries: list[Registry] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """The origin of the node under test."""
        return f"{self.network}/{self.described.node}/{self.described.generation}"

    def envelope(self, registry: Registry, *keys: SigningKey) -> bytes:
        """A registry, signed by its operator unless other keys are named."""
        return dsse.sign(canonical.encode(registry), payload_type=PAYLOAD_TYPE, keys=keys or (self.operator,))

    def following(self, **changes: dict[str, Any]) -> Registry:
        """The version after the latest; `changes` by town, `kit_rotate={"event_keys": […]}`."""
        last = self.registries[-1]
        by_name = {name.replace("_", "-"): fields for name, fields in changes.items()}
        nodes = [msgspec.structs.replace(node, **by_name.get(node.node, {})) for node in last.nodes]
        return msgspec.structs.replace(last, version=last.version + 1, previous=last.sha256, nodes=nodes)


def make_network(network: str, described: RegisteredNode, *, url: str, random: Random, clock: Clock) -> KitNetwork:
    """A fresh test network, with version 1 of its registry.

    Args:
        network: its DNS name, which the node under test was made for.
        described: the node under test, as its operator describes it.
        url: where the node reaches the kit.
        random: gives so many random bytes.
        clock: for the messages' times.

    Raises:
        Malformed: the node is called like a town of the kit.
    """
    names = town_names()
    if described.node in names:
        raise Malformed(f"The node under test is called {described.node}, as a town of the kit; make it anew.")
    node = Identity(network, described.node, described.generation)
    seeds = {name: random(KEY_BYTES) for name in names}
    towns = {
        name: KitTown(
            identity=Identity(network, name, "g1"),
            node=node,
            key=SigningKey(seeds[name]),
            clock=lambda: show_time(clock.now()),
        )
        for name in names
    }
    made = KitNetwork(
        network=network,
        described=described,
        operator=SigningKey(random(KEY_BYTES)),
        stranger=SigningKey(random(KEY_BYTES)),
        towns=towns,
        seeds=seeds,
        new_seed=random(KEY_BYTES),
    )
    nodes = [described, *(_described(towns[name], SigningKey(random(KEY_BYTES)), url=url) for name in names)]
    made.registries.append(
        Registry(
            protocol=1,
            network=network,
            version=1,
            previous=FIRST_PREVIOUS,
            operators=Operators(k=1, keys=[b64_encode(made.operator.public)]),
            nodes=nodes,
        )
    )
    return made


def _described(town: KitTown, log_key: SigningKey, *, url: str) -> RegisteredNode:
    return RegisteredNode(
        node=town.name,
        generation=town.identity.generation,
        state="suspended" if town.name == "kit-away" else "open",
        event_keys=[b64_encode(town.key.public)],
        log_keys=[b64_encode(log_key.public)],
        protocols=[1],
        url=url,
        limit=POOR_LIMIT_MINUTES if town.name == "kit-poor" else GOOD_LIMIT_MINUTES,
    )
