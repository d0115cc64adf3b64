"""PROTOCOL.md, the code and the tests name the same rules, and its figures are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from timebank_contracts import (
    amounts,
    canonical,
    dsse,
    entries,
    errors,
    messages,
    moments,
    note,
    registry,
    segments,
    tiles,
)
from timebank_contracts import tokens as t
from timebank_directory import assertions, attempts, clients
from timebank_federation import broker_kafka, outgoing
from timebank_kit import key_set, oidc

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "contracts" / "PROTOCOL.md").read_text("utf-8")
RULES = {found[1]: found[2] for found in re.finditer(r"^\*\*([A-Z]\d+)\.\*\* (.*?)(?=\n\n|\Z)", TEXT, re.M | re.S)}
_RULE = r"[A-Z]\d+"
_CITATION = re.compile(rf"PROTOCOL\.md,? ({_RULE}(?:(?:, | and |, and | to ){_RULE})*)")


def citations(path: Path) -> set[str]:
    """The rules that a file cites, ranges (`S3 to S7`) told out."""
    cited = set()
    for found in _CITATION.finditer(re.sub(r"\s+", " ", path.read_text("utf-8"))):
        for first, last in re.findall(rf"({_RULE})(?: to ({_RULE}))?", found[1]):
            letter, numbers = first[0], range(int(first[1:]), int((last or first)[1:]) + 1)
            assert not last or last[0] == letter, f"{path}: {first} to {last}"
            cited |= {f"{letter}{number}" for number in numbers}
    return cited


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if path != Path(__file__)]


def test_rules_are_numbered_from_1_without_a_gap() -> None:
    for letter in {rule[0] for rule in RULES}:
        numbers = [int(rule[1:]) for rule in RULES if rule[0] == letter]
        assert numbers == list(range(1, len(numbers) + 1)), letter


def test_every_rule_that_is_cited_exists() -> None:
    paths = sources("contracts", "services", "tests")
    unknown = {str(path.relative_to(ROOT)): sorted(citations(path) - set(RULES)) for path in paths}
    assert {path: rules for path, rules in unknown.items() if rules} == {}


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda page: page.name)
def test_a_decision_cites_rules_that_exist_and_is_listed(page: Path) -> None:
    assert citations(page) <= set(RULES)
    listed = (page.parent / "README.md").read_text("utf-8")
    assert page.name == "README.md" or f"]({page.name})" in listed
    assert len(page.read_text("utf-8").splitlines()) <= 60, "one page"


def test_every_rule_is_cited_by_a_test() -> None:
    tested = set().union(*(citations(path) for path in sources("tests") if path.name.startswith("test_")))
    assert sorted(set(RULES) - tested) == []


def test_every_rule_that_the_code_keeps_is_cited_by_it() -> None:
    """The rules that no single file keeps are the ones left."""
    cited = set().union(*(citations(path) for path in sources("contracts/timebank_contracts", "services")))
    assert sorted(set(RULES) - cited) == []


FIGURES: dict[str, list[float]] = {
    "A1": [amounts.MINUTES_MAX, amounts.LIMIT_MAX],
    "A2": [amounts.MINUTES_MAX],
    "C4": [
        canonical.ENTRY_BYTES_MAX,
        messages.MESSAGE_BYTES_MAX,
        segments.ENVELOPE_BYTES_MAX,
        registry.REGISTRY_BYTES_MAX,
    ],
    "E3": [entries.POSTINGS_MAX],
    "G5": [note.SIGNATURES_MAX, note.NOTE_BYTES_MAX],
    "G7": [tiles.TILE_WIDTH],
    "G8": [tiles.TILE_WIDTH],
    "K3": [broker_kafka.RETENTION_MILLISECONDS, int(broker_kafka.TOPIC_SETTINGS["max.message.bytes"])],
    "M2": [moments.SERVED_DAYS_MAX],
    "S3": [segments.SEGMENT_MESSAGES_MAX, segments.SEGMENT_MESSAGE_BYTES_MAX, messages.MESSAGE_BYTES_MAX],
    "S11": [outgoing.REPEAT_SECONDS_FIRST, outgoing.REPEAT_SECONDS_MAX, outgoing.REPEAT_MESSAGES_MAX],
    "S12": [outgoing.STATEMENT_SECONDS_BUSY, outgoing.STATEMENT_SECONDS_QUIET],
    "W2": [t.TOKEN_SECONDS_MAX, t.CLOCK_SKEW_SECONDS],
    "W4": [t.NODE_TOKEN_SECONDS],
    "W8": [assertions.ASSERTION_SECONDS_MAX, clients.OVERLAP_DAYS_MAX, attempts.TRIES, attempts.SECONDS_A_TRY],
    "W9": [oidc.OUTSIDE_SECONDS_MAX, key_set.FRESH_SECONDS, key_set.KEPT_SECONDS, key_set.PAUSE_SECONDS],
}


@pytest.mark.parametrize("rule", sorted(FIGURES))
def test_the_figures_of_a_rule_are_the_codes(rule: str) -> None:
    said = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\d|\d", RULES[rule])}
    assert {int(figure) for figure in FIGURES[rule]} <= said


def codes(rule: str) -> set[str]:
    return {word for word in re.findall(r"`([a-z_]+)`", RULES[rule]) if "_" in word}


def test_the_closed_sets_are_the_codes() -> None:
    """PROTOCOL.md T7, S9, T6."""
    assert set(re.findall(r"`([a-z_]+)`", RULES["T7"])) == errors.REJECTIONS
    assert codes("S9") == errors.BREACHES
    assert codes("T6") - {"expires_at", "owed_limit"} == errors.REJECTIONS - {"expired"}
    assert dsse.pae("t", b"p").startswith(b"DSSEv1 ")


NO_CODES = {
    "served_on",
    "owe_limit",
    "owed_limit",
    "debt_limit",
    "expires_at",
    "confirmed_by",
    "agreed_minutes",
    "claim_expires_after_days",
    "auto_confirm_after_days",
    "leaver_after_days",
    "refunds_at",
}
"""Fields that rules name."""


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule[0] in "ALT"])
def test_every_code_that_a_rule_names_is_in_the_closed_set(rule: str) -> None:
    named = codes(rule) - NO_CODES
    assert named <= set(errors.REFUSALS) | errors.REJECTIONS


def test_every_message_and_entry_type_of_the_text_exists() -> None:
    """PROTOCOL.md E7, B3."""
    named = set(re.findall(r"`([a-z]+\.[a-z_]+)`", TEXT)) - {"retention.ms", "cleanup.policy"}
    assert named <= entries.ENTRY_TYPES | set(messages.MESSAGE_TYPES)
    assert set(messages.MESSAGE_TYPES) <= named
