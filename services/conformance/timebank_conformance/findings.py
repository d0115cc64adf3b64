"""What the checks saw, by rule: how often it was as the rule says, and where not. Bounded, whatever the node answers.

A rule that was examined by nothing is never passed: the report says not examined, and why.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Final, NamedTuple

from timebank_conformance.rules import ALL, NOT_REACHABLE

FAILURES_MAX: Final = 100
"""Failures that are kept; the rest are counted."""
TEXT_MAX: Final = 400


class Verdict(StrEnum):
    """What a rule comes to."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_REACHABLE = "not reachable"
    NOT_EXAMINED = "not examined"


class Failure(NamedTuple):
    """One thing that was not as the rules say."""

    rules: tuple[str, ...]
    what: str
    expected: str
    found: str


class Findings:
    """Collects for the whole run."""

    def __init__(self) -> None:
        self.passed: dict[str, Counter[str]] = {}
        """By rule, what was seen and how often."""
        self.failures: list[Failure] = []
        self.failed: Counter[str] = Counter()
        """How often each rule failed, failures that are not kept included."""
        self.skipped: dict[str, str] = {}
        """By rule, why a check of it did not run or did not end."""

    def expect(self, rules: str, what: str, is_so: bool, *, expected: str, found: object = "") -> bool:
        """Note what was seen.

        Args:
            rules: numbers with blanks between, such as "S5 S7".
            what: was looked at.
            is_so: whether the node did as the rules say.
            expected: what the rules want.
            found: what there was instead.

        Returns:
            `is_so`.
        """
        numbers = tuple(rules.split())
        assert set(numbers) <= set(ALL), f"unknown rules: {rules}"
        if is_so:
            for rule in numbers:
                self.passed.setdefault(rule, Counter())[what] += 1
            return True
        self.failed.update(numbers)
        if len(self.failures) < FAILURES_MAX:
            self.failures.append(Failure(numbers, what, expected[:TEXT_MAX], str(found)[:TEXT_MAX]))
        return False

    def skip(self, rules: str, why: str) -> None:
        """Note that a check of these rules did not run, or did not end."""
        for rule in rules.split():
            assert rule in ALL, f"unknown rule: {rule}"
            self.skipped.setdefault(rule, why)

    def verdict(self, rule: str) -> Verdict:
        """What a rule comes to: what was seen of it counts before all else."""
        if self.failed[rule]:
            return Verdict.FAILED
        if rule in self.skipped:
            return Verdict.NOT_EXAMINED
        if self.passed.get(rule):
            return Verdict.PASSED
        return Verdict.NOT_REACHABLE if rule in NOT_REACHABLE else Verdict.NOT_EXAMINED

    def why(self, rule: str) -> str:
        """Why a rule was not examined, or what was seen of it."""
        verdict = self.verdict(rule)
        if verdict is Verdict.NOT_REACHABLE:
            return NOT_REACHABLE[rule]
        if verdict is Verdict.NOT_EXAMINED:
            return self.skipped.get(rule, "No check came to it.")
        if verdict is Verdict.FAILED:
            return f"{self.failed[rule]} time(s); see the failures."
        return "; ".join(what for what, _ in sorted(self.passed[rule].items()))
