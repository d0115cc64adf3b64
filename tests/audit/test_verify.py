"""The auditor's promises: a good export passes, each planted fault gets exactly its code, and no check is idle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.audit import mutators_between_towns, mutators_of_claims, mutators_of_history, mutators_of_refunds
from tests.audit.between_told import tell_between
from tests.audit.builder import Network, key
from tests.audit.given_out import cosign_all, policy_text
from tests.audit.mutators import MUTATORS
from tests.audit.mutators_of_history import write_earlier
from tests.audit.season import season
from timebank_audit.cli import app
from timebank_audit.codes import CODES, Verdict
from timebank_audit.earlier import read_earlier
from timebank_audit.policy import read_policy
from timebank_audit.report import make_report
from timebank_audit.trust import FROM_EXPORT, Trust, trust_keys
from timebank_audit.verify import verify
from timebank_contracts.note import VerifierKey

assert mutators_between_towns, "importing it registers its faults"
assert mutators_of_claims, "so here"
assert mutators_of_refunds, "and here"
assert mutators_of_history, "and here"

UNREACHABLE = {"A35", "A46", "A47"}
"""Sums that `apply` and equal streams imply: they are reached only when the finer check is switched off."""

SUMS = [
    ("A30", {"A30"}, "A35"),
    ("A41", {"A41"}, "A46"),
    ("A41", {"A41", "A46"}, "A47"),
]


def audited(directory: Path, *, trust: Trust = FROM_EXPORT, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The report; the auditor's own files, when there are some, lie beside the towns."""
    policy, earlier = directory / "policy", directory / "earlier.json"
    if policy.exists():
        trust = trust_keys([], read_policy(policy))
    seen = read_earlier(earlier) if earlier.exists() else []
    return make_report(verify([directory], trust=trust, earlier=seen, without=without), version="test")


def codes(report: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in report["findings"]}


@pytest.mark.parametrize("name", sorted(MUTATORS))
def test_a_planted_fault_gets_exactly_its_code_and_exit_status(name: str, tmp_path: Path) -> None:
    """M-3: a script that looks at the exit status alone is told the same."""
    MUTATORS[name](tmp_path)
    own = {"--policy": tmp_path / "policy", "--earlier": tmp_path / "earlier.json"}
    options = [part for option, file in own.items() if file.exists() for part in (option, str(file))]
    result = CliRunner().invoke(app, ["verify", "--json", str(tmp_path), *options])
    report = json.loads(result.stdout)
    code = name[:3]
    assert codes(report) == {code}, report["findings"]
    assert report["exit"] == result.exit_code == (1 if CODES[code].verdict is Verdict.FAIL else 3)
    assert report["verdict"] == CODES[code].verdict.value


@pytest.mark.parametrize("name", sorted(MUTATORS))
def test_a_fault_is_not_seen_when_its_check_is_switched_off_and_the_audit_still_does_not_pass(
    name: str, tmp_path: Path
) -> None:
    MUTATORS[name](tmp_path)
    report = audited(tmp_path, without=frozenset({name[:3]}))
    assert name[:3] not in codes(report)
    assert report["verdict"] != "PASS"


@pytest.mark.parametrize(("name", "off", "code"), SUMS)
def test_the_sums_find_by_themselves_what_a_finer_check_would_have_found(
    name: str, off: set[str], code: str, tmp_path: Path
) -> None:
    MUTATORS[name](tmp_path)
    assert codes(audited(tmp_path, without=frozenset(off))) == {code}
    assert codes(audited(tmp_path, without=frozenset(off | {code}))).isdisjoint({code})


def test_every_check_has_a_fault_that_only_it_finds() -> None:
    assert {name[:3] for name in MUTATORS} | UNREACHABLE == set(CODES)
    assert {code for _, _, code in SUMS} == UNREACHABLE


def test_a_good_export_passes_and_every_check_examined_something(tmp_path: Path) -> None:
    network = season()
    write_earlier(network, tmp_path)
    network.towns["caernarfon"].give(5)
    cosign_all(network)
    (tmp_path / "policy").write_text(policy_text(network))
    report = audited(network.export(tmp_path))
    assert (report["verdict"], report["exit"], report["findings"]) == ("PASS", 0, [])
    skipped = [check["code"] for check in report["checks"] if check["verdict"] != "PASS"]
    assert skipped == ["A28"], "no town of the season lost state"


def test_two_towns_of_three_that_never_spoke_pass(tmp_path: Path) -> None:
    season().export(tmp_path)
    report = make_report(verify([tmp_path / "aberdare", tmp_path / "caernarfon"]), version="test")
    assert codes(report) == {"A48"}
    network = Network("aberdare", "barry")
    network.towns["aberdare"].give()
    quiet = make_report(verify([network.export(tmp_path / "quiet")]), version="test")
    assert quiet["verdict"] == "PASS"


