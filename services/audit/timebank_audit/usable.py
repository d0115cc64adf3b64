"""The towns of an audit whose books may be shown: nothing is printed of a journal that failed a check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from timebank_audit.codes import Verdict
from timebank_audit.edge import Unsound, verify_with_a_bar
from timebank_audit.towns import Town
from timebank_audit.trust import FROM_EXPORT, Trust
from timebank_audit.verify import Audit
from timebank_contracts.errors import Malformed


def audit_for_books(paths: Sequence[Path], trust: Trust = FROM_EXPORT) -> Audit:
    """Audit towns in order to show their books.

    Raises:
        Malformed: the input is not what it must be.
        Unsound: a journal failed a check.
    """
    audited = verify_with_a_bar(paths, trust)
    failed = [finding for finding in audited.findings.found if finding.verdict is Verdict.FAIL]
    if failed:
        found = failed[0]
        raise Unsound(f"{found.code} {found.town} {found.place}: expected {found.expected}; found {found.found}")
    return audited


def town_of(audited: Audit, name: str | None) -> Town:
    """The town of this name, or the only one; raises `Malformed`."""
    usable = {town.node: town for town in audited.towns if not town.unusable}
    if name is None and len(usable) == 1:
        return next(iter(usable.values()))
    if name is None or name not in usable:
        raise Malformed(f"Name a town with --town: {', '.join(usable) or 'none can be used'}.")
    return usable[name]
