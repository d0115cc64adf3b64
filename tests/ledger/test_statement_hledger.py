"""The journal as plain text: hledger accepts it, finds it cut off, and adds it up to the trial balance."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger.busy_town import ACTS, Act, live
from tests.ledger.pair_of_towns import carry, open_pair
from tests.ledger.town_api import START, Town, gift, open_town

PATH = "/v1/journal.hledger"
GROUPS = {"members": "member", "organisations": "organisation", "pots": "pot"}


@pytest.fixture(scope="module")
def hledger() -> str:
    """The program; where CI is set a machine without it fails, elsewhere the test is skipped."""
    found = shutil.which("hledger")
    if found is None:
        sentence = "hledger is not installed: on Debian, apt-get install hledger"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence, pytrace=False)
        pytest.skip(sentence)
    assert found is not None
    return found


def _run(hledger: str, text: str, *command: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/nonexistent"}
    return subprocess.run(
        [hledger, "-f", "-", *command], input=text, capture_output=True, text=True, env=environ, check=False
    )


def _checked(hledger: str, text: str) -> str:
    for checks in (["--strict"], ["ordereddates"]):
        done = _run(hledger, text, "check", *checks)
        assert (done.returncode, done.stderr) == (0, "")
    return text


def _balances(hledger: str, text: str) -> dict[str, int]:
    done = _run(hledger, text, "balance", "--empty", "--no-total", "-O", "csv")
    assert (done.returncode, done.stderr) == (0, "")
    rows = csv.DictReader(io.StringIO(done.stdout))
    return {row["account"]: int(row["balance"].removesuffix(" min")) for row in rows}


def _busy(town: Town) -> Any:
    """A service, a gift to the pot and a reversal, over the turn of a quarter at night."""
    service = {"purpose": "service", "activity": "garden", "served_on": "2026-03-01"}
    operator = town.operator()
    operator.post("/v1/transfers", gift("alys", "bryn", 90) | service)
    operator.post("/v1/transfers", gift("alys", "pot", 45) | {"purpose": "pot"})
    town.clock.advance((datetime(2026, 3, 31, 23, 30, tzinfo=UTC) - START).total_seconds())
    operator = town.operator()
    last = operator.post("/v1/transfers", gift("bryn", "library", 10)).json()["id"]
    operator.post(f"/v1/transfers/{last}/reversal", {"reason": "mistake"})
    return operator


def test_hledger_accepts_the_journal_and_agrees_with_the_accounts(hledger: str, town: Town) -> None:
    operator = _busy(town)
    answer = operator.get(PATH)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "aberdare-g1-0-10.journal" in answer.headers["content-disposition"]
    text = _checked(hledger, answer.text)
    accounts = operator.get("/v1/accounts").json()["accounts"]
    found = {name.partition(":")[2]: balance for name, balance in _balances(hledger, text).items()}
    assert found == {one["account"]: one["balance"] for one in accounts}
    assert "2026-04-01 (8) transfer.posted" in text
    assert "reverses:aberdare.g1.8, reason:mistake" in text


def test_quarters_make_the_half_year(hledger: str, town: Town) -> None:
    """E-3."""
    operator = _busy(town)
    first = _checked(hledger, operator.get(PATH, **{"from": "2026-01-01", "to": "2026-03-31"}).text)
    second = _checked(hledger, operator.get(PATH, **{"from": "2026-04-01", "to": "2026-06-30"}).text)
    half = _checked(hledger, operator.get(PATH, **{"from": "2026-01-01", "to": "2026-06-30"}).text)
    code = re.compile(r"^\S+ \(([0-9]+)\)", re.MULTILINE)
    assert [code.findall(text) for text in (first, second, half)] == [["6", "7"], ["8", "9"], ["6", "7", "8", "9"]]
    assert _balances(hledger, second) == _balances(hledger, half)


def test_a_journal_that_lost_a_transaction_is_not_accepted(hledger: str, town: Town) -> None:
    text = _busy(town).get(PATH).text
    parts = text.split("\n\n")
    without = "\n\n".join(part for part in parts if "(7)" not in part)
    assert without != text
    assert _run(hledger, without, "check").returncode != 0


def test_the_journal_of_two_towns_has_transit_and_clearing(hledger: str) -> None:
    with open_pair() as (aberdare, barry):
        alias = barry.member("bryn").post("/v1/accounts/bryn/aliases", {}).json()["alias"]
        body = gift("alys", "", 30) | {"payee": {"node": "barry", "alias": alias}}
        aberdare.member("alys").post("/v1/transfers", body)
        carry(aberdare, barry)
        carry(barry, aberdare)
        here = _balances(hledger, _checked(hledger, aberdare.operator().get(PATH).text))
        there = _balances(hledger, _checked(hledger, barry.operator().get(PATH).text))
    assert (here["members:alys"], here["clearing:barry"], here["transit:barry"]) == (-30, 30, 0)
    assert (there["members:bryn"], there["clearing:aberdare"]) == (30, -30)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS, start=st.integers(0, 40), stop=st.integers(0, 40))
def test_hledger_agrees_with_the_trial_balance_of_every_range(
    hledger: str, acts: list[Act], start: int, stop: int
) -> None:
    with open_town() as town:
        live(town, acts)
        start, stop = min(start, stop), max(start, stop)
        operator = town.operator()
        text = _checked(hledger, operator.get(PATH, from_position=start, to_position=stop).text)
        credit = dict.fromkeys(GROUPS.values(), 0)
        for name, balance in _balances(hledger, text).items():
            credit[GROUPS[name.partition(":")[0]]] += max(0, balance)
        rows = operator.get("/v1/trial-balance", position=stop).json()["rows"]
        assert {kind: minutes for kind, minutes in credit.items() if minutes} == {
            row["kind"]: row["credit"] for row in rows if row["credit"]
        }


def test_only_operators_and_auditors_read_the_journal(town: Town) -> None:
    assert town.member("alys").get(PATH).json()["code"] == "forbidden"
    assert town.client("statements:read", "reports:read").get(PATH).json()["code"] == "forbidden"
    assert town.client("audit:read").get(PATH).status_code == 200
