"""Money beside hours over HTTP, sessions, and leaving with what is left."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ledger.town_api import Client, Town
from timebank_contracts.entries import Actor
from timebank_ledger import commands as c
from timebank_ledger.writer import Written

GRANT: dict[str, Any] = {
    "minor_units": 120_000,
    "currency": "GBP",
    "kind": "grant",
    "settled_by": "bank",
    "paid_on": "2026-03-01",
    "programme": "p1",
}
SERVICE = {"purpose": "service", "activity": "garden", "served_on": "2026-03-01"}


@pytest.fixture
def library(town: Town) -> Client:
    operator = town.operator()
    body = {"account": "p1", "kind": "programme", "owner": "library", "floor": -720}
    opened = operator.post("/v1/accounts", body)
    assert (opened.status_code, opened.json()["owner"], opened.json()["available"]) == (201, "library", 720)
    scopes = "transfers:write", "statements:read", "accounts:read"
    return town.client(*scopes, subject="app-1", accounts=frozenset({"library"}))


def test_an_organisation_records_money_of_its_programme_and_reads_it_back(town: Town, library: Client) -> None:
    recorded = library.post("/v1/money", GRANT)
    assert recorded.status_code == 201, recorded.text
    library.post("/v1/money", GRANT | {"minor_units": 1_250, "kind": "materials"})
    page = library.get("/v1/money", programme="p1").json()
    assert [one["minor_units"] for one in page["records"]] == [120_000, 1_250]
    assert page["sums"] == [
        {"currency": "GBP", "kind": "grant", "minor_units": 120_000},
        {"currency": "GBP", "kind": "materials", "minor_units": 1_250},
    ]
    back = GRANT | {"minor_units": -120_000, "corrects": recorded.json()["id"]}
    assert library.post("/v1/money", back).status_code == 201
    assert library.post("/v1/money", back).json()["code"] == "money_unknown"
    sums = library.get("/v1/money", programme="p1").json()["sums"]
    assert [one["minor_units"] for one in sums] == [0, 1_250]
    first = library.get("/v1/money", programme="p1", limit=1).json()
    rest = library.get("/v1/money", programme="p1", after=first["next"]).json()
    assert ([len(page["records"]) for page in (first, rest)], rest["next"]) == ([1, 2], None)
    alys = town.member("alys")
    assert alys.post("/v1/money", GRANT).json()["code"] == "forbidden"
    assert alys.get("/v1/money", programme="p1").json()["code"] == "forbidden"


def test_money_about_a_transfer_is_read_beside_it(town: Town, library: Client) -> None:
    alys = town.member("alys")
    body = SERVICE | {"payer": "alys", "payee": {"account": "library"}, "minutes": 60, "programme": "p1"}
    transfer = alys.post("/v1/transfers", body).json()["id"]
    about = {name: value for name, value in GRANT.items() if name != "programme"} | {"transfer": transfer}
    assert library.post("/v1/money", about | {"kind": "travel"}).status_code == 201
    [record] = alys.get("/v1/money", transfer=transfer).json()["records"]
    assert (record["transfer"], record["kind"]) == (transfer, "travel")
    bryn = town.member("bryn")
    assert bryn.get("/v1/money", transfer=transfer).json()["code"] == "transfer_unknown"
    assert library.post("/v1/money", about | {"transfer": "aberdare.g1.0"}).json()["code"] == "transfer_unknown"
    seen = alys.get(f"/v1/transfers/{transfer}").json()
    assert (seen["state"], seen["minutes"]) == ("posted", 60)


@pytest.mark.parametrize(
    "change",
    [
        {"minor_units": 0},
        {"minor_units": -1},
        {"minor_units": 12.5},
        {"currency": "gbp"},
        {"programme": None},
        {"transfer": "aberdare.g1.5"},
        {"paid_on": "2026-02-30"},
        {"kind": "gold"},
    ],
)
def test_money_that_is_not_money_is_refused(library: Client, change: dict[str, Any]) -> None:
    answer = library.post("/v1/money", GRANT | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")


def test_a_session_shows_its_split_before_it_is_written(town: Town) -> None:
    """C-6, O-3."""
    operator = town.operator()
    for number in range(7):
        operator.post("/v1/accounts", {"account": f"m{number}", "kind": "member"})
    session = {"sharing": [f"m{number}" for number in range(7)], "shared_minutes": 60, "leaders": [["library", 90]]}
    operator.put("/v1/accounts/pot/limits", {"floor": -600, "ceiling": 6_000})
    tried = operator.post("/v1/transfers?dry_run=true", SERVICE | {"session": session}, key="s")
    assert tried.json()["postings"] == [
        *([f"m{number}", -9] for number in range(4)),
        *([f"m{number}", -8] for number in range(4, 7)),
        ["library", 90],
        ["pot", -30],
    ]
    written = operator.post("/v1/transfers", SERVICE | {"session": session}, key="s")
    assert written.json() == tried.json()
    assert town.member("alys").post("/v1/transfers", SERVICE | {"session": session}).json()["code"] == "forbidden"
    twice = session | {"attendees": [["m1", 5]]}
    assert operator.post("/v1/transfers", SERVICE | {"session": twice}).json()["code"] == "session_invalid"
    own = town.client("statements:read", subject="m0", accounts=frozenset({"m0"}))
    assert own.get(f"/v1/transfers/{written.json()['id']}").json()["postings"] == [["m0", -9]]


def test_a_leaver_gives_what_is_left_to_the_pot_or_to_somebody(town: Town) -> None:
    """G-1."""
    alys, operator = town.member("alys"), town.operator()
    alys.post("/v1/transfers", {"payer": "alys", "payee": {"account": "bryn"}, "minutes": 75, "purpose": "gift"})
    bryn = town.member("bryn")
    assert alys.post("/v1/accounts/bryn/closing").json()["code"] == "forbidden"
    assert bryn.post("/v1/accounts/bryn/closing").json()["state"] == "closing"
    paid = bryn.post("/v1/transfers", {"payer": "bryn", "payee": {"account": "alys"}, "minutes": 5, "purpose": "gift"})
    assert paid.json()["code"] == "account_closing"
    closed = operator.put("/v1/accounts/bryn/state", {"state": "closed", "taker": "library"})
    assert (closed.json()["state"], operator.get("/v1/accounts/bryn").json()["balance"]) == ("closed", 0)
    assert operator.get("/v1/accounts/library").json()["balance"] == 75
    page = operator.get("/v1/accounts/bryn/statement", format="html").text
    assert "What was left when the account closed" in page
    refused = operator.put("/v1/accounts/alys/state", {"state": "closed", "taker": "library"})
    assert refused.json()["code"] == "purpose_invalid"
    assert (
        operator.put("/v1/accounts/alys/state", {"state": "frozen", "taker": "pot"}).json()["code"] == "field_invalid"
    )


def test_a_programme_says_what_it_may_still_pay_out(town: Town, library: Client) -> None:
    operator = town.operator()
    body = SERVICE | {"payer": "p1", "payee": {"account": "alys"}, "minutes": 120}
    assert operator.post("/v1/transfers", body).status_code == 201
    assert operator.get("/v1/accounts/p1").json()["available"] == 600
    page = operator.get("/v1/accounts/p1/statement", format="html").text
    assert "It may pay out 10:00 more now, or as much as it takes in." in page
    welsh = operator.get("/v1/accounts/p1/statement", format="html", lang="cy").text
    assert "Gall dalu 10:00 yn rhagor nawr, neu gymaint ag y mae&#39;n ei dderbyn." in welsh
    assert "may pay out" not in operator.get("/v1/accounts/alys/statement", format="html").text


def test_who_only_sees_a_transfer_or_a_programme_records_no_money_of_it(town: Town, library: Client) -> None:
    """N-8."""
    alys = town.member("alys")
    body = SERVICE | {"payer": "alys", "payee": {"account": "library"}, "minutes": 60, "programme": "p1"}
    transfer = alys.post("/v1/transfers", body).json()["id"]
    auditor = town.client("audit:read", "transfers:write", "statements:read", subject="aud", accounts=frozenset())
    about = {name: value for name, value in GRANT.items() if name != "programme"} | {"transfer": transfer}
    assert auditor.get("/v1/money", transfer=transfer).status_code == 200
    for refused in (GRANT, about):
        assert auditor.post("/v1/money", refused).json()["code"] == "forbidden"
    assert library.post("/v1/money", about).status_code == 201


def test_every_record_about_a_transfer_is_reached_and_thanks_stay_seen_beside_them(town: Town) -> None:
    """A-1."""
    alys = town.member("alys")
    body = SERVICE | {"payer": "alys", "payee": {"account": "bryn"}, "minutes": 60}
    transfer = alys.post("/v1/transfers", body).json()
    assert alys.post(f"/v1/transfers/{transfer['id']}/thanks", {}).status_code == 201
    about = {name: value for name, value in GRANT.items() if name != "programme"}
    about |= {"transfer": transfer["id"], "position": transfer["position"]}
    broker = Actor(kind="broker", id="b-1")
    records = [c.RecordMoney(by=broker, **about | {"minor_units": units}) for units in range(1, 604)]
    assert all(isinstance(one, Written) for one in town.writer.submit_many(records).result())
    found: list[int] = []
    more: dict[str, Any] = {}
    while True:
        page = alys.get("/v1/money", transfer=transfer["id"], limit=250, **more).json()
        found += [one["minor_units"] for one in page["records"]]
        if page["next"] is None:
            break
        more = {"after": page["next"]}
    assert found == list(range(1, 604))
    assert alys.get(f"/v1/transfers/{transfer['id']}").json()["thanked_by"] == ["payer"]
