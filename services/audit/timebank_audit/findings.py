"""What the checks examined and found. Bounded, whatever the input says.

A check that is switched off (`without`) counts and finds nothing; the tests use that to show that each one is needed.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from timebank_audit.codes import CODES, Verdict

FINDINGS_MAX: Final = 20
"""Findings that are kept for each check; the rest are counted."""

TEXT_MAX: Final = 400


class Finding(NamedTuple):
    """One fault, or one thing that is missing: where, what was expected, what was found."""

    code: str
    verdict: Verdict
    town: str
    place: str
    expected: str
    found: str


class Findings:
    """Collects for the whole audit."""

    def __init__(self, *, without: frozenset[str] = frozenset()) -> None:
        assert without <= CODES.keys(), f"unknown codes: {without - CODES.keys()}"
        self.without = without
        self.found: list[Finding] = []
        self.examined: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        """Findings by code, those not kept included."""
        self.verdicts: dict[str, Verdict] = {}
        """The worst verdict by code."""

    def examine(self, code: str, count: int = 1) -> None:
        """Note that the check looked at `count` more things of its unit."""
        if code not in self.without:
            self.examined[code] += count

    def add(
        self, code: str, *, town: str, place: str, expected: str, found: str, verdict: Verdict | None = None
    ) -> bool:
        """Note a finding, with `verdict` where it is milder than the check's own; False when the check is off."""
        if code in self.without:
            return False
        judged = verdict or CODES[code].verdict
        if self.verdicts.get(code) is not Verdict.FAIL:
            self.verdicts[code] = judged
        self.counts[code] += 1
        if self.counts[code] <= FINDINGS_MAX:
            self.found.append(Finding(code, judged, town, place, expected[:TEXT_MAX], found[:TEXT_MAX]))
        return True

    def take(self, other: Findings) -> None:
        """Add what another collector examined and found."""
        self.examined.update(other.examined)
        self.counts.update(other.counts)
        for finding in other.found:
            if self.verdicts.get(finding.code) is not Verdict.FAIL:
                self.verdicts[finding.code] = finding.verdict
        self.found += other.found

    def verdict(self, code: str) -> Verdict:
        """What the check comes to."""
        found = self.verdicts.get(code)
        if found is not None:
            return found
        return Verdict.PASS if self.examined[code] else Verdict.SKIPPED
