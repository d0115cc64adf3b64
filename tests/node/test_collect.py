"""An auditor collects a running node's log over HTTP, as a client with the scope audit:read, and verifies it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.node.test_cli import made
from tests.node.test_restore import Place
from timebank_audit.report import make_report
from timebank_audit.trust import read_vkey, trust_keys
from timebank_audit.verify import verify
from timebank_kit.web import RunningServer

pytestmark = pytest.mark.slow  # it opens a whole town


def test_a_running_node_is_collected_and_only_what_is_new_the_second_time(tmp_path: Path) -> None:
    place = Place(tmp_path)
    town = place.open()
    mine = tmp_path / "mine"
    words = ["audit", "collect", "--into", mine, "--client", "mirror", "--secret-file", place.secret]
    server = RunningServer(town.app)
    try:
        place.pay(town, *range(300))
        assert "2 bundles taken" in made(*words, "--vkey", place.opened.vkey, server.url)
        place.pay(town, 300, 301)
        town.ledger.writer.checkpoint(fresh=True)  # a served one may be a second old
        length = town.ledger.writer.tail.length
        said = made(*words, server.url)
        assert f"{length - 2} entries before, {length} now, 1 bundles taken" in said
    finally:
        server.stop()
        town.close()
    report = make_report(verify([mine], trust=trust_keys([read_vkey(place.opened.vkey)])), version="test")
    assert (report["verdict"], report["findings"]) == ("PASS", [])
    assert {check["code"]: check["examined"] for check in report["checks"]}["A11"] == 1
