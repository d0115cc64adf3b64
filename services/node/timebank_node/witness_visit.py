"""A look at the witnesses of a node's log: does the registry name some, does each answer, what did it cosign, when?

Nothing is asked but what anybody may ask; a witness that is away is its operator's matter, that all are is ours.
Source: PROTOCOL.md V4, V5; deploy/runbooks/witness.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from timebank_contracts.checkpoint import open_checkpoint, open_cosignatures
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode, b64_encode
from timebank_contracts.note import COSIGNATURE, VerifierKey
from timebank_contracts.registry import Registry, Witness
from timebank_federation.witness import log_keys_of, registered_witnesses
from timebank_federation.witness_door import WitnessDoor
from timebank_federation.witnessing import ASK_SECONDS_MAX
from timebank_kit.clock import Clock
from timebank_node.home import Home

LATE_SECONDS: Final = 2 * ASK_SECONDS_MAX
"""A running node asks twice in it, however quiet it is."""


class WitnessVisitor:
    """Looks at the witnesses of one home.

    Args:
        home: opened.
        registry: the latest that it holds.
        door: the way to witnesses.
        clock: this machine's.
        runs: whether the node answers.
        length: entries in its journal, where that is known.
    """

    def __init__(
        self, home: Home, registry: Registry, *, door: WitnessDoor, clock: Clock, runs: bool, length: int | None
    ) -> None:
        self._home = home
        self._registry = registry
        self._door = door
        self._clock = clock
        self._runs = runs
        self._length = length

    def look(self) -> Iterator[tuple[str, str]]:
        """A verdict and a sentence: for the registry's choice, then for each witness but this node itself."""
        named = registered_witnesses(self._registry)
        if not named:
            yield "-", "The registry names none: the operators add one (deploy/runbooks/witness.md)."
            return
        addresses = {node.url.rstrip("/") for node in self._registry.nodes}
        if all(one.url.rstrip("/") in addresses for one in named):
            yield "CHANGE", "Every witness is a town: add one that is none (deploy/runbooks/witness.md)."
        key = self._home.witness_key
        own = None if key is None else b64_encode(key.public)
        seen = [self._one(one) for one in named if one.key != own]
        nobody = len(seen) > 1 and all(verdict == "-" for verdict, _ in seen)
        yield from seen
        if nobody:
            yield "CHANGE", "No witness shows what it cosigned: is this log new, or this machine's way out closed?"

    def _one(self, witness: Witness) -> tuple[str, str]:
        note = self._door.witnessed(witness, self._home.identity.origin)
        if note is None:
            return "-", f"{witness.name} does not answer at {witness.url}, or has cosigned nothing of this log yet."
        key = VerifierKey(witness.name, b64_decode(witness.key), COSIGNATURE)
        for log_key in log_keys_of(self._registry, self._home.identity.origin):
            try:
                size, at_seconds = open_checkpoint(note, log_key).size, open_cosignatures(note, log_key, [key])[key]
            except (Malformed, KeyError):
                continue
            return self._judge(witness, size, at_seconds)
        return "CHANGE", f"{witness.name} shows a checkpoint that it or this log did not sign: call whoever runs it."

    def _judge(self, witness: Witness, size: int, at_seconds: int) -> tuple[str, str]:
        # A running node writes on while it is looked at; it finds out by itself.
        if not self._runs and self._length is not None and size > self._length:
            return "CHANGE", f"{witness.name} cosigned {size} entries, the journal has {self._length}: timebank restore"
        age = max(0, int(self._clock.now().timestamp()) - at_seconds)
        said = f"{witness.name} cosigned {size} entries {age} s ago"
        if self._runs and age > LATE_SECONDS:
            return "CHANGE", f"{said}, and should every hour: timebank status says what it answers."
        return "FINE", f"{said}."
