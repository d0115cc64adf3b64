"""Every entry that the contracts' vectors have refused belongs to a check, and to the one that names its fault."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any, cast

import pytest

from timebank_audit.codes import CODES
from timebank_audit.log import EntryFile
from timebank_audit.refusals import code_of
from timebank_contracts.book import Book, apply
from timebank_contracts.entries import decode_entry
from timebank_contracts.errors import Refusal

FOLDER = Path(__file__).parents[2] / "contracts" / "vectors"
CASES: list[dict[str, Any]] = json.loads((FOLDER / "refusals.json").read_text("utf-8"))["cases"]
NAMED = {
    "not-balanced": "A30",
    "an-unknown-account": "A31",
    "a-leaver-pays": "A31",
    "past-the-floor": "A32",
    "above-the-tolerance": "A32",
    "more-than-is-left": "A34",
    "other-postings-than-the-shares": "A34",
    "taken-back-again": "A34",
    "taken-back-before-it-was": "A34",
    "time-goes-back": "A38",
    "confirmed-while-disputed": "A39",
    "the-rule-before-its-time": "A39",
    "a-part-of-the-remainder": "A39",
    "confirmed-after-its-end": "A42",
    "withdrawn-twice": "A42",
    "money-about-another-transfer": "A42",
    "money-taken-back-again": "A42",
    "a-refund-above-the-original": "A34",
    "a-refund-of-nothing": "A42",
    "a-claim-paid-above-the-tolerance": "A32",
    "a-claim-paid-twice": "A42",
    "a-claim-withdrawn-that-ended": "A42",
    "thanks-without-a-transfer": "A42",
    "thanks-given-twice": "A39",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_a_forged_entry_of_the_vectors_has_its_check(case: dict[str, Any]) -> None:
    raws = (FOLDER / "journal-aberdare.ndjson").read_bytes().splitlines() + [b64decode(raw) for raw in case["after"]]
    entries, book = [decode_entry(raw) for raw in raws], Book()
    for entry in entries:
        apply(book, entry, read=entries.__getitem__)
    forged = decode_entry(b64decode(case["entry"]))
    with pytest.raises(Refusal) as caught:
        apply(book, forged, read=entries.__getitem__)
    found = code_of(book, forged, caught.value, cast(EntryFile, raws))
    assert found == NAMED.get(case["name"], found)
    assert found in CODES


def test_the_named_cases_are_in_the_vectors() -> None:
    assert NAMED.keys() <= {case["name"] for case in CASES}
