"""`timebank figures`: printed from exported journals alone; what a town published is made again and compared."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from tests.audit.builder import MEMBER, OPERATOR, Network
from tests.audit.given_out import figures
from tests.audit.season import season
from timebank_audit.cli_figures import read_rate
from timebank_audit.figures_given import judge_given, read_given
from timebank_audit.figures_shown import rows_of
from timebank_audit.figures_words import FIGURE_WORDS
from timebank_audit.findings import Findings
from timebank_audit.report import make_report
from timebank_audit.verify import verify
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import ConfirmedBy, Purpose
from timebank_contracts.figures_label import Label
from timebank_ledger import commands as c
from timebank_node.cli import app

DAYS = ("--from", "2025-06-01", "--to", "2026-05-31")


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["figures", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, result.output


@pytest.fixture
def network() -> Network:
    return season()


@pytest.fixture
def out(network: Network, tmp_path: Path) -> Path:
    """Three exported towns."""
    return network.export(tmp_path / "out")


def test_the_figures_of_a_town_are_those_of_its_journal(network: Network, out: Path) -> None:
    town = network.towns["barry"]
    code, printed = run(out, "--town", "barry", *DAYS, "--json")
    assert (code, json.loads(printed)) == (0, figures(town, len(town.raws)))
    code, printed = run(out, "--town", "barry", *DAYS, "--json", "--public")
    assert (code, json.loads(printed)) == (0, figures(town, len(town.raws), public=True))


def test_page_and_table_say_what_the_document_says(network: Network, out: Path) -> None:
    """O-1."""
    product = figures(network.towns["barry"], len(network.towns["barry"].raws))["product"]
    code, printed = run(out, "--town", "barry", *DAYS, "--csv")
    rows = {(row["figure"], row["row"]): row["value"] for row in csv.DictReader(io.StringIO(printed))}
    assert code == 0
    assert rows["product.given_minutes", ""] == str(product["given_minutes"])
    cells = {
        (f"product.confirmed_by.{key}", row["by"]): str(row[key]) for row in product["confirmed_by"] for key in row
    }
    assert {key: value for key, value in cells.items() if not key[0].endswith(".by")}.items() <= rows.items()
    code, printed = run(out, "--town", "barry", *DAYS)
    assert code == 0
    assert f"given minutes: {product['given_minutes']} (" in printed
    assert "Low direct reciprocity is normal" in printed


def test_every_name_has_a_welsh_word(network: Network, tmp_path: Path) -> None:
    """P-4: by the reader's language for a reader, fixed in what programs read."""
    with_programme(network)
    out = network.export(tmp_path / "out")
    town = json.loads(run(out, "--town", "barry", *DAYS, "--rate", "1260,GBP,2026-01-01,a", "--json")[1])
    found = [*rows_of(town), *rows_of(json.loads(run(out, *DAYS, "--json")[1]))]
    parts = {part for row in found if "." in row.figure for part in row.figure.split(".")}
    parts -= {"period", "first_day", "last_day", "zone", "label_first_day", *network.towns}
    assert parts - FIGURE_WORDS["cy"].keys() == set()
    assert {*get_args(ConfirmedBy), *get_args(Purpose), *get_args(Label)} - {"service"} <= FIGURE_WORDS["cy"].keys()
    code, printed = run(out, "--town", "barry", *DAYS, "--lang", "cy", "--public")
    assert code == 0
    assert "Cynnyrch Domestig Dinesig:" in printed
    assert "(y tu allan), munudau a roddwyd: cedwir yn ôl, neu ddim" in printed