def test_exports_of_different_moments_are_judged_at_the_greatest_consistent_cut(tmp_path: Path) -> None:
    network = season()
    network.towns["aberdare"].export(tmp_path)
    a, b, d = network.towns.values()
    a.send("barry", 21)
    b.hear(a)
    b.send("caernarfon", 9)
    d.hear(b)
    b.export(tmp_path)
    d.export(tmp_path)
    report = audited(tmp_path)
    towns = {town["town"]: town for town in report["towns"]}
    assert (report["verdict"], report["findings"]) == ("PASS", [])
    assert towns["barry"]["cut"] < towns["barry"]["size"]
    assert towns["caernarfon"]["cut"] < towns["caernarfon"]["size"]
    assert sum("greatest consistent cut" in sentence for sentence in report["not_proven"]) == 2
    assert {check["code"]: check["examined"] for check in report["checks"]}["A47"] == 3


def test_what_is_always_listed_is_listed(tmp_path: Path) -> None:
    report = audited(season().export(tmp_path))
    assert {(row["town"], row["kind"], row["count"], row["minutes"]) for row in report["listed"]} >= {
        ("aberdare", "reversal", 1, 15),
        ("barry", "grant", 1, 600),
        ("barry", "confirmed by nobody", 1, 5),
        ("caernarfon", "confirmed by a rule", 1, 30),
        ("caernarfon", "dispute overruled: the claim confirmed", 1, 66),
        ("caernarfon", "dispute overruled: the claim upheld", 2, 0),
        ("caernarfon", "leaver's minutes to an account", 1, 20),
        ("caernarfon", "leaver's debt borne by the pot", 1, 25),
    }


def test_refunds_of_both_towns_are_listed_and_a_claim_paid_while_disputed(tmp_path: Path) -> None:
    report = audited(tell_between().export(tmp_path))
    assert (report["verdict"], report["findings"]) == ("PASS", [])
    assert {(row["town"], row["kind"], row["count"], row["minutes"]) for row in report["listed"]} == {
        ("aberdare", "refund from another town", 2, 50),
        ("barry", "refund to another town", 3, 110),
        ("aberdare", "dispute overruled: the claim confirmed", 1, 15),
    }
    examined = {check["code"]: check["examined"] for check in report["checks"]}
    assert examined["A34"] == 3


def test_money_is_listed_by_currency_and_kind_and_never_as_hours(tmp_path: Path) -> None:
    report = audited(season().export(tmp_path))
    rows = {(row["currency"], row["kind"]): (row["count"], row["minor_units"]) for row in report["money"]}
    assert rows == {("GBP", "fee"): (2, "0"), ("GBP", "travel"): (1, "1250")}
    assert not any("money" in row["kind"] for row in report["listed"])


def test_a_key_that_came_with_the_export_is_listed_as_not_proven(tmp_path: Path) -> None:
    network = season()
    network.export(tmp_path)
    assert any("came with its export" in sentence for sentence in audited(tmp_path)["not_proven"])
    keys = [VerifierKey(town.identity.origin, town.log_key.public) for town in network.towns.values()]
    report = audited(tmp_path, trust=trust_keys(keys))
    assert report["verdict"] == "PASS"
    assert not any("came with its export" in sentence for sentence in report["not_proven"])


def test_a_log_whose_key_was_not_given_is_not_proven(tmp_path: Path) -> None:
    network = season()
    network.export(tmp_path)
    keys = [VerifierKey(town.identity.origin, town.log_key.public) for town in network.towns.values()]
    assert audited(tmp_path, trust=trust_keys(keys[:2]))["verdict"] == "NOT PROVEN"


def test_another_key_obtained_elsewhere_fails(tmp_path: Path) -> None:
    network = season()
    network.export(tmp_path)
    keys = [VerifierKey(town.identity.origin, key("another").public) for town in network.towns.values()]
    report = audited(tmp_path, trust=trust_keys(keys))
    assert "A10" in codes(report)
    assert report["exit"] == 1


def test_two_audits_of_the_same_files_give_the_same_hash_and_of_others_another(tmp_path: Path) -> None:
    season().export(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one, two = audited(tmp_path / "one"), audited(tmp_path / "two")
    assert json.dumps(one) == json.dumps(two)
    MUTATORS["A40"](tmp_path / "three")
    assert audited(tmp_path / "three")["sha256"] != one["sha256"]


def test_a_town_that_stops_does_not_stop_the_others(tmp_path: Path) -> None:
    MUTATORS["A30"](tmp_path)
    report = audited(tmp_path)
    towns = {town["town"]: town for town in report["towns"]}
    assert "stopped at entry" in towns["barry"]["unusable"]
    assert towns["aberdare"]["replayed"] == towns["aberdare"]["size"]


def test_a_finding_names_town_place_expected_and_found(tmp_path: Path) -> None:
    MUTATORS["A32"](tmp_path)
    [finding] = audited(tmp_path)["findings"]
    assert finding["town"] == "barry"
    assert finding["place"] == "entry 33"
    assert "alys" in finding["expected"]
    assert finding["found"].startswith("floor:")
