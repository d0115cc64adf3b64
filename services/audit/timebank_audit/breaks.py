"""Where a town lost state and went on under its next generation: A28, beside what `past.py` and `streams.py` see of it.

The root of the prefix, and what peers were told of its size and root, are judged with the log's past; messages that a
peer applied and the town did not put back, with the streams. Here: the keys by which lost segments were believed, and
whether the peer's last word is what its own journal says.
Source: design page 2, "Rollback and generations"; decision 0010; PROTOCOL.md X7, X10.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from timebank_audit.codes import Verdict
from timebank_audit.findings import Findings
from timebank_audit.key_uses import EVENT
from timebank_audit.towns import Town
from timebank_contracts.keys import b64_decode
from timebank_contracts.names import parse_origin

ENTRIES_UNBOUNDED: Final = 2**53


def heir_of(origin: str, towns: Iterable[Town]) -> Town | None:
    """The town whose journal is this log, or holds what is left of it from an earlier generation; None: no town."""
    identity = parse_origin(origin)
    for town in towns:
        mine = town.identity
        if mine == identity:
            return town
        if mine._replace(generation=identity.generation) == identity and identity.generation in town.replay.book.began:
            return town
    return None


def kept_of(town: Town, generation: str) -> int:
    """How many entries that a generation of the town published its journal must hold still: what follows was lost."""
    began = town.replay.book.began
    if generation not in began:
        return 0
    later = [position for name, position in began.items() if position > began[generation]]
    return min(later, default=ENTRIES_UNBOUNDED)


def judge_breaks(sound: dict[str, Town], findings: Findings) -> None:
    """Judge every break of the sound towns.

    Args:
        sound: towns by name.
        findings: collects.
    """
    for town in sound.values():
        known = {key for one in sound.values() for key in one.registries.uses.held(town.node, EVENT)}
        for position, previous in town.replay.went_on:
            findings.examine("A28")
            strange = [key for key in previous.event_keys if b64_decode(key) not in known]
            if strange:
                findings.add(
                    "A28",
                    town=town.node,
                    place=f"entry {position}, {town.node} goes on from {previous.generation}",
                    expected=f"event keys that a registry version here gives {town.node}",
                    found=", ".join(strange),
                    verdict=Verdict.NOT_PROVEN,
                )
        for stream, said in town.replay.last_words.items():
            peer = sound.get(stream.peer)
            if peer is not None:
                _compare(town, peer, stream.generation, said, findings)


def _compare(town: Town, peer: Town, generation: str, said: int, findings: Findings) -> None:
    findings.examine("A28")
    known = peer.replay.book.peers.get(town.node)
    ending = None if known is None else known.endings.get(generation)
    if ending is not None and ending.n != said:
        findings.add(
            "A28",
            town=peer.node,
            place=f"{town.node} {generation} to {peer.node}",
            expected=f"{said} messages applied, as {peer.node} told {town.node}",
            found=f"{ending.n} by its own journal",
        )