def test_towns_together_give_what_they_use_and_what_is_not_yet_settled(out: Path) -> None:
    code, printed = run(out, *DAYS, "--json")
    found = json.loads(printed)
    product = found["product"]
    assert (code, found["is_complete"]) == (0, True)
    assert product["home_minutes"] + product["import_minutes"] == product["used_minutes"]
    left = product["given_minutes"] + product["exports_by_others_minutes"] - product["used_minutes"]
    assert left == product["not_yet_settled_minutes"] >= 0
    assert sorted(row["town"] for row in found["towns"]) == ["aberdare", "barry", "caernarfon"]
    code, printed = run(out / "aberdare", out / "barry", *DAYS, "--json")
    assert (code, json.loads(printed)["is_complete"]) == (0, False)
    assert json.loads(printed)["product"]["not_yet_settled_minutes"] is None
    assert json.loads(run(out, *DAYS, "--json", "--public")[1])["public"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--from", "2026-02-30"),
        ("--from", "2026-02-02", "--to", "2026-02-01"),
        ("--zone", "Nowhere/Town"),
        ("--programme", "canu"),
        ("--pledge", "clwb"),
        ("--rate", "12.60,GBP,2026-01-01,x"),
        ("--json", "--csv"),
        ("--town", "dinas"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence_and_exit_2(wrong: tuple[str, ...], out: Path) -> None:
    town = () if "--town" in wrong else ("--town", "barry")
    code, printed = run(out, *town, *wrong)
    assert code == 2
    assert printed.count("\n") == 1


def test_a_rate_has_its_currency_day_and_source() -> None:
    assert read_rate("1260,GBP,2026-01-01,wages, all trades").source == "wages, all trades"
    with pytest.raises(Malformed):
        read_rate("1260,GBP,2026-01-01,")


def verdicts(network: Network, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    report = make_report(verify([network.export(folder)]), version="test")
    return report["findings"], report["not_proven"]


def test_figures_that_a_town_published_pass_when_they_are_true(network: Network, tmp_path: Path) -> None:
    town = network.towns["barry"]
    for name, entries, public in (("a", len(town.raws), False), ("b", len(town.raws) - 4, True)):
        town.extras[f"figures/{name}.json"] = json.dumps(figures(town, entries, public=public)).encode()
    findings, _ = verdicts(network, tmp_path)
    assert findings == []


def test_a_withheld_number_that_is_shown_is_found_too(network: Network, tmp_path: Path) -> None:
    """O-1: A70 names the number, what is right and what was said."""
    town = network.towns["barry"]
    said = figures(town, len(town.raws), public=True)
    assert said["product"]["home_minutes"] is None
    said["product"]["home_minutes"] = 12
    town.extras["figures/a.json"] = json.dumps(said).encode()
    [finding], _ = verdicts(network, tmp_path)
    assert (finding["code"], finding["town"], finding["found"]) == ("A70", "barry", "12")
    assert finding["place"].endswith("product.home_minutes")


def test_figures_beyond_the_export_of_another_form_or_of_a_network_are_not_compared(
    network: Network, out: Path, tmp_path: Path
) -> None:
    town = network.towns["barry"]
    beyond = figures(town, len(town.raws))
    beyond["cut"]["entries"] += 1
    for name, said in (
        ("beyond", beyond),
        ("later", {**figures(town, 5), "version": 2}),
        ("network", json.loads(run(out, *DAYS, "--json")[1])),
    ):
        town.extras[f"figures/{name}.json"] = json.dumps(said).encode()
    findings, not_proven = verdicts(network, tmp_path)
    assert findings == []
    assert [sum(word in line for line in not_proven) for word in ("beyond the export", "form 2", "a network")] == [
        1
    ] * 3


@pytest.mark.parametrize(
    "text", ["[]", '{"document": "timebank figures"}', '{"document": "timebank figures", "version": {}}']
)
def test_what_is_no_document_of_figures_is_malformed(text: str, network: Network, tmp_path: Path) -> None:
    network.towns["barry"].extras["figures/a.json"] = text.encode()
    with pytest.raises(Malformed):
        verify([network.export(tmp_path)])


def paths_of(said: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a document, its tables and rows too."""
    inner = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from paths_of(value, (*path, key))


def changed(said: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    found = deepcopy(said)
    inner: Any = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return found


@pytest.mark.parametrize("public", [False, True])
def test_whatever_is_changed_in_a_published_document_is_noticed_and_breaks_nothing(
    public: bool, network: Network, tmp_path: Path
) -> None:
    """O-1."""
    with_programme(network)
    said = figures(network.towns["barry"], len(network.towns["barry"].raws), public=public)
    town = next(one for one in verify([network.export(tmp_path)]).towns if one.node == "barry")
    # What the reader adds, and which days are asked about, is taken as it is said.
    free = {"policy", "period", "replacement", "pledged_minutes"}
    tried = 0
    for path in paths_of(said):
        for value in (None, -1, "x\x1b[2J") if public else (2**63, 1.5, {}):
            raw = json.dumps(changed(said, path, value)).encode()
            if raw == json.dumps(said).encode():
                continue
            findings, unproven = Findings(), list[str]()
            try:
                given = read_given(town, "figures/a.json", raw, unproven)
                judge_given(town, [] if given is None else [given], findings)
            except Malformed:
                continue
            tried += 1
            if not free & set(path):
                assert findings.counts["A70"] or unproven, path
            assert all("\x1b" not in f"{one.place}{one.expected}{one.found}" for one in findings.found)
    assert tried > 100


def with_programme(network: Network) -> None:
    """Barry gets an organisation with a programme, and hours in it."""
    town = network.towns["barry"]
    town.do(c.OpenAccount(by=OPERATOR, account="clwb", kind="organisation"))
    town.do(c.OpenAccount(by=OPERATOR, account="garddio", kind="programme", owner="clwb"))
    for postings in ((("garddio", -30), ("alys", 30)), (("bryn", -20), ("garddio", 20))):
        said: dict[str, Any] = {
            "purpose": "service",
            "confirmed_by": "receiver",
            "activity": "garden",
            "served_on": "2026-01-01",
        }
        town.do(c.PostTransfer(by=MEMBER, key=None, postings=postings, **said))


def test_one_programme_is_shown_by_itself(network: Network, tmp_path: Path) -> None:
    with_programme(network)
    out = network.export(tmp_path / "out")
    code, printed = run(out, "--town", "barry", "--programme", "garddio", *DAYS, "--json")
    [row] = json.loads(printed)["programmes"]
    assert (code, row["label"], row["given_minutes"], row["used_minutes"]) == (0, "none", 30, 20)
    code, printed = run(out, "--town", "barry", "--programme", "garddio", *DAYS)
    assert code == 0
    assert "  garddio, given minutes: 30 (0:30 h)" in printed
    code, printed = run(out, "--town", "barry", *DAYS, "--pledge", "clwb=40", "--csv")
    assert code == 0
    assert "organisations.accepted_of_pledged,clwb,20,40," in printed
