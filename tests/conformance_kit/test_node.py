"""Our own node under the conformance kit: every rule that a peer can see is as the text says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance_kit.node_under_test import played
from tests.contracts.test_protocol import RULES
from timebank_conformance.findings import Findings, Verdict
from timebank_conformance.report import lines, make_report, overall
from timebank_conformance.rules import ALL, NOT_REACHABLE


def test_the_kit_knows_every_rule_of_the_protocol() -> None:
    """A rule that is new in PROTOCOL.md is added to `timebank_conformance.rules`: examined, or explained there."""
    assert set(ALL) == set(RULES)
    assert set(NOT_REACHABLE) <= set(ALL)


@pytest.mark.slow
def test_our_node_passes_every_rule_that_a_peer_can_see(tmp_path: Path) -> None:
    with played(tmp_path) as one:
        findings = one.run(sends=2)
    report = make_report(findings, version="1", origin=one.kit.origin)
    assert report["failures"] == []
    assert [row for row in report["rules"] if row["verdict"] == "not examined"] == []
    assert (report["verdict"], report["exit"]) == ("PASS", 0)
    assert {rule for rule in ALL if findings.verdict(rule) is Verdict.NOT_REACHABLE} == set(NOT_REACHABLE)
    assert list(lines(report))[-1].startswith("PASS: timebank.example/aberdare/g1: ")


def test_a_rule_of_which_nothing_was_seen_is_never_passed() -> None:
    findings = Findings()
    assert overall(findings) == "NOT PROVEN"
    for rule in ALL:
        if rule not in NOT_REACHABLE:
            findings.expect(rule, "something", True, expected="")
    assert overall(findings) == "PASS"
    findings.skip("S7", "The node went away.")
    assert findings.verdict("S7") is Verdict.NOT_EXAMINED
    assert make_report(findings, version="1", origin="x")["exit"] == 3
    findings.expect("S7", "a duplicate", False, expected="no second effect", found="one")
    assert findings.verdict("S7") is Verdict.FAILED
    assert make_report(findings, version="1", origin="x")["exit"] == 1
