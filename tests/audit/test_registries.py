"""Registry versions in an export: missing ones, first ones, and what rests on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.audit.builder import NETWORK, OPERATOR, Network, Writer
from tests.audit.season import season
from timebank_audit.refusals import BREACHED, REFUSED
from timebank_audit.report import make_report
from timebank_audit.verify import verify
from timebank_contracts import entries as e
from timebank_contracts.errors import BREACHES, REFUSALS


def audited(directory: Path) -> dict[str, Any]:
    return make_report(verify([directory]), version="test")


def test_every_refusal_and_breach_belongs_to_a_check() -> None:
    assert REFUSED.keys() == REFUSALS.keys()
    assert BREACHED.keys() == BREACHES


def test_a_registry_version_that_is_not_in_the_export_is_not_proven(tmp_path: Path) -> None:
    season().export(tmp_path)
    (tmp_path / "barry/registry/2.json").unlink()
    report = audited(tmp_path)
    assert [(finding["code"], finding["verdict"]) for finding in report["findings"]] == [("A22", "NOT PROVEN")]
    assert report["exit"] == 3


def test_the_first_registry_is_named_by_its_hash_as_not_proven(tmp_path: Path) -> None:
    report = audited(season().export(tmp_path))
    sentences = [sentence for sentence in report["not_proven"] if "registry version 1" in sentence]
    assert len(sentences) == 1
    assert sentences[0].startswith("aberdare, barry, caernarfon: ")


def late_joiner(network: Network) -> Writer:
    """A town that begins with the registry's second version."""
    town = network.towns["barry"]
    town.rewind(0)
    town.registries = {}
    data = e.Opened(network=NETWORK, node="barry", generation="g1", rules=1)
    town.write([e.NodeOpened(n=0, time=network.tick(), by=OPERATOR, data=data)])
    registry = network.make_registry(limit=500, previous=network.registry)
    town.accept(registry, network.sign(registry))
    return town


def test_a_town_that_joined_later_begins_with_a_later_version(tmp_path: Path) -> None:
    late_joiner(Network("aberdare", "barry")).export(tmp_path)
    report = audited(tmp_path)
    assert report["findings"] == []
    assert any("barry: that registry version 2" in sentence for sentence in report["not_proven"])


def test_a_version_after_one_that_was_left_out_is_not_proven(tmp_path: Path) -> None:
    network = Network("aberdare", "barry")
    skipped = network.make_registry(limit=500, previous=network.registry)
    registry = network.make_registry(limit=400, previous=skipped)
    town = network.towns["barry"]
    town.accept(registry, network.sign(registry))
    town.export(tmp_path)
    assert audited(tmp_path)["exit"] == 3
    (tmp_path / "barry/registry/2.json").write_bytes(network.sign(skipped))
    assert audited(tmp_path)["exit"] == 0
