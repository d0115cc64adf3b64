"""The report: every rule with its verdict, then what failed. Exit status as the auditor's: 0, 1, 3 (2 is bad usage)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from timebank_conformance.findings import Findings, Verdict
from timebank_conformance.rules import ALL

EXITS: Final = {"PASS": 0, "FAIL": 1, "NOT PROVEN": 3}


def overall(findings: Findings) -> str:
    """FAIL beats NOT PROVEN beats PASS; a rule that can be reached and was not examined is not PASS."""
    verdicts = {findings.verdict(rule) for rule in ALL}
    if Verdict.FAILED in verdicts:
        return "FAIL"
    return "NOT PROVEN" if Verdict.NOT_EXAMINED in verdicts else "PASS"


def make_report(findings: Findings, *, version: str, origin: str) -> dict[str, Any]:
    """The report as a document.

    Args:
        version: of the kit.
        origin: of the node under test.
    """
    verdict = overall(findings)
    return {
        "tool": "timebank conformance",
        "version": version,
        "node": origin,
        "verdict": verdict,
        "exit": EXITS[verdict],
        "counts": dict(Counter(findings.verdict(rule).value for rule in ALL)),
        "rules": [{"rule": rule, "verdict": findings.verdict(rule).value, "why": findings.why(rule)} for rule in ALL],
        "failures": [
            {"rules": list(one.rules), "what": one.what, "expected": one.expected, "found": one.found}
            for one in findings.failures
        ],
    }


def lines(report: dict[str, Any]) -> Iterator[str]:
    """The report as text, a line each."""
    for row in report["rules"]:
        yield f"{row['rule']:<4} {row['verdict']:<14} {row['why']}"
    for one in report["failures"]:
        yield ""
        yield f"FAILED {' '.join(one['rules'])}: {one['what']}"
        yield f"  expected: {one['expected']}"
        yield f"  found:    {one['found']}"
    yield ""
    counted = ", ".join(f"{count} {verdict}" for verdict, count in sorted(report["counts"].items()))
    yield f"{report['verdict']}: {report['node']}: {counted}"
