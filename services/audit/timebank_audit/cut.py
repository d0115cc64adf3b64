"""The greatest consistent cut: how far each journal can be read so that nobody heard what another did not yet say.

Exports are made at different moments. A journal that heard more than its peer's export holds, or got back what that
one has not applied yet, is shortened before the first such message; that shortens what it says itself, so others may
follow; the result is unique.
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
            changed = _put_back_too_much(sender, receiver, cut) or changed
    return cut


def _put_back_too_much(town: Town, peer: Town, cut: dict[str, int]) -> bool:
    """Shorten a town that has back what its peer, within the cut, has not applied yet."""
    changed = False
    for stream, restored in town.replay.restored.items():
        if stream.peer != peer.node:
            continue
        known = max(restored, peer.mark(StreamName(stream.generation, town.node), cut[peer.node]))
        if town.head(stream, cut[town.node]) > known:
            cut[town.node] = town.replay.out[stream][known]
            changed = True
    return changed
