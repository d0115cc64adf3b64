"""What each key is for. A key serves one holder and one use, in one registry version and over all of them.

Source: design page 2, "What signs what"; PROTOCOL.md R2.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import UNSET

from timebank_contracts.keys import b64_decode, key_id
from timebank_contracts.registry import Registry

EVENT: Final = "signs segments"
LOG: Final = "signs checkpoints"
OPERATOR: Final = "signs registries"
WITNESS: Final = "cosigns checkpoints"


class Use(NamedTuple):
    """Who holds a key, and what it is for."""

    holder: str
    use: str

    def __str__(self) -> str:
        return f"the key of {self.holder} that {self.use}"


class KeyUses:
    """Every key of every accepted registry version; their number is bounded by the registries."""

    def __init__(self) -> None:
        self._uses: dict[bytes, Use] = {}
        self._by_id: dict[str, bytes] = {}

    def take(self, registry: Registry) -> list[tuple[Use, Use]]:
        """Note a version's keys; returns those that had another holder or use before, as (before, now)."""
        changed = []
        for key, use in uses_of(registry):
            before = self._uses.setdefault(key, use)
            self._by_id[key_id(key)] = key
            if before != use:
                changed.append((before, use))
        return changed

    def held(self, holder: str, use: str) -> list[bytes]:
        """The raw keys of a holder for a use, those of earlier versions too."""
        return [key for key, found in self._uses.items() if found == (holder, use)]

    def of(self, key: bytes) -> Use | None:
        """What a raw key is for, or None for an unknown one."""
        return self._uses.get(key)

    def of_id(self, name: str) -> Use | None:
        """What the key with this id is for, or None for an unknown one."""
        key = self._by_id.get(name)
        return None if key is None else self._uses[key]


def uses_of(registry: Registry) -> list[tuple[bytes, Use]]:
    """Every key of a registry version, raw, with its use."""
    found = [(key, Use("an operator", OPERATOR)) for key in registry.operators.keys]
    for node in registry.nodes:
        found += [(key, Use(node.node, EVENT)) for key in node.event_keys]
        found += [(key, Use(node.node, LOG)) for key in node.log_keys]
    witnesses = [] if registry.witnesses is UNSET else registry.witnesses
    found += [(witness.key, Use(f"the witness {witness.name}", WITNESS)) for witness in witnesses]
    return [(b64_decode(key), use) for key, use in found]
