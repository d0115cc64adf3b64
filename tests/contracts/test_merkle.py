"""The Merkle tree against the definitions of RFC 6962, written down as they stand there."""

from __future__ import annotations

import base64
import contextlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.errors import Malformed
from timebank_contracts.merkle import (
    EMPTY_ROOT,
    Tree,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    leaf_hash,
    node_hash,
    root_from_inclusion,
    root_of,
)

# The test data of RFC 6962's reference implementation.
ENTRIES = [bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
ENTRIES.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
LEAVES = [leaf_hash(b"%d" % number) for number in range(300)]


def _k(count: int) -> int:
    """The largest power of two smaller than `count`."""
    k = 1
    while 2 * k < count:
        k *= 2
    return k


def _mth(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = _k(len(leaves))
    return sha256(b"\x01" + _mth(leaves[:k]) + _mth(leaves[k:])).digest()


def _path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = _k(len(leaves))
    if m < k:
        return [*_path(m, leaves[:k]), _mth(leaves[k:])]
    return [*_path(m - k, leaves[k:]), _mth(leaves[:k])]


def _subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [_mth(leaves)]
    k = _k(len(leaves))
    if m <= k:
        return [*_subproof(m, leaves[:k], whole), _mth(leaves[k:])]
    return [*_subproof(m - k, leaves[k:], False), _mth(leaves[:k])]


def test_the_known_constants_hold() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert base64.b64encode(leaf_hash(b"hello world")) == b"TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0="
    assert root_of([leaf_hash(entry) for entry in ENTRIES]).hex() == (
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    )
    assert Tree().root() == root_of([]) == EMPTY_ROOT


def test_a_tree_grows_through_the_roots_of_the_definition_and_a_copy_stays_behind() -> None:
    tree = Tree()
    for size, leaf in enumerate(LEAVES):
        assert (tree.size, tree.root()) == (size, _mth(LEAVES[:size]))
        twin = tree.copy()
        tree.append(leaf)
        assert (twin.size, twin.root()) == (size, _mth(LEAVES[:size]))
        twin.append(leaf)
        assert twin.root() == tree.root()


@given(st.data())
def test_an_inclusion_proof_is_that_of_the_definition_and_leads_to_the_root(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(LEAVES[:size], index)
    assert proof == _path(index, LEAVES[:size])
    assert root_from_inclusion(LEAVES[index], index, size, proof) == _mth(LEAVES[:size])


@given(st.data())
def test_a_consistency_proof_is_that_of_the_definition_and_convinces(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 300))
    old = data.draw(st.integers(1, size))
    proof = consistency_proof(LEAVES[:size], old)
    assert proof == _subproof(old, LEAVES[:size], True)
    assert is_consistent(old, _mth(LEAVES[:old]), size, _mth(LEAVES[:size]), proof)


def test_every_small_tree_has_good_proofs() -> None:
    roots = [_mth(LEAVES[:size]) for size in range(34)]
    for size in range(1, 34):
        for index in range(size):
            proof = inclusion_proof(LEAVES[:size], index)
            assert root_from_inclusion(LEAVES[index], index, size, proof) == roots[size]
        for old in range(size + 1):
            assert is_consistent(old, roots[old], size, roots[size], consistency_proof(LEAVES[:size], old))


def _spoilt(proof: list[bytes], data: st.DataObject) -> list[bytes]:
    """The proof with one hash changed, left out, added, cut short, or exchanged for another."""
    kinds = ["add", *(["change", "drop", "cut"] if proof else [])]
    kind = data.draw(st.sampled_from(kinds))
    at = data.draw(st.integers(0, max(0, len(proof) - 1)))
    if kind == "add":
        return [*proof[:at], sha256(b"more").digest(), *proof[at:]]
    if kind == "drop":
        return [*proof[:at], *proof[at + 1 :]]
    if kind == "cut":
        return [*proof[:at], proof[at][:-1], *proof[at + 1 :]]
    return [*proof[:at], sha256(proof[at]).digest(), *proof[at + 1 :]]


@given(st.data())
def test_a_spoilt_inclusion_proof_never_leads_to_the_root(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    spoilt = _spoilt(inclusion_proof(LEAVES[:size], index), data)
    with contextlib.suppress(Malformed):
        assert root_from_inclusion(LEAVES[index], index, size, spoilt) != _mth(LEAVES[:size])


@given(st.data())
def test_a_spoilt_consistency_proof_never_convinces(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    old = data.draw(st.integers(0, size))
    spoilt = _spoilt(consistency_proof(LEAVES[:size], old), data)
    assert not is_consistent(old, _mth(LEAVES[:old]), size, _mth(LEAVES[:size]), spoilt)


@given(st.data())
def test_a_proof_for_one_position_is_none_for_another(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 70))
    index = data.draw(st.integers(0, size - 1))
    wrong = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
    proof = inclusion_proof(LEAVES[:size], index)
    with contextlib.suppress(Malformed):
        assert root_from_inclusion(LEAVES[index], wrong, size, proof) != _mth(LEAVES[:size])


@given(st.data())
def test_a_rewritten_history_is_not_consistent(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    old = data.draw(st.integers(1, size))
    changed = data.draw(st.integers(0, old - 1))
    rewritten = [*LEAVES[:changed], leaf_hash(b"another"), *LEAVES[changed + 1 : size]]
    proof = consistency_proof(rewritten, old)
    assert not is_consistent(old, _mth(LEAVES[:old]), size, _mth(rewritten), proof)


def test_a_proof_with_a_hash_of_another_length_is_malformed() -> None:
    for wrong in (b"", LEAVES[1][:31], LEAVES[1] + b"\x00"):
        with pytest.raises(Malformed, match="32 bytes"):
            root_from_inclusion(LEAVES[0], 0, 2, [wrong])
        assert not is_consistent(1, LEAVES[0], 2, node_hash(LEAVES[0], wrong), [wrong])


def test_a_proof_too_short_for_the_size_that_is_claimed_does_not_convince() -> None:
    proof = consistency_proof(LEAVES[:8], 4)
    assert is_consistent(4, root_of(LEAVES[:4]), 8, root_of(LEAVES[:8]), proof)
    for size in (9, 16, 2**40):
        assert not is_consistent(4, root_of(LEAVES[:4]), size, root_of(LEAVES[:8]), proof)


def test_the_empty_tree_begins_every_tree_by_an_empty_proof_only() -> None:
    root = root_of(LEAVES[:5])
    assert is_consistent(0, EMPTY_ROOT, 5, root, [])
    assert is_consistent(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    assert not is_consistent(0, root, 5, root, [])
    assert not is_consistent(0, EMPTY_ROOT, 0, root, [])
    assert not is_consistent(0, EMPTY_ROOT, 5, root, [root])


def test_two_roots_of_one_size_are_not_consistent() -> None:
    assert is_consistent(5, root_of(LEAVES[:5]), 5, root_of(LEAVES[:5]), [])
    assert not is_consistent(5, root_of(LEAVES[:5]), 5, root_of(LEAVES[1:6]), [])
    assert not is_consistent(6, root_of(LEAVES[:6]), 5, root_of(LEAVES[:5]), [])


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0)])
def test_a_position_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(Malformed):
        inclusion_proof(LEAVES[:size], index)
    with pytest.raises(Malformed):
        root_from_inclusion(LEAVES[0], index, size, [])


@pytest.mark.parametrize("old", [-1, 6])
def test_an_old_size_outside_the_tree_has_no_proof(old: int) -> None:
    with pytest.raises(Malformed):
        consistency_proof(LEAVES[:5], old)


def test_an_entry_that_looks_like_a_node_has_another_hash() -> None:
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])
