"""The directory's HTTP API: enrolment, consent, roles; nothing personal in a wrong place."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.directory.forms import NEW, code, enrol, resolve
from tests.federation.towns import FederatedTown, Network
from timebank_directory.api import BODY_BYTES_MAX, document
from timebank_kit.logs import JsonFormatter
from timebank_kit.openapi import document_text

pytestmark = pytest.mark.slow  # every test opens whole towns

COMMITTED = Path(__file__).parents[2] / "contracts" / "openapi" / "directory.json"
SEEDED = "Gwenllian"


def accounts(town: FederatedTown) -> list[str]:
    found = town.ask_ledger("GET", "/v1/accounts", headers=town.headers("accounts:read", "operate")).json()["accounts"]
    return [account["account"] for account in found]


def test_a_person_is_enrolled_with_an_account_that_says_nothing(aberdare: FederatedTown) -> None:
    answer = enrol(aberdare, floor=-60, ceiling=120)
    said = answer.json()
    assert (answer.status_code, said["handle"]) == (201, "mair")
    assert "mair" not in said["account"]
    account = aberdare.ask_ledger("GET", f"/v1/accounts/{said['account']}").json()
    assert (account["kind"], account["floor"], account["ceiling"], account["balance"]) == ("member", -60, 120, 0)


def test_an_organisation_is_enrolled(aberdare: FederatedTown) -> None:
    answer = aberdare.http.post("/v1/organisations", json=NEW, headers=aberdare.headers("operate"))
    assert aberdare.ask_ledger("GET", f"/v1/accounts/{answer.json()['account']}").json()["kind"] == "organisation"


@pytest.mark.parametrize("handle", ["alys", "a1ys", "aiys", "al-ys"])
def test_a_look_alike_is_refused_and_opens_no_account(aberdare: FederatedTown, handle: str) -> None:
    """Case I-1."""
    before = accounts(aberdare)
    assert code(enrol(aberdare, handle=handle)) == (409, "handle_taken")
    assert accounts(aberdare) == before


@pytest.mark.parametrize(
    "handle",
    ["ALYS", "Alys", "аlys", "ａlys", "alys.", "al ys", "alys\u200b", "alys\n", "\u202ealys", "1alys", "alŷs", ""],
)
def test_a_handle_of_other_letters_is_refused_and_opens_no_account(aberdare: FederatedTown, handle: str) -> None:
    """Case I-1."""
    before = accounts(aberdare)
    answer = enrol(aberdare, handle=handle)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "handle")
    assert accounts(aberdare) == before


@pytest.mark.parametrize("node", ["bаrry", "BARRY", "barry.", "barry\n", "ba\u200brry"])
def test_a_town_that_only_looks_like_one_is_not_asked(aberdare: FederatedTown, node: str) -> None:
    """Case I-1: towns are those of the registry."""
    answer = resolve(aberdare, "bryn", node)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "node")


@pytest.mark.parametrize("name", ["", " ", "\x00", "A\x00", "A\nB", "\u202eBryn", "B\u2066ryn", "\x9b31m", "a" * 201])
def test_a_name_that_hides_something_is_refused(aberdare: FederatedTown, name: str) -> None:
    answer = enrol(aberdare, name=name)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "name")


@pytest.mark.parametrize("name", ["Llŷr ap Siôn", "O'Neill", "محمد", "李 小龍", "n", "Zoë-Ann (Cwm)", "🌱 Garden"])
def test_a_name_in_any_script_is_taken_as_it_is(aberdare: FederatedTown, name: str) -> None:
    """Case I-3."""
    assert enrol(aberdare, name=name).status_code == 201
    people = aberdare.http.get("/v1/people", headers=aberdare.headers("operate")).json()["people"]
    assert name in {person["name"] for person in people}


def test_while_the_ledger_is_away_nobody_is_enrolled(aberdare: FederatedTown) -> None:
    aberdare.to_ledger.is_cut = True
    answer = enrol(aberdare)
    assert code(answer) == (503, "room_away")
    assert answer.headers["retry-after"] == "1"
    aberdare.to_ledger.is_cut = False
    assert enrol(aberdare).status_code == 201


def test_people_are_listed_page_by_page_without_a_handle_in_the_url(aberdare: FederatedTown) -> None:
    enrol(aberdare)
    seen: list[str] = []
    after = ""
    for _ in range(3):
        url = f"/v1/people?limit=2&after={after}"
        said = aberdare.http.get(url, headers=aberdare.headers("operate")).json()
        seen += [person["handle"] for person in said["people"]]
        if said["next"] is None:
            break
        after = said["next"]
    assert sorted(seen) == ["alys", "bryn", "mair"]


def test_erasing_forgets_the_person_and_keeps_the_hours(aberdare: FederatedTown) -> None:
    account = enrol(aberdare).json()["account"]
    path = f"/v1/members/{account}/person"
    assert aberdare.http.delete(path, headers=aberdare.headers("operate")).status_code == 204
    assert code(aberdare.http.delete(path, headers=aberdare.headers("operate"))) == (404, "person_unknown")
    assert code(resolve(aberdare, "mair", "aberdare")) == (404, "payee_unknown")
    assert account in accounts(aberdare)


ROUTES = [
    ("POST", "/v1/members", NEW, "operate"),
    ("POST", "/v1/organisations", NEW, "operate"),
    ("GET", "/v1/people", None, "operate"),
    ("PUT", "/v1/members/m-1/consent", {"payable_from_other_towns": True}, "operate"),
    ("DELETE", "/v1/members/m-1/person", None, "operate"),
    ("POST", "/v1/payees/resolve", {"handle": "bryn", "node": "aberdare"}, "transfers:write"),
    ("POST", "/v1/payees", {"handle": "bryn"}, "federation"),
]


@pytest.mark.parametrize(("method", "path", "body", "scope"), ROUTES)
def test_each_route_takes_its_own_scope_and_no_other(
    network: Network, aberdare: FederatedTown, method: str, path: str, body: Any, scope: str
) -> None:
    def ask(headers: dict[str, str]) -> httpx.Response:
        return aberdare.http.request(method, path, json=body, headers=headers)

    assert code(ask({})) == (401, "unauthorised")
    assert code(ask({"Authorization": "Bearer x.y.z"})) == (401, "unauthorised")
    barry = network["barry"]
    assert code(ask(barry.headers("operate", "transfers:write"))) == (401, "unauthorised"), "another town's directory"
    assert code(ask(barry.node_headers(to="cardiff"))) == (401, "unauthorised"), "for another town"
    others = {"operate", "transfers:write", "accounts:read", "statements:read", "reports:read", "audit:read"} - {scope}
    assert code(ask(aberdare.headers(*others))) == (403, "forbidden")
    node = ask(barry.node_headers(to="aberdare"))
    if scope == "federation":
        assert node.status_code == 200
    else:
        assert code(node) == (403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        {"handle": SEEDED, "name": "x"},
        {"handle": "x", "name": SEEDED * 100},
        {"handle": "x", "name": "x", SEEDED: 1},
        {"handle": "x", "name": {SEEDED: SEEDED}},
        {"handle": "x", "name": "x", "language": SEEDED},
        {"handle": "x", "name": "x", "payable_from_other_towns": SEEDED},
        {"handle": "x", "name": "x", "floor": 1},
        {"handle": "x", "name": "x", "floor": True},
        {"handle": "x", "name": "x", "floor": -1.5},
        {"handle": "x", "name": "x", "ceiling": 2**63},
        [SEEDED],
        SEEDED,
    ],
    ids=str,
)
def test_a_validation_error_names_fields_and_never_what_was_sent(aberdare: FederatedTown, body: Any) -> None:
    answer = aberdare.http.post("/v1/members", json=body, headers=aberdare.headers("operate"))
    assert code(answer) == (422, "field_invalid")
    assert answer.json()["errors"]
    assert SEEDED not in answer.text


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[" * 60_000, b'{"handle":"%s"' % SEEDED.encode(), b"\xff\xfe", b'{"handle":NaN}']
)
def test_what_is_no_json_is_refused_and_never_repeated(aberdare: FederatedTown, raw: bytes) -> None:
    headers = {**aberdare.headers("operate"), "Content-Type": "application/json"}
    answer = aberdare.http.post("/v1/members", content=raw, headers=headers)
    assert code(answer) in {(422, "field_invalid"), (400, "malformed"), (413, "too_large")}
    assert SEEDED not in answer.text


def test_a_body_is_bounded(aberdare: FederatedTown) -> None:
    answer = aberdare.http.post("/v1/members", content=bytes(BODY_BYTES_MAX + 1), headers=aberdare.headers("operate"))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_nothing_personal_leaves_the_erasable_table(network: Network, aberdare: FederatedTown, tmp_path: Path) -> None:
    """Neither name nor handle in a journal, a broker, a log line, a metric, a URL or a file (P9; PROTOCOL.md W7)."""
    handle = "gwenllian-xyz"
    log = io.StringIO()
    stream = logging.StreamHandler(log)
    stream.setFormatter(JsonFormatter())
    root = logging.getLogger()
    before = root.level
    root.addHandler(stream)
    root.setLevel(logging.DEBUG)
    try:
        account = enrol(aberdare, handle=handle, name=SEEDED, payable_from_other_towns=True).json()["account"]
        enrol(aberdare, handle=handle, name=SEEDED)
        payee = resolve(network["barry"], handle, "aberdare").json()
        barry = network["barry"]
        body = {"payer": barry.accounts["alys"], "payee": payee, "minutes": 5, "purpose": "gift"}
        barry.ask_ledger("POST", "/v1/transfers", json=body, headers={"Idempotency-Key": "k"})
        network.pump()
        aberdare.http.get("/v1/people", headers=aberdare.headers("operate"))
        aberdare.http.delete(f"/v1/members/{account}/person", headers=aberdare.headers("operate"))
    finally:
        root.removeHandler(stream)
        root.setLevel(before)
    places = {"log": log.getvalue().encode()}
    for town in network.towns.values():
        journal = town.ledger.writer.journal
        places[f"journal {town.name}"] = b"".join(found.state for found in journal.read(0, journal.length()))
        places[f"topic {town.name}"] = b"".join(network.records(town.name))
        places[f"urls {town.name}"] = "\n".join([*town.door.asked, *town.to_ledger.asked]).encode()
        door = httpx.Client(transport=town.door, base_url="http://door")
        metrics = [town.ask_ledger("GET", "/metrics"), town.http.get("/metrics"), door.get("/metrics")]
        places[f"metrics {town.name}"] = b"".join(answer.content for answer in metrics)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_bytes()
    assert places["topic aberdare"]
    for place, raw in places.items():
        for word in (SEEDED, handle):
            assert word.encode() not in raw, place


def test_a_client_that_asks_too_often_waits_and_an_operator_does_not(network: Network, aberdare: FederatedTown) -> None:
    headers, question = aberdare.headers("transfers:write"), {"handle": "bryn", "node": "aberdare"}
    own = aberdare.directory.directory
    while not own.rates.take(f"{own.issuer.name}/operator", now=network.clock.monotonic()):
        pass
    refused = aberdare.http.post("/v1/payees/resolve", json=question, headers=headers)
    assert (code(refused), refused.headers["retry-after"]) == ((429, "rate_limited"), "1")
    assert enrol(aberdare).status_code == 201
    network.clock.advance(1)
    assert aberdare.http.post("/v1/payees/resolve", json=question, headers=headers).status_code == 200


def test_a_database_that_fails_is_said_without_its_rows(aberdare: FederatedTown) -> None:
    """A database in memory ends with its connection: its tables are gone."""
    aberdare.directory.directory.people.close()
    for path in ("/v1/people", "/readyz"):
        answer = aberdare.http.get(path, headers=aberdare.headers("operate"))
        assert code(answer) == (503, "not_ready")
    answer = enrol(aberdare, handle="gwenllian", name=SEEDED)
    assert code(answer) == (503, "not_ready")
    assert SEEDED not in answer.text
    assert aberdare.http.get("/livez").json() == {"state": "alive"}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nowhere", (404, "not_found")),
        ("GET", "/docs", (404, "not_found")),
        ("DELETE", "/v1/token", (405, "method_not_allowed")),
    ],
)
def test_the_framework_s_errors_are_problems_too(
    aberdare: FederatedTown, method: str, path: str, expected: tuple[int, str]
) -> None:
    assert code(aberdare.http.request(method, path)) == expected


def test_the_committed_document_is_served(aberdare: FederatedTown) -> None:
    committed = COMMITTED.read_text("utf-8")
    assert committed == document_text(document()), (
        "run: python -m timebank_directory.openapi contracts/openapi/directory.json"
    )
    assert aberdare.http.get("/openapi.json").json() == json.loads(committed)


def test_every_route_says_who_may_call_it_and_every_field_what_it_is() -> None:
    said = document()
    assert all("security" in operation for path in said["paths"].values() for operation in path.values())
    for name, schema in said["components"]["schemas"].items():
        for field, told in schema.get("properties", {}).items():
            assert {"description", "examples", "$ref", "anyOf", "items", "enum", "const"} & told.keys(), (name, field)
