"""The greatest consistent cut: how far each journal can be read so that nobody heard what another did not yet say.

Exports are made at different moments. A journal that heard more than its peer's export holds is shortened before the
first such message; that shortens what it says itself, so others may follow; the result is unique.
Source: design page 2, "Signs, limits, identities"; PROTOCOL.md I2.
"""

from __future__ import annotations

from itertools import permutations

from timebank_audit.towns import Town
from timebank_contracts.cut import StreamName


def greatest_cut(towns: dict[str, Town]) -> dict[str, int]:
    """The number of entries of each town, by name, that lie within the cut."""
    cut = {name: town.size for name, town in towns.items()}
    streams = list(permutations(towns.values(), 2))
    changed = True
    while changed:
        changed = False
        for sender, receiver in streams:
            for stream, applied in receiver.replay.in_.items():
                if stream.peer != sender.node:
                    continue
                head = sender.head(StreamName(stream.generation, receiver.node), cut[sender.node])
                if receiver.mark(stream, cut[receiver.node]) > head:
                    # Each turn shortens a journal, so this ends.
                    cut[receiver.node] = applied[head]
                    changed = True
    return cut
