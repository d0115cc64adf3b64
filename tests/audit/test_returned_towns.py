"""A town that lost state and came back: its journal and its peers' are compared across the break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.audit.builder import Network
from tests.audit.returned import go_on, lose, put_back, returned
from timebank_audit.codes import Verdict
from timebank_audit.report import make_report
from timebank_audit.verify import verify
from timebank_contracts import entries as e


def report_of(network: Network, directory: Path) -> dict[str, Any]:
    return make_report(verify([network.export(directory)]), version="test")


def findings(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["code"], one["verdict"]) for one in report["findings"]]


def test_a_town_that_put_everything_back_passes_and_what_it_put_back_is_listed(tmp_path: Path) -> None:
    """PROTOCOL.md X7 to X12."""
    network = returned()
    aberdare, barry = network.towns.values()
    put_back(aberdare, barry)
    aberdare.hear(barry)
    barry_balance = barry.book.accounts["bryn"].balance
    aberdare.send("barry", 7)
    barry.hear(aberdare)
    aberdare.hear(barry)
    assert barry.book.accounts["bryn"].balance == barry_balance + 7
    report = report_of(network, tmp_path)
    assert findings(report) == []
    assert report["verdict"] == "PASS"
    assert [pair["difference"] for pair in report["pairs"]] == [0]
    kinds = {row["kind"] for row in report["listed"] if row["town"] == "aberdare"}
    assert "state lost: the journal goes on in a new generation" in kinds
    assert "recovered from a peer: a message" in kinds


def test_in_the_middle_of_it_the_sums_hold_and_what_is_missing_is_not_proven(tmp_path: Path) -> None:
    """PROTOCOL.md X8: before anything was put back, and before Barry's stream was taken again."""
    network = returned()
    aberdare, barry = network.towns.values()
    before = report_of(network, tmp_path / "before")
    assert findings(before) == [("A28", Verdict.NOT_PROVEN.value)]
    put_back(aberdare, barry)
    assert aberdare.book.forced
    after = report_of(network, tmp_path / "after")
    assert findings(after) == []
    assert [pair["difference"] for pair in after["pairs"]] == [0]


def test_what_was_said_again_is_one_transfer_with_one_outcome(tmp_path: Path) -> None:
    """PROTOCOL.md X11."""
    network = Network("aberdare", "barry")
    aberdare, barry = network.towns.values()
    aberdare.send("barry", 30)
    aberdare.send("barry", 8, payee="nobody")
    size = len(aberdare.raws)
    lose(network, aberdare, size)
    put_back(aberdare, barry)
    barry.hear(aberdare)
    middle = report_of(network, tmp_path / "middle")
    assert findings(middle) == []
    aberdare.hear(barry)
    assert not aberdare.book.open_transfers
    assert findings(report_of(network, tmp_path / "end")) == []


def test_a_peer_that_says_less_than_it_applied_is_found(tmp_path: Path) -> None:
    """PROTOCOL.md X10: in league with the town that does not want to have sent it."""
    network = returned()
    aberdare, barry = network.towns.values()
    known = aberdare.book.peers["barry"].returning
    assert known is not None
    put_back(aberdare, barry, until=0, n=known.said.n, chain=known.said.chain.hex())
    found = findings(report_of(network, tmp_path))
    assert ("A28", "FAIL") in found


def test_a_prefix_that_is_not_what_was_published_is_found(tmp_path: Path) -> None:
    """PROTOCOL.md X7."""
    network = returned()
    aberdare = network.towns["aberdare"]
    position = next(n for n, raw in enumerate(aberdare.raws) if n and b'"node.opened"' in raw)
    opened = e.decode_entry(aberdare.raws[position])
    assert isinstance(opened, e.NodeOpened)
    rest = aberdare.raws[position + 1 :]
    aberdare.rewind(position)
    assert isinstance(opened.data.previous, e.Previous)
    go_on(aberdare, replace(opened.data.previous, root="ab" * 32))
    aberdare.raws += rest
    assert ("A28", "FAIL") in findings(report_of(network, tmp_path))


@pytest.mark.parametrize("told", [True, False], ids=["peers-were-told-otherwise", "nobody-was-told"])
def test_a_rewritten_prefix_is_found_by_what_peers_were_told_of_it(tmp_path: Path, told: bool) -> None:
    """PROTOCOL.md X7: the peers' journals hold the size and root that the old generation stated."""
    network = Network("aberdare", "barry")
    aberdare, barry = network.towns.values()
    aberdare.tells_size = told
    aberdare.give(10)
    aberdare.send("barry", 30)
    barry.hear(aberdare)
    aberdare.hear(barry)
    size = len(aberdare.raws)
    gift = next(n for n, raw in enumerate(aberdare.raws) if b'"transfer.posted"' in raw)
    posted = e.decode_entry(aberdare.raws[gift])
    aberdare.raws[gift] = e.encode_entry(replace(posted, postings=[("alys", -9), ("bryn", 9)]))
    aberdare.rewind(size)
    lose(network, aberdare, size)
    put_back(aberdare, barry)
    found = findings(report_of(network, tmp_path))
    assert (("A28", "FAIL") in found) == told


def test_an_older_export_of_the_peer_shortens_what_came_back_from_it(tmp_path: Path) -> None:
    """PROTOCOL.md I5: what was handed back was applied there before."""
    network = returned()
    aberdare, barry = network.towns.values()
    mark = next(n for n, raw in enumerate(barry.raws) if b'"transfer.received"' in raw)
    early = barry.raws[: mark + 1]
    put_back(aberdare, barry)
    aberdare.hear(barry)
    barry.raws = early
    report = report_of(network, tmp_path)
    assert [pair["difference"] for pair in report["pairs"]] == [0]
    assert "FAIL" not in [verdict for _, verdict in findings(report)]
