"""With which of its event keys a node signs: those that the registry in force names, and no other.

    in force names   old          old and new     new            neither
    statements       old          new             new            none are sent
    node tokens      old          old             new            the first (its own ledger knows it)

So a rotation is a registry with both, which every peer comes to hold at its own time, then one without the old. Tokens
change last: a peer without the newer registry would turn the new key away, where a segment tells it to fetch.
Source: design page 2, "What signs what"; PROTOCOL.md R8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.registry import Registry
from timebank_contracts.tokens import TokenKey


class KeyNotRegistered(Exception):
    """The registry in force names none of the node's event keys: it can sign nothing that a peer would believe."""


class OwnKeys:
    """A node's event keys, oldest first.

    Args:
        node: its name.
        seeds: 1 or 2, of 32 bytes.
        registry: gives the registry in force.
    """

    def __init__(self, *, node: str, seeds: Sequence[bytes], registry: Callable[[], Registry | None]) -> None:
        assert seeds, "a node has an event key"
        self._node = node
        self._keys = [SigningKey(seed) for seed in seeds]
        self._tokens = [TokenKey(seed, key.public) for seed, key in zip(seeds, self._keys, strict=True)]
        self._public = [b64_encode(key.public) for key in self._keys]
        self._registry = registry

    def signing(self) -> SigningKey | None:
        """The newest key in force, which signs statements; None: there is none."""
        named = self._named()
        return self._keys[named[-1]] if named else None

    def token(self) -> TokenKey:
        """The oldest key in force, which signs node tokens."""
        return self._tokens[(self._named() or [0])[0]]

    def _named(self) -> list[int]:
        registry = self._registry()
        if registry is None:
            return [0]
        found = registry.find(self._node)
        keys = [] if found is None else found.event_keys
        return [number for number, public in enumerate(self._public) if public in keys]
