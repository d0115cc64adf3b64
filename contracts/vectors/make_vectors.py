"""All vectors, as files: name → text. Pure and deterministic: keys come from labels, times from positions.

`python -m contracts.generate` writes them; `tests/contracts/test_vectors.py` judges the committed files by our code,
and compares them with what this makes.
"""

from __future__ import annotations

import json
from typing import Any

from contracts.vectors import (
    vectors_bytes,
    vectors_hostile,
    vectors_journal,
    vectors_log,
    vectors_refusals,
    vectors_registry,
    vectors_segments,
    vectors_witness,
)


def make_vectors() -> dict[str, str]:
    """The vector files; every one ends with a line feed."""
    journals, results = vectors_journal.journal_vectors()
    files: dict[str, Any] = {
        "amounts.json": {"rules": ["A2"], "cases": vectors_bytes.amount_cases()},
        "messages.json": {"rules": ["C1", "C2", "C3", "C4", "E5", "E7", "E8"], "cases": vectors_bytes.message_cases()},
        "keys.json": {"rules": ["G1"], "cases": vectors_bytes.key_cases()},
        "signatures.json": {"rules": ["G2"], "cases": vectors_bytes.signature_cases()},
        "envelopes.json": {"rules": ["G3"], "cases": vectors_bytes.envelope_cases()},
        "chain.json": {"rules": ["S1", "S2"], **vectors_segments.chain_vectors()},
        "segments.json": {"rules": [f"S{n}" for n in range(3, 11)], **vectors_segments.segment_vectors()},
        "tree.json": {"rules": ["G4"], **vectors_log.tree_vectors()},
        "checkpoints.json": {"rules": ["G5", "G6"], "cases": vectors_log.checkpoint_cases()},
        "witness.json": vectors_witness.witness_vectors(),
        "tiles.json": {"rules": ["G7", "G8", "G9"], **vectors_log.tile_vectors()},
        "hostile.json": vectors_hostile.hostile_vectors(),
        "registry.json": {"rules": ["R1", "R2", "R3"], **vectors_registry.registry_vectors()},
        "journal.json": {
            "rules": ["B1", "B4", "I1", "I2", "D2", "D8", "D9", "D10", "D11", "D13", "T13", "T15", "T16", "L5"],
            "towns": results,
        },
        "refusals.json": {
            "rules": ["B2", "T2", "T5", "T12", "T13", "T14", "T15", "L2", "L5", "L9", "L10", "L11"]
            + [f"D{n}" for n in range(1, 15)]
            + ["F1", "F2", "F3"],
            "cases": vectors_refusals.refusal_cases(),
        },
    }
    return journals | {name: json.dumps(value, indent=1, ensure_ascii=True) + "\n" for name, value in files.items()}
