"""What is listed stays bounded and readable, whatever a hostile journal records."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from string import ascii_uppercase

from tests.audit.builder import Network
from tests.audit.claims_told import begin, record
from timebank_audit.listed import LISTED_MAX, MONEY_MAX
from timebank_audit.report import make_report
from timebank_audit.verify import verify
from timebank_contracts.canonical import INTEGER_MAX

MOST_MINOR_UNITS = 1_000_000_000_000


def test_sums_of_money_above_every_whole_number_are_listed_as_text(tmp_path: Path) -> None:
    network = Network("aberdare")
    town = network.towns["aberdare"]
    begin(town)
    many = INTEGER_MAX // MOST_MINOR_UNITS + 1
    for _ in range(many):
        record(town, MOST_MINOR_UNITS, programme="visits")
    report = make_report(verify([network.export(tmp_path)]), version="test")
    [row] = report["money"]
    assert (row["count"], row["minor_units"]) == (many, str(many * MOST_MINOR_UNITS))
    assert len(row["entries"]) == LISTED_MAX
    assert json.loads(json.dumps(report)) == report


def test_money_of_very_many_currencies_is_counted_and_not_all_listed(tmp_path: Path) -> None:
    network = Network("aberdare")
    town = network.towns["aberdare"]
    begin(town)
    for first, second in product(ascii_uppercase[:6], ascii_uppercase):
        record(town, 1, programme="visits", currency=f"X{first}{second}")
    report = make_report(verify([network.export(tmp_path)]), version="test")
    assert len(report["money"]) == MONEY_MAX + 1
    assert report["money"][-1]["currency"] == "further"
    assert sum(row["count"] for row in report["money"]) == 6 * 26
    assert report["verdict"] == "PASS"
