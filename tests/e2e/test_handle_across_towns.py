"""A handle across towns, between real processes that know each other by their keys: from consent to revocation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.running_towns import MEMBERS, RunningTown, RunningTowns, two_towns, until

pytestmark = [pytest.mark.servers, pytest.mark.slow]
BRYN = MEMBERS["barry"]


@pytest.fixture
def towns(tmp_path: Path, postgres_dsn: str) -> Iterator[RunningTowns]:
    """Without a broker: what crosses towns goes from node to node over HTTP alone."""
    with two_towns(tmp_path, journal=postgres_dsn, kafka=None) as running:
        yield running


def ended(town: RunningTown, answer: httpx.Response) -> tuple[str, str | None]:
    """The last state of a transfer, and why it came back."""
    assert answer.status_code == 201, answer.text
    path = f"/v1/transfers/{answer.json()['id']}"
    until(lambda: town.ask("GET", path).json()["state"] != "sent", seconds=30, what="the transfer ends")
    said = town.ask("GET", path).json()
    return said["state"], said["reason"]


def consent(town: RunningTown, *, given: bool) -> None:
    answer = town.ask(
        "PUT",
        f"/v1/members/{town.account}/consent",
        service="directory",
        json={"payable_from_other_towns": given},
        headers={"Idempotency-Key": f"consent/{given}"},
    )
    assert answer.status_code == 200, answer.text


def take_back(town: RunningTown, alias: str) -> None:
    answer = town.ask("DELETE", f"/v1/aliases/{alias}", headers={"Idempotency-Key": f"back/{alias}"})
    assert answer.status_code == 204, answer.text


def test_a_handle_becomes_an_address_is_paid_and_leads_nowhere_once_it_is_taken_back(towns: RunningTowns) -> None:
    """PROTOCOL.md W7, L6, T6, N7."""
    aberdare, barry = towns.both
    question = {"handle": BRYN, "node": "barry"}
    by_handle = aberdare.resolve(barry)
    assert ended(aberdare, aberdare.send(barry, by_handle, minutes=90, key="one")) == ("settled", None)
    assert (aberdare.balance(), barry.balance()) == (-90, 90)

    [kept] = barry.ask("GET", f"/v1/accounts/{barry.account}/aliases").json()["aliases"]
    assert (kept["alias"], kept["audience"], kept["address"]) == (by_handle, "aberdare", None)
    take_back(barry, by_handle)
    assert ended(aberdare, aberdare.send(barry, by_handle, minutes=5, key="two")) == ("returned", "alias_unknown")

    again = aberdare.resolve(barry)
    assert again != by_handle
    assert ended(aberdare, aberdare.send(barry, again, minutes=5, key="three")) == ("settled", None)
    consent(barry, given=False)
    answers = [
        aberdare.ask("POST", "/v1/payees/resolve", service="directory", json=asked)
        for asked in (question, question | {"handle": "nobody"})
    ]
    assert {answer.json()["code"] for answer in answers} == {"payee_unknown"}
    assert answers[0].json() == answers[1].json()
    # An address that was given before is good until it is taken back.
    assert ended(aberdare, aberdare.send(barry, again, minutes=5, key="four")) == ("settled", None)

    path = f"/v1/accounts/{barry.account}/aliases"
    public = barry.ask("POST", path, json={}, headers={"Idempotency-Key": "public"}).json()
    scanned = {"payer": aberdare.account, "payee": {"address": public["address"]}, "minutes": 5, "purpose": "gift"}

    def pay(key: str) -> httpx.Response:
        return aberdare.ask("POST", "/v1/transfers", json=scanned, headers={"Idempotency-Key": key})

    assert ended(aberdare, pay("five")) == ("settled", None)
    take_back(barry, public["alias"])
    assert ended(aberdare, pay("six")) == ("returned", "alias_unknown")
    assert (aberdare.balance(), barry.balance()) == (-105, 105)
