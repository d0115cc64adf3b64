"""Access: scopes are declared on every route, denied by default, and a token is worth what its issuer may give."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi import APIRouter
from msgspec import UNSET

from tests.ledger.town_api import NETWORK, START, Keys, Town, gift
from timebank_contracts.entries import decode_entry
from timebank_contracts.tokens import SCOPES, Caller, TokenKey
from timebank_ledger.access import Access, Forbidden, Unauthorised, actor, issuers_of
from timebank_ledger.api import ROUTERS
from timebank_ledger.edge import GuardedRoute

KEYS = Keys(1)
ACCESS = Access(
    NETWORK,
    "aberdare",
    issuers_of(node="aberdare", token_keys=[KEYS.token.public], event_keys=[KEYS.event.public]),
)
READ = frozenset({"statements:read"})


def _token(
    key: TokenKey = KEYS.signs_tokens,
    *,
    issuer: str = "aberdare/directory",
    audience: str = f"{NETWORK}/aberdare",
    scopes: frozenset[str] = READ,
    subject: str = "alys",
    accounts: frozenset[str] | None = frozenset({"alys"}),
    seconds: int = 900,
) -> str:
    return key.issue(
        issuer=issuer,
        subject=subject,
        audience=audience,
        scopes=scopes,
        accounts=accounts,
        now_seconds=int(START.timestamp()),
        seconds=seconds,
    )


def _verify(token: str, *, scopes: frozenset[str] = READ, seconds_later: int = 0) -> object:
    return ACCESS.verify(f"Bearer {token}", scopes=scopes, now=START + timedelta(seconds=seconds_later))


def test_a_valid_token_names_its_caller() -> None:
    caller = ACCESS.verify(f"Bearer {_token()}", scopes=READ, now=START)
    assert (caller.subject, caller.scopes, caller.accounts) == ("alys", READ, frozenset({"alys"}))


@pytest.mark.parametrize("header", [None, "", "Basic x", "Bearer", "Bearer ", "Bearer a.b.c", "Bearer " + "x" * 9_000])
def test_a_header_without_a_token_is_unauthorised(header: str | None) -> None:
    with pytest.raises(Unauthorised):
        ACCESS.verify(header, scopes=READ, now=START)


@pytest.mark.parametrize(
    "token",
    [
        _token(Keys(2).signs_tokens),
        _token(issuer="barry/directory"),
        _token(issuer="aberdare"),
        _token(audience=f"{NETWORK}/barry"),
        _token(subject="Alys Jones"),
        _token(scopes=frozenset({"federation"})),
        _token(KEYS.signs_node_tokens, issuer="aberdare", scopes=READ, subject="aberdare"),
    ],
    ids=["other key", "unknown issuer", "node's name", "other town", "a name", "above directory", "above node"],
)
def test_a_token_that_is_not_for_this_is_unauthorised(token: str) -> None:
    with pytest.raises(Unauthorised):
        _verify(token)


def test_a_token_is_over_after_its_time_and_a_minute_of_skew() -> None:
    _verify(_token(seconds=60), seconds_later=119)
    with pytest.raises(Unauthorised, match="over"):
        _verify(_token(seconds=60), seconds_later=120)


def test_a_token_without_the_scope_is_forbidden_and_the_scope_is_named() -> None:
    with pytest.raises(Forbidden, match="operate"):
        _verify(_token(), scopes=frozenset({"operate"}))


def test_the_node_s_own_key_gives_scope_federation() -> None:
    token = _token(
        KEYS.signs_node_tokens, issuer="aberdare", subject="aberdare", scopes=frozenset({"federation"}), seconds=60
    )
    _verify(token, scopes=frozenset({"federation"}))


@pytest.mark.parametrize(
    ("scopes", "accounts", "kind"),
    [
        ({"operate"}, None, "operator"),
        ({"transfers:write"}, None, "broker"),
        ({"transfers:write"}, {"alys"}, "member"),
        ({"transfers:write"}, {"bryn"}, "partner"),
    ],
)
def test_the_journal_says_in_which_quality_a_caller_acted(
    scopes: set[str], accounts: set[str] | None, kind: str
) -> None:
    token = _token(scopes=frozenset(scopes), accounts=None if accounts is None else frozenset(accounts))
    caller = ACCESS.verify(f"Bearer {token}", scopes=SCOPES, now=START)
    assert actor(caller).kind == kind


@pytest.mark.parametrize(
    ("scopes", "accounts", "kind", "mandate"),
    [
        ({"claims:write"}, {"alys"}, "delegate", "m-7"),
        ({"claims:write"}, None, "delegate", "m-7"),
        ({"operate", "claims:write"}, None, "operator", UNSET),
    ],
)
def test_who_acts_under_a_mandate_is_a_delegate_and_the_journal_names_it(
    scopes: set[str], accounts: set[str] | None, kind: str, mandate: object
) -> None:
    caller = Caller(
        issuer="aberdare/directory",
        subject="carer",
        scopes=frozenset(scopes),
        accounts=None if accounts is None else frozenset(accounts),
        mandate="m-7",
    )
    acting = actor(caller)
    assert (acting.kind, acting.id, acting.mandate) == (kind, "carer", mandate)


def test_what_a_delegate_does_stands_in_the_journal_under_the_mandate(town: Town) -> None:
    """PROTOCOL.md W3."""
    token = town.keys.signs_tokens.issue(
        issuer="aberdare/directory",
        subject="carer",
        audience=f"{NETWORK}/aberdare",
        scopes=frozenset({"transfers:write"}),
        accounts=frozenset({"alys"}),
        now_seconds=int(START.timestamp()),
        seconds=900,
        mandate="m-7",
    )
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "1"}
    answer = town.http.post("/v1/transfers", json=gift("alys", "bryn", 30), headers=headers)
    assert answer.status_code == 201, answer.text
    entry = decode_entry(town.journal.read(town.writer.tail.length - 1, 1)[0].state)
    assert (entry.by.kind, entry.by.id, entry.by.mandate) == ("delegate", "carer", "m-7")
    other = town.http.post("/v1/transfers", json=gift("bryn", "alys", 30), headers=headers | {"Idempotency-Key": "2"})
    assert other.json()["code"] == "forbidden"


def test_every_route_declares_its_scopes_and_enforces_them(town: Town) -> None:
    public = {"/checkpoint", "/livez", "/readyz", "/metrics", "/openapi.json", "/tile/{level}/{path:path}"}
    names = {"account": "alys", "alias": "0" * 32, "transfer": "aberdare.g1.6", "peer": "barry", "path:path": "000"}
    seen = set()
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, GuardedRoute), f"{route} has no guard"
            assert bool(route.scopes) == (route.path not in public), route.path
            assert route.operation_id
            seen.add(route.operation_id)
            path = route.path
            for name, value in names.items():
                path = path.replace(f"{{{name}}}", value)
            for method in (route.methods or ()) if route.scopes else ():
                answer = town.http.request(method, path)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised"), path
                assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert len(seen) == sum(len(router.routes) for router in ROUTERS)


def test_a_route_without_scopes_cannot_be_made() -> None:
    router = APIRouter(route_class=GuardedRoute)
    with pytest.raises(AssertionError, match="declares no scope"):
        router.get("/open")(lambda: None)


def test_a_caller_is_judged_before_the_body_is_read(town: Town) -> None:
    answer = town.http.post("/v1/transfers", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.json()["code"] == "unauthorised"


def test_a_member_reads_no_other_account(town: Town) -> None:
    alys = town.member("alys")
    assert alys.get("/v1/accounts/alys").status_code == 200
    for path in ("/v1/accounts/bryn", "/v1/accounts/bryn/statement", "/v1/accounts/nobody"):
        assert alys.get(path).json()["code"] == "forbidden"
    assert [one["account"] for one in alys.get("/v1/accounts").json()["accounts"]] == ["alys"]


def test_a_member_cannot_operate(town: Town) -> None:
    alys = town.member("alys")
    assert alys.post("/v1/accounts", {"account": "cai", "kind": "member"}).json()["code"] == "forbidden"
    assert alys.put("/v1/accounts/alys/limits", {"floor": -9_000, "ceiling": 9_000}).json()["code"] == "forbidden"
    assert alys.post("/v1/segments", content=b"").json()["code"] == "forbidden"
    body = gift("pot", "alys", 5) | {"purpose": "support"}
    assert alys.post("/v1/transfers", body).json()["code"] == "forbidden"
