"""The registry: k of n, one key once, a chain of versions. The forged documents are in the vectors."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from contracts.vectors.vectors_registry import OPERATORS, make_first, make_node, make_second, sign
from timebank_contracts import canonical, dsse
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_encode, key_id
from timebank_contracts.registry import (
    PAYLOAD_TYPE,
    REGISTRY_BYTES_MAX,
    Operators,
    Registry,
    Witness,
    check_keys,
    open_registry,
)

FIRST = make_first()
SECOND = make_second(FIRST)


def is_accepted(envelope: bytes, previous: Registry | None) -> bool:
    try:
        open_registry(envelope, previous=previous)
    except Malformed:
        return False
    return True


@pytest.mark.parametrize("signers", [c for n in range(1, 6) for c in itertools.combinations(range(1, 6), n)])
def test_k_of_the_old_and_k_of_the_new_operators_sign(signers: tuple[int, ...]) -> None:
    """PROTOCOL.md R3: versions 1 and 2 have operators 1 to 3 and 3 to 5, two of which sign."""
    old, new = len({1, 2, 3} & set(signers)), len({3, 4, 5} & set(signers))
    assert is_accepted(sign(FIRST, *signers), None) is (old >= 2)
    assert is_accepted(sign(SECOND, *signers), FIRST) is (old >= 2 and new >= 2)


def test_operators_on_separate_machines_sign_one_document() -> None:
    """PROTOCOL.md R3, G3."""
    envelope = dsse.add_signatures(sign(FIRST, 1), [OPERATORS[1]])
    assert envelope == sign(FIRST, 1, 2)
    assert open_registry(envelope, previous=None) == FIRST


def test_one_key_under_two_ids_is_one_key() -> None:
    """PROTOCOL.md R2, G3."""
    opened = msgspec.json.decode(sign(FIRST, 1))
    signature = opened["signatures"][0]["sig"]
    for name in (key_id(OPERATORS[1].public), "operator-2", ""):
        forged = {**opened, "signatures": [*opened["signatures"], {"keyid": name, "sig": signature}]}
        assert not is_accepted(canonical.encode(forged), None)


def test_a_key_stands_once_in_the_whole_document_whoever_holds_it() -> None:
    """PROTOCOL.md R2."""
    aberdare, barry = FIRST.nodes
    check_keys(FIRST)
    operator = FIRST.operators.keys[0]
    twice = [
        msgspec.structs.replace(aberdare, event_keys=[operator]),
        msgspec.structs.replace(aberdare, event_keys=aberdare.event_keys * 2),
        msgspec.structs.replace(aberdare, log_keys=aberdare.event_keys),
        msgspec.structs.replace(aberdare, log_keys=barry.log_keys),
    ]
    for node in twice:
        with pytest.raises(Malformed, match="appears twice"):
            check_keys(msgspec.structs.replace(FIRST, nodes=[node, barry]))
    with pytest.raises(Malformed, match="appears twice"):
        check_keys(msgspec.structs.replace(FIRST, operators=Operators(k=2, keys=[operator, operator])))


def test_two_signed_successors_of_one_version_are_a_fork() -> None:
    """PROTOCOL.md R3: the second of them, and every successor of it, names another predecessor."""
    other = msgspec.structs.replace(SECOND, nodes=[make_node("aberdare"), make_node("dolgellau")])
    assert is_accepted(sign(other, 1, 2, 3, 4), FIRST)
    assert other.sha256 != SECOND.sha256
    third = msgspec.structs.replace(other, version=3, previous=other.sha256)
    assert is_accepted(sign(third, 3, 4), other)
    with pytest.raises(Malformed, match="fork"):
        open_registry(sign(third, 3, 4), previous=SECOND)


def test_the_lower_default_of_two_nodes_is_the_limit_between_them() -> None:
    """PROTOCOL.md R1."""
    registry = msgspec.structs.replace(FIRST, nodes=[make_node("aberdare", limit=60), make_node("barry", limit=90)])
    assert registry.pair_limit("aberdare", "barry") == registry.pair_limit("barry", "aberdare") == 60
    assert registry.pair_limit("aberdare", "cardiff") == 0
    found = registry.find("barry")
    assert found is not None
    assert found.limit == 90
    assert registry.find("cardiff") is None


def test_a_registry_is_canonical_of_its_type_and_not_too_large() -> None:
    """PROTOCOL.md R1, C3, C4."""
    payload = canonical.encode(FIRST)
    assert is_accepted(dsse.sign(payload, payload_type=PAYLOAD_TYPE, keys=OPERATORS[:2]), None)
    for bad in (payload.replace(b'"k":2', b'"k": 2'), payload.replace(b'"k":2', b'"k":2.0'), payload + b"\n"):
        assert not is_accepted(dsse.sign(bad, payload_type=PAYLOAD_TYPE, keys=OPERATORS[:2]), None)
    with pytest.raises(Malformed, match="at most"):
        open_registry(b" " * (REGISTRY_BYTES_MAX + 1), previous=None)


def test_a_journal_cites_the_hash_of_the_payload() -> None:
    """PROTOCOL.md R3, R4."""
    assert SECOND.previous == FIRST.sha256
    assert len(FIRST.sha256) == 64
    assert FIRST.operators.keys == [b64_encode(key.public) for key in OPERATORS[:3]]


def test_signatures_from_machines_that_did_not_wait_for_each_other_are_joined() -> None:
    """PROTOCOL.md R3, G3."""
    joined = dsse.join([sign(FIRST, 1), sign(FIRST, 2, 1)])
    assert open_registry(joined, previous=None) == FIRST
    with pytest.raises(Malformed, match="different documents"):
        dsse.join([sign(FIRST, 1), sign(SECOND, 1)])


def test_a_witness_stands_once_and_its_key_serves_nothing_else() -> None:
    """PROTOCOL.md R1, R2."""
    key = b64_encode(make_key(77))
    one = Witness(name="witness.example/w1", key=key, url="https://witness.example")
    other = Witness(name="witness.example/w2", key=b64_encode(make_key(78)), url="https://witness.example")
    check_keys(msgspec.structs.replace(FIRST, witnesses=[one, other]))
    for wrong in (
        [one, msgspec.structs.replace(other, name=one.name)],
        [one, msgspec.structs.replace(other, key=key)],
        [msgspec.structs.replace(one, key=FIRST.operators.keys[0])],
    ):
        with pytest.raises(Malformed, match="twice"):
            check_keys(msgspec.structs.replace(FIRST, witnesses=wrong))


def make_key(number: int) -> bytes:
    return SigningKey(bytes([number]) * 32).public
