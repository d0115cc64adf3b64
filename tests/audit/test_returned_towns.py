"""A town that lost state and came back: its own journal is judged, and the streams across the break are NOT PROVEN."""

from __future__ import annotations

from pathlib import Path

from contracts.vectors import paper_return as back
from contracts.vectors.paper_town import PaperTown, talk, two_towns
from timebank_audit.codes import Verdict
from timebank_audit.report import make_report
from timebank_audit.verify import verify
from timebank_contracts.log_files import town_files


def export(town: PaperTown, directory: Path) -> None:
    for path, content in town_files(town.book.me, town.journal, log_key=town.log_key, registries={}):
        file = directory / town.node / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def test_a_town_that_came_back_is_never_accused_and_never_passed_as_if_nothing_had_been(tmp_path: Path) -> None:
    town, peer, _, bryn = two_towns()
    before = len(town.entries)
    town.send("alys", "barry", bryn, 5)
    talk(town, peer)
    again = back.restored(town, before)
    back.go_on(again, registry=max(town.book.registry_version, peer.book.registry_version) + 1)
    back.close_for(peer, again, version=again.book.registry_version)
    back.put_back(again, peer)
    for one in (again, peer):
        export(one, tmp_path)
    audit = verify([tmp_path])
    report = make_report(audit, version="test")
    failed = [finding for finding in audit.findings.found if finding.verdict is Verdict.FAIL]
    # These towns live on paper, without a registry that anybody signed: A21 says so of each peer's keys.
    assert [finding for finding in failed if finding.code != "A21"] == []
    found = {one["town"]: one for one in report["towns"]}
    assert found[again.node]["replayed"] == len(again.entries)
    assert f"went on at entry {again.book.began['g2']}" in found[again.node]["unusable"]
    kinds = {row["kind"] for row in report["listed"] if row["town"] == again.node}
    assert "state lost: the journal goes on in a new generation" in kinds
    assert "recovered from a peer: a message" in kinds
