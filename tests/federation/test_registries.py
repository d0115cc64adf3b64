"""The registry documents of a node: in order, verified, pinned, never two of one version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.federation.towns import OPERATORS, changed, signed
from timebank_contracts import canonical, dsse
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.registry import PAYLOAD_TYPE, RegisteredNode, Registry, open_registry
from timebank_federation.registries import Fork, Registries
from timebank_node.network import first_registry


def node(name: str, number: int) -> RegisteredNode:
    event, log = (b64_encode(SigningKey(bytes([number, use]) * 16).public) for use in (1, 2))
    return RegisteredNode(
        node=name,
        generation="g1",
        state="open",
        event_keys=[event],
        log_keys=[log],
        protocols=[1],
        url=f"https://{name}.example",
        limit=600,
    )


FIRST = first_registry("timebank.example", [node("aberdare", 1), node("barry", 2)], operators=OPERATORS, k=2)


def opened(envelope: bytes, previous: Registry | None = None) -> Registry:
    return open_registry(envelope, previous=previous)


SECOND = signed(changed(opened(FIRST), limit=300))
THIRD = signed(changed(opened(SECOND, opened(FIRST)), limit=200))


def test_versions_are_kept_in_order_and_found_again(tmp_path: Path) -> None:
    registries = Registries(tmp_path)
    for envelope in (FIRST, SECOND, THIRD):
        registries.add(envelope)
    again = Registries(tmp_path)
    assert again.version == 3
    assert again.envelopes == {1: FIRST, 2: SECOND, 3: THIRD}
    assert [again.envelope(version) for version in (0, 1, 4)] == [None, FIRST, None]


def test_the_first_version_must_be_the_pinned_one() -> None:
    assert Registries(None, pinned=opened(FIRST).sha256).add(FIRST).version == 1
    with pytest.raises(Malformed, match="pinned"):
        Registries(None, pinned="0" * 64).add(FIRST)


def test_a_gap_is_refused() -> None:
    registries = Registries(None)
    registries.add(FIRST)
    with pytest.raises(Malformed, match="Version 2"):
        registries.add(THIRD)
    assert registries.version == 1


def test_a_held_version_again_is_answered_as_it_is() -> None:
    registries = Registries(None)
    for envelope in (FIRST, SECOND):
        registries.add(envelope)
    assert registries.add(FIRST) == opened(FIRST)
    assert registries.version == 2


def test_the_same_document_with_further_signatures_is_no_fork() -> None:
    registries = Registries(None)
    registries.add(FIRST)
    assert registries.add(dsse.add_signatures(FIRST, [SigningKey(bytes(32))])).version == 1


@pytest.mark.parametrize("version", [1, 2])
def test_a_rival_of_a_held_version_is_a_fork(version: int) -> None:
    registries = Registries(None)
    for envelope in (FIRST, SECOND):
        registries.add(envelope)
    first_rival = first_registry("timebank.example", [node("aberdare", 1)], operators=OPERATORS, k=2)
    rival = first_rival if version == 1 else signed(changed(opened(FIRST), limit=1))
    with pytest.raises(Fork, match=f"version {version}"):
        registries.add(rival)
    assert registries.envelopes == {1: FIRST, 2: SECOND}


def test_a_rival_that_too_few_signed_is_a_forgery_and_no_fork() -> None:
    registries = Registries(None)
    for envelope in (FIRST, SECOND):
        registries.add(envelope)
    rival = canonical.encode(changed(opened(FIRST), limit=1))
    forged = dsse.sign(rival, payload_type=PAYLOAD_TYPE, keys=OPERATORS[:1])
    with pytest.raises(Malformed) as refused:
        registries.add(forged)
    assert not isinstance(refused.value, Fork)


def test_too_few_signatures_are_refused() -> None:
    registries = Registries(None)
    registries.add(FIRST)
    payload = canonical.encode(changed(opened(FIRST), limit=1))
    with pytest.raises(Malformed, match="operators must sign"):
        registries.add(dsse.sign(payload, payload_type=PAYLOAD_TYPE, keys=OPERATORS[:1]))


def test_verifying_keeps_nothing(tmp_path: Path) -> None:
    registries = Registries(tmp_path)
    assert registries.verify(FIRST).version == 1
    assert registries.version == 0
    assert not list(tmp_path.iterdir())


def test_a_damaged_document_in_the_folder_refuses_the_start(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(FIRST[:-10])
    with pytest.raises(Malformed):
        Registries(tmp_path)
