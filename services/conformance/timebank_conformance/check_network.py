"""A network's life: newer registries are fetched and verified, keys change, a generation ends, a town is closed.

Source: PROTOCOL.md R2 to R8, X2 to X4.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec

from timebank_conformance.check_public import NOT_LET_IN, check_registry_served
from timebank_conformance.session import Session, decision
from timebank_conformance.towns import KitTown
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.registry import Registry

WEAK_KEY: Final = bytes([1]) + bytes(31)
"""The neutral point: of small order."""


def check_rotation(session: Session) -> None:
    """Version 2 names two keys of a town: a segment under the new one is taken."""
    network, expect, town = session.network, session.findings.expect, session.town("rotate")
    new = SigningKey(network.new_seed)
    keys = [b64_encode(town.key.public), b64_encode(new.public)]
    if not _publish(session, network.following(kit_rotate={"event_keys": keys})):
        session.findings.skip("R8", "The node does not hold version 2 of the registry.")
        return
    town.key = new
    town.send(1)
    session.settle("rotate")
    heard = session.heard(town)
    expect("R8 R4 S5", "a segment under the new key", heard == 1, expected="heard = 1", found=heard)


def check_false_registries(session: Session) -> None:
    """What is not signed as the version before demands, or follows another, stays out."""
    network = session.network
    good = network.following()
    cases = {
        "signed by a stranger": network.envelope(good, network.stranger),
        "of another predecessor": network.envelope(msgspec.structs.replace(good, previous="1" * 64)),
        "with a node twice": network.envelope(msgspec.structs.replace(good, nodes=[*good.nodes, good.nodes[-1]])),
        "with a weak key": network.envelope(_with_event_keys(good, [b64_encode(WEAK_KEY)])),
        "with a key of a node twice": network.envelope(_with_event_keys(good, good.nodes[-2].event_keys)),
    }
    rules = {"signed by a stranger": "R3", "of another predecessor": "R3", "with a weak key": "G1"}
    for what, envelope in cases.items():
        session.stage.registries[good.version] = envelope
        is_fetched = _tell(session, good.version)
        del session.stage.registries[good.version]
        number = rules.get(what, "R2")
        if not is_fetched:
            session.findings.skip(number, f"The node did not ask for version {good.version} in time.")
            return
        answer = session.door.registry(good.version)
        is_so = answer.status_code == HTTPStatus.NOT_FOUND
        session.findings.expect(
            f"{number} R7", f"a registry {what}", is_so, expected="not taken: 404", found=answer.status_code
        )


def _with_event_keys(registry: Registry, keys: list[str]) -> Registry:
    changed = msgspec.structs.replace(registry.nodes[-1], event_keys=keys)
    return msgspec.structs.replace(registry, nodes=[*registry.nodes[:-1], changed])


def _tell(session: Session, version: int) -> bool:
    """Name a version in a statement, and wait until the node has asked for it."""
    town, count = session.town("rotate"), len(session.stage.asked_registries)
    town.registry = version

    def is_asked() -> bool:
        return version in session.stage.asked_registries[count:]

    found = session.wait(is_asked, seconds=session.bounds.registry_seconds)
    session.settle("rotate")
    town.registry = session.network.registries[-1].version
    return found


def _publish(session: Session, registry: Registry) -> bool:
    """Let the node hear of the next version; says whether it serves it."""
    session.network.registries.append(registry)
    session.stage.registries[registry.version] = session.network.envelope(registry)
    for town in session.network.towns.values():
        town.registry = registry.version

    def is_held() -> bool:
        return session.door.registry(registry.version).status_code == HTTPStatus.OK

    is_so = session.wait(is_held, seconds=session.bounds.registry_seconds)
    what = "a newer registry is fetched"
    expected = f"version {registry.version} served in time"
    session.findings.expect("R3 R7", what, is_so, expected=expected, found="not served")
    if is_so:
        check_registry_served(session)
    return is_so


def check_changes(session: Session) -> None:
    """Version 3: a key is retired, a generation closed for the next, a town closed for ever."""
    network, findings = session.network, session.findings
    rotate, after, closed = (session.town(name) for name in ("rotate", "next", "closed"))
    old_key = SigningKey(network.seeds[rotate.name])
    first = after.send(1)
    session.settle("next")
    had = session.heard(after)
    findings.expect("S7 N3", "the first generation's message", had == 1, expected="heard = 1", found=had)
    registry = network.following(
        kit_rotate={"event_keys": [b64_encode(rotate.key.public)]},
        kit_next={"generation": "g2"},
        kit_closed={"state": "closed"},
    )
    if not _publish(session, registry):
        findings.skip("R4 R8 X2 X3 X4", "The node does not hold version 3 of the registry.")
        return
    high = session.heard(rotate)
    session.serve({rotate.name: [rotate.forged([rotate.sent(1)], key=old_key)]})
    heard = session.heard(rotate)
    findings.expect("R5 R8 S5", "a segment under a retired key", heard == high, expected=f"heard = {high}", found=heard)
    _check_closed(session, closed)
    _check_next(session, after, first)


def _check_closed(session: Session, closed: KitTown) -> None:
    answer = session.door.stream(closed, 0, token=session.door.token(closed, session.seed(closed)))
    is_so = answer.status_code in NOT_LET_IN
    what = "a token of a town that is closed for ever"
    session.findings.expect("R4", what, is_so, expected="401 or 403", found=answer.status_code)


def _check_next(session: Session, town: KitTown, first: str) -> None:
    """The old generation's stream is over; the next begins at its own chain and may say again what was lost."""
    findings = session.findings
    lost = town.transfer_id(2)
    old = town.forged([town.sent(5)])
    town.identity = town.identity._replace(generation="g2")
    town.said.clear()
    session.serve({town.name: [old]})
    heard = session.heard(town)
    is_so = heard == 0 and not decision(town, lost)
    findings.expect("X2", "a segment of the closed generation", is_so, expected="no effect", found=f"heard = {heard}")
    is_so = town.answers == "g2"
    findings.expect("X3", "statements answer the next generation", is_so, expected="g2", found=town.answers)
    town.say(town.sent(5, transfer=lost))
    session.settle("next")
    heard, found = session.heard(town), decision(town, lost)
    is_so = (heard, found) == (1, "received")
    findings.expect("X3 X4", "what was lost is said again", is_so, expected="received", found=(heard, found))
    town.say(town.sent(5, transfer=first))
    session.settle("next")
    heard = session.heard(town)
    what = "what happened is not said again"
    findings.expect("X4 S9", what, heard == 1, expected="heard = 1", found=heard)
