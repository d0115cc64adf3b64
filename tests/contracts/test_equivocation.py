"""Evidence that a log has forked: what proves it, and that no honest log can be accused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.checkpoint import Checkpoint, sign_checkpoint
from timebank_contracts.equivocation import check_evidence, encode_evidence, two_checkpoints
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey
from timebank_contracts.merkle import consistency_proof, leaf_hash, root_of, roots_from_consistency
from timebank_contracts.note import VerifierKey

ROOT = Path(__file__).parents[2]
CASES = json.loads((ROOT / "contracts" / "vectors" / "witness.json").read_text("utf-8"))["evidence"]
KEY = SigningKey(bytes([1]) * 32)
LOG = VerifierKey("timebank.wales/barry/g1", KEY.public)
LEAVES = [leaf_hash(bytes([number])) for number in range(40)]


def _note(leaves: list[bytes], size: int) -> bytes:
    return sign_checkpoint(Checkpoint(LOG.name, size, root_of(leaves[:size])), KEY)


def _forked(at: int) -> list[bytes]:
    return LEAVES[:at] + [leaf_hash(b"other" + bytes([number])) for number in range(at, 40)]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_a_file_of_evidence_proves_what_the_vectors_say(case: Any) -> None:
    """PROTOCOL.md V6."""
    if case["proves"]:
        assert "under the" in check_evidence(case["file"].encode())[1]
        return
    with pytest.raises(Malformed):
        check_evidence(case["file"].encode())


@given(st.integers(1, 40), st.integers(1, 40), st.lists(st.sampled_from(LEAVES), max_size=8))
def test_an_honest_log_is_never_accused(one: int, other: int, proof: list[bytes]) -> None:
    """PROTOCOL.md V6."""
    notes = _note(LEAVES, one), _note(LEAVES, other)
    assert two_checkpoints(LOG, *notes, proof=proof) is None
    old, size = sorted((one, other))
    assert two_checkpoints(LOG, *notes, proof=consistency_proof(LEAVES[:size], old)) is None


@given(fork=st.integers(0, 20), old=st.integers(1, 39), more=st.integers(0, 20))
def test_a_forked_log_convicts_itself(fork: int, old: int, more: int) -> None:
    """PROTOCOL.md V6: only where the old size is a power of two does the proof not show what it began with."""
    old, size = max(old, fork + 1), min(40, max(old, fork + 1) + more)
    forked = _forked(fork)
    proof = consistency_proof(forked[:size], old)
    if old & (old - 1) == 0 and old != size:
        proof.insert(0, root_of(forked[:old]))
    found = two_checkpoints(LOG, _note(forked, size), _note(LEAVES, old), proof=proof if old != size else ())
    assert found is not None
    assert check_evidence(encode_evidence(found))[0] == found


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"type":"x"}', b"\xff", b"x" * 300_000])
def test_what_is_no_evidence_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        check_evidence(raw)


@given(st.integers(1, 39))
def test_a_consistency_path_leads_to_both_roots(old: int) -> None:
    """PROTOCOL.md G4."""
    path = consistency_proof(LEAVES, old)
    if old & (old - 1) == 0:
        path.insert(0, root_of(LEAVES[:old]))
    assert roots_from_consistency(old, 40, path) == (root_of(LEAVES[:old]), root_of(LEAVES))
