"""A town that is closed for ever: what comes back from it is listed, and accuses nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.audit.builder import Network, Writer
from timebank_audit.report import make_report
from timebank_audit.verify import verify
from timebank_contracts import entries as e
from timebank_ledger.timer import due_commands


def close(network: Network, gone: str, *witnesses: Writer) -> None:
    """The next registry version closes a town; others accept it and do what is due."""
    following = network.make_registry(limit=3_000, previous=network.registry)
    nodes = [replace(node, state="closed") if node.node == gone else node for node in following.nodes]
    network.registry = replace(following, nodes=nodes)
    for town in witnesses:
        town.accept(network.registry, network.sign(network.registry))
        for command in list(due_commands(town.book, town.book.time)):
            town.do(command)


@pytest.mark.parametrize("heard", [False, True], ids=["never-heard", "credited-and-unheard"])
def test_a_return_from_a_closed_town_is_listed_and_no_fault(tmp_path: Path, heard: bool) -> None:
    """PROTOCOL.md X6: what was credited there and came back here is counted apart."""
    network = Network("aberdare", "barry")
    aberdare, barry = network.towns.values()
    aberdare.send("barry", 30)
    barry.hear(aberdare)
    aberdare.hear(barry)
    aberdare.send("barry", 12)
    if heard:
        barry.hear(aberdare)
    close(network, "barry", aberdare)
    last = e.decode_entry(aberdare.raws[-1])
    assert isinstance(last, e.TransferReturned)
    report = make_report(verify([network.export(tmp_path)]), version="test")
    assert report["findings"] == []
    assert report["verdict"] == "PASS"
    assert [pair["difference"] for pair in report["pairs"]] == [0]
    kinds = [row["kind"] for row in report["listed"]]
    assert "returned from a town that the registry closed" in kinds
    assert "generation of a peer closed by the registry" in kinds
