"""Federation's HTTP API: who may ask for what; every error is a problem of the one form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.federation.towns import NETWORK, Network
from timebank_contracts.keys import SigningKey
from timebank_contracts.problems import MEDIA_TYPE, STATUS
from timebank_contracts.segments import is_signed_by, parse_segment
from timebank_contracts.tokens import TokenKey
from timebank_federation.api import BODY_BYTES_MAX, document
from timebank_kit.openapi import document_text

COMMITTED = Path(__file__).parents[2] / "contracts" / "openapi" / "federation.json"
STREAM = "/v1/streams/aberdare/g1/barry?after=0"
STATE = "/v1/federation/state"


@pytest.fixture
def aberdare(network: Network) -> Iterator[httpx.Client]:
    """A client of Aberdare's door."""
    with httpx.Client(transport=network["aberdare"].door, base_url="http://aberdare.example") as http:
        yield http


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem in the one form."""
    body = answer.json()
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert {"type", "title", "detail"} <= body.keys()
    assert body["status"] == answer.status_code == STATUS[body["code"]]
    return answer.status_code, body["code"]


def token(network: Network, *, by: str, to: str = "aberdare", key: bytes | None = None, age_seconds: int = 0) -> str:
    """A node token as `by` would issue it, under its event key or another."""
    seed = key or network[by].home.seed("event")
    text = TokenKey(seed, SigningKey(seed).public).issue(
        issuer=by,
        subject=by,
        audience=f"{NETWORK}/{to}",
        scopes=frozenset({"federation"}),
        accounts=frozenset(),
        now_seconds=int(network.clock.now().timestamp()) - age_seconds,
        seconds=60,
    )
    return f"Bearer {text}"


def test_a_peer_reads_its_own_stream(network: Network, aberdare: httpx.Client) -> None:
    network.send("aberdare", "barry", key="k")
    answer = aberdare.get(STREAM, headers=network["barry"].node_headers(to="aberdare"))
    segment = parse_segment(answer.content)
    assert (segment.statement.to, segment.statement.count) == ("barry", 1)
    assert is_signed_by(segment.envelope, (network["aberdare"].key.public,))


def test_no_token_or_a_wrong_one_reads_no_stream(network: Network, aberdare: httpx.Client) -> None:
    wrong = {
        "none": "",
        "basic": "Basic YTpi",
        "no token": "Bearer ",
        "rubbish": "Bearer a.b.c",
        "another town's": token(network, by="barry", to="cardiff"),
        "over": token(network, by="barry", age_seconds=121),
        "of the future": token(network, by="barry", age_seconds=-121),
        "another key": token(network, by="barry", key=bytes(32)),
    }
    for name, authorization in wrong.items():
        answer = aberdare.get(STREAM, headers={"Authorization": authorization})
        assert code(answer) == (401, "unauthorised"), name
        assert answer.headers["www-authenticate"] == "Bearer"


def test_another_peer_or_a_client_of_the_town_reads_no_stream(network: Network, aberdare: httpx.Client) -> None:
    allowed = {"Authorization": token(network, by="barry")}
    assert code(aberdare.get("/v1/streams/aberdare/g1/cardiff?after=0", headers=allowed)) == (403, "forbidden")
    for scopes in (["operate"], ["audit:read"], ["transfers:write", "accounts:read"]):
        assert code(aberdare.get(STREAM, headers=network["aberdare"].headers(*scopes))) == (403, "forbidden")


def test_a_closed_node_reads_nothing_any_more(network: Network, aberdare: httpx.Client) -> None:
    network["aberdare"].federation.registries.add(network.next_registry(state="closed"))
    assert code(aberdare.get(STREAM, headers={"Authorization": token(network, by="barry")})) == (401, "unauthorised")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/streams/aberdare/g1/barry?after=1",
        "/v1/streams/aberdare/g2/barry?after=0",
        "/v1/streams/barry/g1/barry?after=0",
    ],
)
def test_a_stream_or_position_that_is_not_here_is_unknown(network: Network, aberdare: httpx.Client, path: str) -> None:
    answer = aberdare.get(path, headers={"Authorization": token(network, by="barry")})
    assert code(answer) == (404, "stream_unknown")


@pytest.mark.parametrize("query", ["", "?after=-1", "?after=x", "?after=0&limit=257", f"?after={2**53}", "?after=1e3"])
def test_a_position_of_another_form_is_named_and_not_repeated(
    network: Network, aberdare: httpx.Client, query: str
) -> None:
    answer = aberdare.get(
        f"/v1/streams/aberdare/g1/barry{query}", headers={"Authorization": token(network, by="barry")}
    )
    assert code(answer) == (422, "field_invalid")
    assert answer.json()["errors"][0]["field"] in {"after", "limit"}


def test_while_the_ledger_is_away_a_stream_is_not_ready_and_not_a_bug(network: Network, aberdare: httpx.Client) -> None:
    network["aberdare"].to_ledger.is_cut = True
    answer = aberdare.get(STREAM, headers={"Authorization": token(network, by="barry")})
    assert code(answer) == (503, "not_ready")
    assert answer.headers["retry-after"] == "1"


def test_the_registry_is_public(network: Network, aberdare: httpx.Client) -> None:
    for version in ("1", "latest"):
        answer = aberdare.get(f"/.well-known/timebank/registry/{version}")
        assert (answer.content, answer.headers["x-registry-version"]) == (network.registries[0], "1")
    for version in ("0", "2", "-1", "01", "1.0", "9" * 5_000, "%0a1", "newest"):
        assert code(aberdare.get(f"/.well-known/timebank/registry/{version}")) == (404, "registry_unknown")


def test_the_state_is_for_operators_and_says_what_is_unheard(network: Network, aberdare: httpx.Client) -> None:
    assert code(aberdare.get(STATE)) == (401, "unauthorised")
    assert code(aberdare.get(STATE, headers={"Authorization": token(network, by="barry")})) == (403, "forbidden")
    assert code(aberdare.get(STATE, headers=network["aberdare"].headers("audit:read"))) == (403, "forbidden")
    network.pump()
    network.send("aberdare", "barry", key="k")
    network["aberdare"].federation.sender.step(wait_seconds=0)
    said = aberdare.get(STATE, headers=network["aberdare"].headers("operate", "transfers:write")).json()
    barry = said["peers"]["barry"]
    assert (barry["head"], barry["heard"], barry["unheard"]) == (1, 0, 1)
    assert barry["last_contact"] == network.clock.now().isoformat()


def test_a_payee_is_asked_for_through_the_town_s_door(network: Network, aberdare: httpx.Client) -> None:
    headers = {"Authorization": token(network, by="barry")}
    answer = aberdare.post("/v1/payees", json={"handle": "bryn"}, headers=headers)
    assert answer.status_code == 200
    assert len(answer.json()["alias"]) == 32
    assert code(aberdare.post("/v1/payees", json={"handle": "nobody"}, headers=headers)) == (404, "payee_unknown")
    assert code(aberdare.post("/v1/payees", json={"handle": "bryn"})) == (401, "unauthorised")


def test_nobody_but_a_node_of_the_registry_is_told_of_a_handle(network: Network, aberdare: httpx.Client) -> None:
    """PROTOCOL.md W7: no handle stands in a URL, and none is asked for in public."""
    found = aberdare.get("/.well-known/webfinger", params={"resource": "acct:bryn@aberdare"})
    assert code(found) == (404, "not_found")
    assert code(aberdare.get("/v1/payees", params={"handle": "bryn"})) == (405, "method_not_allowed")
    client = network["aberdare"].headers("operate", "transfers:write")
    assert code(aberdare.post("/v1/payees", json={"handle": "bryn"}, headers=client)) == (403, "forbidden")


def test_a_body_is_bounded(network: Network, aberdare: httpx.Client) -> None:
    headers = {"Authorization": token(network, by="barry")}
    answer = aberdare.post("/v1/payees", content=bytes(BODY_BYTES_MAX + 1), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nowhere", (404, "not_found")),
        ("GET", "/docs", (404, "not_found")),
        ("DELETE", "/v1/payees", (405, "method_not_allowed")),
    ],
)
def test_the_framework_s_errors_are_problems_too(
    aberdare: httpx.Client, method: str, path: str, expected: tuple[int, str]
) -> None:
    assert code(aberdare.request(method, path)) == expected


def test_metrics_name_peers_and_nobody_else(network: Network, aberdare: httpx.Client) -> None:
    network.send("aberdare", "barry", key="k")
    network.pump()
    text = aberdare.get("/metrics").text
    assert 'timebank_federation_unheard_messages{peer="barry"}' in text
    assert 'timebank_federation_segments_total{outcome="fresh"}' in text
    for personal in ("alys", "bryn", *network["aberdare"].accounts.values()):
        assert personal not in text


def test_the_committed_document_is_served(aberdare: httpx.Client) -> None:
    committed = COMMITTED.read_text("utf-8")
    assert committed == document_text(document()), (
        "run: python -m timebank_federation.openapi contracts/openapi/federation.json"
    )
    assert aberdare.get("/openapi.json").json() == json.loads(committed)


def test_every_route_says_who_may_call_it() -> None:
    for path, operations in document()["paths"].items():
        for operation in operations.values():
            assert "security" in operation, path


def test_a_registry_without_a_key_is_refused(network: Network, aberdare: httpx.Client) -> None:
    headers = network["aberdare"].headers("operate")
    del headers["Idempotency-Key"]
    answer = aberdare.put("/v1/federation/registry", content=network.registries[0], headers=headers)
    assert code(answer) == (400, "key_missing")
