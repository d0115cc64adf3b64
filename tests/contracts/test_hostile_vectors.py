"""The hostile vectors: what a forger sends has the outcome that is said, by our code as by another implementer's."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.test_vectors import outcome_of, replay
from timebank_contracts import agreements, checkpoint, note
from timebank_contracts.errors import Malformed
from timebank_contracts.registry import open_registry
from timebank_contracts.tokens import Issuer, Rejected, verify_token

CONTRACTS = Path(__file__).parents[2] / "contracts"
HOSTILE: Any = json.loads((CONTRACTS / "vectors" / "hostile.json").read_text("utf-8"))
PARTS = ("segments", "registries", "agreements", "checkpoints", "tokens")


def cases(part: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in HOSTILE[part]["cases"]]


def test_there_are_enough_of_them_and_no_two_are_alike() -> None:
    found = [(part, case) for part in PARTS for case in HOSTILE[part]["cases"]]
    assert len(found) >= 60
    assert len({(part, case["name"]) for part, case in found}) == len(found)
    said = {
        (part, case.get("journal"), *(case.get(of) for of in ("segment", "envelope", "note", "token")))
        for part, case in found
    }
    assert len(said) == len(found), "a forgery that changes nothing is the case that it was made from"


def test_each_cites_rules_that_there_are() -> None:
    rules = set(re.findall(r"^\*\*([A-Z]\d+)\.\*\*", (CONTRACTS / "PROTOCOL.md").read_text("utf-8"), re.MULTILINE))
    for part in PARTS:
        for case in HOSTILE[part]["cases"]:
            assert case["rules"], case["name"]
            assert set(case["rules"]) <= rules, case["name"]


@pytest.mark.parametrize("case", cases("segments"))
def test_a_hostile_segment_has_the_outcome_that_is_said_and_changes_nothing(case: Any) -> None:
    """PROTOCOL.md S3 to S9, R5, R8, X2."""
    book = replay(HOSTILE["segments"]["journals"][case["journal"]])
    before = deepcopy(book)
    assert outcome_of(book, b64decode(case["segment"])) == case["outcome"]
    assert book == before


@pytest.mark.parametrize("case", cases("registries"))
def test_a_hostile_registry_is_not_taken(case: Any) -> None:
    """PROTOCOL.md R1, R2, R3."""
    in_force = open_registry(b64decode(HOSTILE["registries"]["in_force"]), previous=None)
    with pytest.raises(Malformed):
        open_registry(b64decode(case["envelope"]), previous=in_force)


@pytest.mark.parametrize("case", cases("agreements"))
def test_a_hostile_agreement_counts_for_whom_is_said(case: Any) -> None:
    """PROTOCOL.md R10."""
    registry = open_registry(b64decode(HOSTILE["agreements"]["registry"]), previous=None)
    try:
        found: list[str] | None = sorted(agreements.assenting(b64decode(case["envelope"]), registry))
    except Malformed:
        found = None
    assert found == case["assenting"]


@pytest.mark.parametrize("case", cases("checkpoints"))
def test_a_hostile_checkpoint_is_malformed(case: Any) -> None:
    """PROTOCOL.md G5, G6."""
    with pytest.raises(Malformed):
        checkpoint.open_checkpoint(b64decode(case["note"]), note.parse_vkey(case["vkey"]))


@pytest.mark.parametrize("case", cases("tokens"))
def test_a_hostile_token_is_rejected(case: Any) -> None:
    """PROTOCOL.md W1, W2, W3."""
    said = HOSTILE["tokens"]
    issuers = {
        name: Issuer(name, tuple(map(b64decode, known["keys"])), frozenset(known["scopes"]))
        for name, known in said["issuers"].items()
    }
    try:
        verify_token(case["token"], issuers=issuers, audience=said["audience"], now_seconds=said["now_seconds"])
        valid = True
    except Rejected:
        valid = False
    assert valid is case["valid"]
