"""A plain export holds what witnesses cosigned, so that an auditor's quorum is met; without cosignatures it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.federation.test_witnessing import WITNESS, asks, grow, open_all
from tests.federation.towns import FederatedTown, Network
from tests.node.test_cli import made, run
from timebank_audit.policy import parse_policy
from timebank_audit.report import make_report
from timebank_audit.trust import trust_keys
from timebank_audit.verify import verify
from timebank_contracts.checkpoint import open_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.note import parse_vkey
from timebank_node.given_notes import given_notes

pytestmark = pytest.mark.slow  # two whole towns and a witness


def exported(town: FederatedTown, folder: Path, *, only_cosigned: bool = False) -> str:
    """Export a town as `timebank node export` does; the sentence that it says."""
    registries = town.federation.registries
    newest = town.ledger.writer.checkpoint(fresh=True)
    given = given_notes(town.home, registries.latest, newest, only_cosigned=only_cosigned)
    town.ledger.export(
        folder / town.home.identity.node,
        vkey=town.home.vkey,
        registries=registries.envelopes,
        checkpoint=given.checkpoint,
        notes=given.others,
    )
    return given.words


def policy_of(network: Network) -> str:
    """A policy that demands the witness."""
    logs = "".join(f"log {town.home.vkey}\n" for town in network.towns.values())
    return f"{logs}witness w1 {WITNESS.text}\nquorum w1\n"


def audited(network: Network, folder: Path) -> dict[str, Any]:
    """The report under that policy."""
    policy = parse_policy(policy_of(network))
    return make_report(verify([folder], trust=trust_keys([], policy)), version="test")


def codes(report: dict[str, Any]) -> list[str]:
    return sorted({finding["code"] for finding in report["findings"]})


def test_two_towns_and_a_witness_that_is_no_town_pass_under_a_quorum(tmp_path: Path) -> None:
    """A14: a cosigned export passes, an earlier one is NOT PROVEN."""
    with open_all(tmp_path / "towns", on_disk=True) as (network, _):
        network.send("aberdare", "barry", key="one")
        network.pump()
        for name, town in network.towns.items():
            assert "No witness cosigned" in exported(town, tmp_path / "before"), name
        report = audited(network, tmp_path / "before")
        assert (report["verdict"], codes(report)) == ("NOT PROVEN", ["A14"])
        for town in network.towns.values():
            assert asks(network, town) == 1
            assert exported(town, tmp_path / "out") == "The checkpoint is cosigned by 1 witness."
        report = audited(network, tmp_path / "out")
        assert (report["verdict"], codes(report)) == ("PASS", [])
        policy = tmp_path / "policy"
        policy.write_text(policy_of(network), "ascii")
        made("audit", "verify", tmp_path / "out", "--policy", policy)
        made("audit", "export", tmp_path / "out", "--into", tmp_path / "all.tbaudit")
        made(
            "audit", "collect", tmp_path / "all.tbaudit", "--into", tmp_path / "mine", "--cosigned", "--policy", policy
        )
        for folder in ("all.tbaudit", "mine"):
            made("audit", "verify", tmp_path / folder, "--policy", policy)
        assert run("audit", "verify", tmp_path / "before", "--policy", policy).exit_code == 3


def test_entries_after_the_cosigned_checkpoint_are_left_out_on_demand_and_else_not_proven(tmp_path: Path) -> None:
    with open_all(tmp_path / "towns", on_disk=True) as (network, _):
        for town in network.towns.values():
            asks(network, town)
            grow(town, "later")
            assert "--cosigned" in exported(town, tmp_path / "plain")
            assert "by 1 witness" in exported(town, tmp_path / "cosigned", only_cosigned=True)
            [earlier] = (tmp_path / "plain" / town.home.identity.node / "checkpoints").iterdir()
            assert open_checkpoint(earlier.read_bytes(), parse_vkey(town.home.vkey)).size > 0
        assert codes(audited(network, tmp_path / "plain")) == ["A14"]
        assert codes(audited(network, tmp_path / "cosigned")) == []


def test_what_the_node_cosigned_of_its_peers_is_given_and_compared(tmp_path: Path) -> None:
    with open_all(tmp_path / "towns", on_disk=True) as (network, _):
        aberdare, barry = network.towns.values()
        witnessed = aberdare.home.folder / "witnessed"
        witnessed.mkdir()
        (witnessed / "barry.note").write_bytes(barry.ledger.writer.checkpoint(fresh=True))
        (witnessed / "torn.note").write_bytes(b"timebank")
        for town in network.towns.values():
            grow(town, "later")
            exported(town, tmp_path / "out")
        assert len(list((tmp_path / "out" / "aberdare" / "notes").iterdir())) == 1
        report = audited(network, tmp_path / "out")
        assert {check["code"]: check["examined"] for check in report["checks"]}["A15"] == 1
        assert codes(report) == ["A14"]


def test_only_what_was_cosigned_is_refused_where_nothing_was(tmp_path: Path) -> None:
    with open_all(tmp_path / "towns", on_disk=True) as (network, _):
        town = network["aberdare"]
        with pytest.raises(Malformed, match="No witness cosigned"):
            exported(town, tmp_path / "out", only_cosigned=True)
