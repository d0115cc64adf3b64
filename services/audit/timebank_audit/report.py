"""The report: one document without any clock in it, so that two auditors compare one line, its hash.

Source: design page 5, "Verdicts and exit codes" and the last paragraph.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from timebank_audit.books import positions, trial_balances
from timebank_audit.codes import CODES, EXITS, Verdict
from timebank_audit.findings import Findings
from timebank_audit.towns import Town
from timebank_audit.verify import Audit
from timebank_contracts import canonical

ALWAYS_NOT_PROVEN: Final = (
    "That hours were really worked.",
    "That nothing happened which was never entered in a journal.",
    "Anything, if all towns and all witnesses collude.",
    "That others were shown the same logs, beyond what the peers' journals, notes and witnesses here show; and entries "
    "after these checkpoints.",
)

UNPROVEN_MAX: Final = 20

NEEDED: Final = ("A01", "A02", "A03", "A04", "A10", "A35", "A39")
"""Checks without which an audit is never PASS: each must have examined something."""


def make_report(audit: Audit, *, version: str) -> dict[str, Any]:
    """The report as a document of the canonical profile; `sha256` is over its canonical bytes without that field.

    Args:
        audit: what was found.
        version: version of this tool.
    """
    findings = audit.findings
    not_proven = _not_proven(audit)
    verdict = overall(audit)
    report: dict[str, Any] = {
        "tool": "timebank audit verify",
        "version": version,
        "verdict": verdict.value,
        "exit": EXITS[verdict],
        "policy": {
            "keys": "with the export" if audit.trust.from_export else "obtained elsewhere",
            "trusted": [audit.trust.keys[origin].text for origin in sorted(audit.trust.keys)],
            "witnesses": [key.text for _, key in sorted(audit.trust.policy.witnesses.items())],
            "quorum": audit.trust.policy.quorum or "none",
            "unresolved_after_days": audit.unresolved_after_days,
            "without": sorted(findings.without),
        },
        "towns": [_town(town, audit) for town in audit.towns],
        "checks": [_check(code, findings) for code in CODES],
        "findings": [finding._asdict() | {"verdict": finding.verdict.value} for finding in _ordered(findings)],
        "trial_balances": trial_balances(audit.towns),
        "positions": positions(audit.towns),
        "pairs": [_pair(audit, index) for index in range(len(audit.pairs))],
        "listed": [row for town in audit.towns for row in _listed(town)],
        "money": [row for town in audit.towns for row in _money(town)],
        "not_proven": not_proven,
    }
    return report | {"sha256": sha256(canonical.encode(report)).hexdigest()}


def overall(audit: Audit) -> Verdict:
    """FAIL beats NOT PROVEN beats PASS; an audit that left something unexamined is not PASS."""
    findings = audit.findings
    verdicts = set(findings.verdicts.values())
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    incomplete = (
        Verdict.NOT_PROVEN in verdicts
        or bool(findings.without)
        or any(town.unusable for town in audit.towns)
        or findings.examined["A10"] < len(audit.towns)
        or any(findings.verdict(code) is not Verdict.PASS for code in NEEDED)
    )
    return Verdict.NOT_PROVEN if incomplete or not audit.towns else Verdict.PASS


def _not_proven(audit: Audit) -> list[str]:
    said = []
    for town in audit.towns:
        if town.unusable:
            said.append(f"{town.node}: {town.unusable}.")
        elif audit.cut.get(town.node, town.size) < town.size:
            cut = audit.cut[town.node]
            said.append(
                f"{town.node}: entries {cut} to {town.size - 1} lie after the greatest consistent cut; they answer "
                "messages that the other exports do not hold yet. Export all towns again to cover them."
            )
    said += _unpinned(audit)
    said += audit.unproven[:UNPROVEN_MAX]
    if len(audit.unproven) > UNPROVEN_MAX:
        said.append(f"{len(audit.unproven) - UNPROVEN_MAX} more that could not be used.")
    if audit.trust.from_export:
        said.append("That the log keys are the towns': each came with its export. Give keys obtained elsewhere.")
    elif audit.findings.examined["A10"] < len(audit.towns):
        said.append("Who signed some of these logs: no key for them was given.")
    if not audit.trust.policy.quorum:
        said.append("That witnesses saw these logs grow: the policy demands none (a line: quorum <name>).")
    if audit.findings.without:
        said.append(f"Checks that were switched off: {', '.join(sorted(audit.findings.without))}.")
    return [*said, *ALWAYS_NOT_PROVEN]


def _unpinned(audit: Audit) -> list[str]:
    """The registry documents on which everything rests, each once, with the towns that began with it."""
    first: dict[tuple[int, str], list[str]] = {}
    for town in audit.towns:
        version = town.registries.unpinned
        if version is not None:
            first.setdefault((version, town.registries.cited[version]), []).append(town.node)
    return [
        f"{', '.join(nodes)}: that registry version {version} ({sha256}) is the network's. Compare this hash with what "
        "its operators published."
        for (version, sha256), nodes in first.items()
    ]


def _ordered(findings: Findings) -> list[Any]:
    return sorted(findings.found, key=lambda finding: finding.code)


def _town(town: Town, audit: Audit) -> dict[str, Any]:
    checkpoint = town.checkpoint
    return {
        "town": town.node,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "replayed": town.size,
        "last_entry": town.replay.book.time,
        "cut": audit.cut.get(town.node, 0),
        "files": town.files.files_read,
        "files_sha256": town.files.digest,
        "unusable": town.unusable,
    }


def _check(code: str, findings: Findings) -> dict[str, Any]:
    check = CODES[code]
    return {
        "code": code,
        "name": check.name,
        "proves": check.proves,
        "unit": check.unit,
        "examined": findings.examined[code],
        "findings": findings.counts[code],
        "verdict": findings.verdict(code).value,
    }


def _pair(audit: Audit, index: int) -> dict[str, Any]:
    pair = audit.pairs[index]
    return {
        "towns": [pair.one, pair.other],
        "clearing": [pair.one_clearing, pair.other_clearing],
        "undecided": [pair.one_open.undecided, pair.other_open.undecided],
        "received": [pair.one_open.received, pair.other_open.received],
        "rejected": [pair.one_open.rejected, pair.other_open.rejected],
        "difference": pair.difference,
    }


def _listed(town: Town) -> list[dict[str, Any]]:
    listing = town.replay.listing
    return [
        {
            "town": town.node,
            "kind": kind,
            "count": listing.counts[kind],
            "minutes": listing.minutes[kind],
            "entries": [found.position for found in listing.entries if found.kind == kind],
        }
        for kind in sorted(listing.counts)
    ]


def _money(town: Town) -> list[dict[str, Any]]:
    """Minor units are text: a sum of them may be above every whole number of the canonical form."""
    listing = town.replay.listing
    rows = [
        {
            "town": town.node,
            "currency": currency,
            "kind": kind,
            "count": found.records,
            "minor_units": str(found.minor_units),
            "entries": found.entries,
        }
        for (currency, kind), found in sorted(listing.money.items())
    ]
    if listing.money_unlisted:
        more = {"currency": "further", "kind": "", "count": listing.money_unlisted, "minor_units": "", "entries": []}
        rows.append({"town": town.node, **more})
    return rows
