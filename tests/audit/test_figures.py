"""`timebank figures`: printed from exported journals alone; what a town published is made again and compared."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.audit.builder import Network
from tests.audit.given_out import figures
from tests.audit.season import season
from timebank_audit.cli_figures import read_rate
from timebank_audit.report import make_report
from timebank_audit.verify import verify
from timebank_contracts.errors import Malformed
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
