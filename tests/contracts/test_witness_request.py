"""Requests to a witness, its answers, and the vectors of witnessing."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.checkpoint import Checkpoint, cosign, open_cosignatures, sign_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey
from timebank_contracts.note import COSIGNATURE, VerifierKey, parse_vkey
from timebank_contracts.witness_request import (
    PROOF_LINES_MAX,
    REQUEST_BYTES_MAX,
    WitnessRequest,
    cosignature_lines,
    make_request,
    parse_request,
    parse_size,
    witnessed_path,
)

ROOT = Path(__file__).parents[2]
SAID = json.loads((ROOT / "contracts" / "vectors" / "witness.json").read_text("utf-8"))
KEY = SigningKey(bytes([1]) * 32)
WITNESS_KEY = SigningKey(bytes([2]) * 32)
WITNESS = VerifierKey("witness.example/w1", WITNESS_KEY.public, COSIGNATURE)
CHECKPOINT = Checkpoint("timebank.wales/barry/g1", 3, bytes(32))
NOTE = sign_checkpoint(CHECKPOINT, KEY)


def _cases(part: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in SAID[part]]


@given(old=st.integers(1, 2**53), proof=st.lists(st.binary(min_size=32, max_size=32), max_size=PROOF_LINES_MAX))
def test_a_request_is_read_as_it_was_made(old: int, proof: list[bytes]) -> None:
    """PROTOCOL.md V1."""
    request = WitnessRequest(old, proof, NOTE)
    assert parse_request(make_request(request)) == request


@pytest.mark.parametrize("case", _cases("requests"))
def test_a_request_is_read_or_malformed_as_said(case: Any) -> None:
    """PROTOCOL.md V1."""
    if case.get("malformed"):
        with pytest.raises(Malformed):
            parse_request(b64decode(case["body"]))
        return
    found = parse_request(b64decode(case["body"]))
    assert (found.old, [step.hex() for step in found.proof]) == (case["old"], case["proof"])


def test_a_request_is_bounded() -> None:
    """PROTOCOL.md V1."""
    assert REQUEST_BYTES_MAX == 69_632
    with pytest.raises(Malformed, match="at most"):
        parse_request(b"old 0\n\n" + bytes(REQUEST_BYTES_MAX))


@pytest.mark.parametrize("case", _cases("cosigned"))
def test_a_cosigned_note_is_judged_as_said(case: Any) -> None:
    """PROTOCOL.md V3."""
    log, witness = parse_vkey(SAID["log_vkey"]), parse_vkey(SAID["witness_vkey"])
    if case.get("malformed"):
        with pytest.raises(Malformed):
            open_cosignatures(b64decode(case["note"]), log, [witness])
        return
    assert open_cosignatures(b64decode(case["note"]), log, [witness]).get(witness) == case["time"]


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"7", b"07\n", b"+7\n", b"1_0\n", b"7\n\n", b"7\r\n", b" 7\n", "\uff17\n".encode(), b"-1\n"]
)
def test_a_size_that_is_written_otherwise_is_malformed(raw: bytes) -> None:
    """PROTOCOL.md V2."""
    with pytest.raises(Malformed):
        parse_size(raw)


def test_a_size_is_a_number_and_a_line_feed() -> None:
    """PROTOCOL.md V2."""
    assert [parse_size(raw) for raw in (b"0\n", b"7\n", b"100\n")] == [0, 7, 100]


def test_of_an_answer_only_the_line_of_the_witness_is_kept() -> None:
    line = cosign(CHECKPOINT, name=WITNESS.name, key=WITNESS_KEY, at_seconds=7)
    other = cosign(CHECKPOINT, name="witness.example/w2", key=SigningKey(bytes([3]) * 32), at_seconds=7)
    assert cosignature_lines(NOTE, other + line, WITNESS) == line


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "blank line"),
        (b"hello\n", "em dash"),
        (cosign(CHECKPOINT, name="witness.example/w2", key=WITNESS_KEY, at_seconds=7), "no cosignature"),
        (cosign(CHECKPOINT._replace(size=4), name=WITNESS.name, key=WITNESS_KEY, at_seconds=7), "does not verify"),
        (cosign(CHECKPOINT, name=WITNESS.name, key=SigningKey(bytes([3]) * 32), at_seconds=7), "no cosignature"),
        (b"x" * 10_000, "at most"),
    ],
    ids=["empty", "no-line", "another-name", "another-checkpoint", "another-key", "too-large"],
)
def test_an_answer_without_a_good_cosignature_is_malformed(answer: bytes, why: str) -> None:
    """PROTOCOL.md V3."""
    with pytest.raises(Malformed, match=why):
        cosignature_lines(NOTE, answer, WITNESS)


def test_where_a_witness_shows_an_origin_follows_from_its_name() -> None:
    """PROTOCOL.md V4."""
    assert witnessed_path(CHECKPOINT.origin).startswith("/witnessed/")
    assert len(witnessed_path(CHECKPOINT.origin)) == len("/witnessed//checkpoint") + 64
