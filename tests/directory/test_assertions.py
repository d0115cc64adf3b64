"""A client that signs who it is: by its own registered key, for this town, for minutes, and once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import OKPKey

from tests.federation.towns import NETWORK, FederatedTown, Network
from tests.kit.signed_tokens import EC, ED, RSA, part, public, sign
from timebank_directory.assertions import ASSERTION_TYPE, ASSERTIONS_MAX, Assertions, TooMany
from timebank_directory.attempts import TRIES
from timebank_directory.clients import Clients

NOW = 1_772_445_600
TOWN = f"{NETWORK}/aberdare"
SAID: dict[str, Any] = {"iss": "app", "sub": "app", "aud": TOWN, "jti": "1", "iat": NOW, "exp": NOW + 300}
DAY = 86_400


def make_clients(url: str = "sqlite://") -> Clients:
    clients = Clients(url, "aberdare")
    salt, scopes = b"s" * 16, ["accounts:read"]
    clients.add("app", scopes=scopes, accounts=None, secret=None, salt=salt, key=public(ED, kid="one"))
    clients.add("ec", scopes=scopes, accounts=None, secret=None, salt=salt, key=public(EC))
    clients.add("by-secret", scopes=scopes, accounts=None, secret="x" * 40, salt=salt)
    return clients


@pytest.fixture
def assertions() -> Assertions:
    return Assertions(make_clients(), "aberdare", {TOWN, "http://aberdare.example"})


def said(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**SAID, **changes}.items() if value is not ...}


@pytest.mark.parametrize(
    "assertion",
    [
        sign("Ed25519", said()),
        sign("EdDSA", said(), kid="one"),
        sign("ES256", said(iss="ec", sub="ec")),
        sign("Ed25519", said(aud="http://aberdare.example")),
        sign("Ed25519", said(aud=[TOWN], iat=..., nbf=NOW)),
        sign("Ed25519", said(exp=NOW - 59)),
    ],
    ids=["Ed25519", "EdDSA", "ES256", "by address", "one in a list", "a clock behind"],
)
def test_an_assertion_by_the_registered_key_proves_the_client_once(assertions: Assertions, assertion: str) -> None:
    """PROTOCOL.md W8."""
    found = assertions.check(assertion, now_seconds=NOW)
    assert found is not None
    assert found.client in ("app", "ec")
    assert assertions.check(assertion, now_seconds=NOW) is None


STRANGER = OKPKey.generate_key("Ed25519")


@pytest.mark.parametrize(
    "assertion",
    [
        sign("Ed25519", said(), STRANGER),
        sign("Ed25519", said(iss="ec", sub="ec")),
        sign("Ed25519", said(iss="nobody", sub="nobody")),
        sign("Ed25519", said(iss="by-secret", sub="by-secret")),
        sign("Ed25519", said(iss="other")),
        sign("Ed25519", said(sub=7)),
        sign("RS256", said()),
        sign("PS256", said()),
        f"{part({'alg': 'none'})}.{part(said())}.",
        sign("Ed25519", said(), kid="two"),
        sign("Ed25519", said(), jwk=public(STRANGER)),
        sign("Ed25519", said(), STRANGER, jwk=public(STRANGER)),
        sign("Ed25519", said(), jku="https://keys.example"),
        sign("Ed25519", said(), x5u="https://keys.example"),
        sign("Ed25519", said(aud=f"{NETWORK}/barry")),
        sign("Ed25519", said(aud=[TOWN, f"{NETWORK}/barry"])),
        sign("Ed25519", said(aud=[])),
        sign("Ed25519", said(aud=...)),
        sign("Ed25519", said(exp=NOW + 301)),
        sign("Ed25519", said(exp=NOW - 60)),
        sign("Ed25519", said(exp=...)),
        sign("Ed25519", said(exp=NOW + 60.5)),
        sign("Ed25519", said(exp=True)),
        sign("Ed25519", said(iat=NOW + 61)),
        sign("Ed25519", said(nbf=NOW + 61)),
        sign("Ed25519", said(jti=...)),
        sign("Ed25519", said(jti="")),
        sign("Ed25519", said(jti="x" * 201)),
        sign("Ed25519", []),
        "",
        "a.b.c",
        "x" * 5_000,
    ],
    ids=lambda _: "assertion",
)
def test_an_assertion_that_does_not_prove_it_is_none(assertions: Assertions, assertion: str) -> None:
    """PROTOCOL.md W8."""
    assert assertions.check(assertion, now_seconds=NOW) is None
    assert assertions.check(sign("Ed25519", said()), now_seconds=NOW) is not None, "its jti was not used up"


def test_an_assertion_is_used_once_however_many_processes_serve(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/d.db"
    make_clients(url).close()
    doors = [Assertions(Clients(url, "aberdare"), "aberdare", {TOWN}) for _ in range(4)]
    assertion = sign("Ed25519", said(jti="\ud800"))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda door: door.check(assertion, now_seconds=NOW), doors))
    assert sum(one is not None for one in found) == 1
    for door in doors:
        door.close()


@pytest.mark.servers
def test_clients_and_their_assertions_are_kept_in_postgresql_too(postgres_dsn: str) -> None:
    url = postgres_dsn.replace("postgresql://", "postgresql+psycopg://", 1)
    clients = make_clients(url)
    clients.rotate("by-secret", secret="n" * 40, now_seconds=NOW, overlap_seconds=DAY)
    for secret, now, counts in (("n" * 40, NOW + DAY, True), ("x" * 40, NOW, True), ("x" * 40, NOW + DAY, False)):
        assert (clients.check("by-secret", secret, now_seconds=now) is not None) == counts
    doors = [Assertions(Clients(url, "aberdare"), "aberdare", {TOWN}) for _ in range(4)]
    assertion = sign("Ed25519", said(jti="once"))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda door: door.check(assertion, now_seconds=NOW), doors))
    assert sum(one is not None for one in found) == 1
    clients.revoke("app")
    assert doors[0].check(sign("Ed25519", said(jti="twice")), now_seconds=NOW) is None
    for door in doors:
        door.close()
    clients.close()


def test_used_assertions_are_remembered_until_they_are_over_and_are_few(assertions: Assertions) -> None:
    for number in range(ASSERTIONS_MAX):
        assert assertions.check(sign("Ed25519", said(jti=f"{number}")), now_seconds=NOW) is not None
    with pytest.raises(TooMany):
        assertions.check(sign("Ed25519", said(jti="more")), now_seconds=NOW)
    later = NOW + 360
    assert assertions.check(sign("Ed25519", said(jti="0", exp=later + 60)), now_seconds=later) is not None


def test_a_new_key_counts_at_once_and_the_old_one_until_its_time() -> None:
    clients = make_clients()
    assertions = Assertions(clients, "aberdare", {TOWN})
    clients.rotate("app", key=public(STRANGER), now_seconds=NOW, overlap_seconds=DAY)
    for now, old_counts in ((NOW, True), (NOW + DAY, False)):
        claims = said(iat=now, exp=now + 60)
        assert assertions.check(sign("Ed25519", claims | {"jti": f"new {now}"}, STRANGER), now_seconds=now) is not None
        old = assertions.check(sign("Ed25519", claims | {"jti": f"old {now}"}), now_seconds=now)
        assert (old is not None) == old_counts


Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(aberdare: FederatedTown) -> Ask:
    """Asks the token route with an assertion of `app`."""
    key = public(ED)
    clients = aberdare.directory.directory.clients
    clients.add("app", scopes=["accounts:read"], accounts=["m-1"], secret=None, salt=b"s" * 16, key=key)

    def asks(assertion: str, **more: str) -> httpx.Response:
        form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **more}
        return aberdare.http.post("/v1/token", data={"grant_type": "client_credentials", **form})

    return asks


@pytest.mark.parametrize("aud", [TOWN, "http://aberdare.example", "http://aberdare.example/v1/token"])
def test_an_assertion_gets_a_token_under_each_name_of_the_town(network: Network, ask: Ask, aud: str) -> None:
    now = int(network.clock.now().timestamp())
    assertion = sign("Ed25519", said(aud=aud, iat=now, exp=now + 60))
    answer = ask(assertion, client_id="app")
    assert (answer.status_code, answer.json()["scope"]) == (200, "accounts:read")
    again = ask(assertion)
    assert (again.status_code, again.json()["code"]) == (401, "client_unknown")


def test_an_assertion_of_another_client_or_type_gets_no_token(network: Network, ask: Ask) -> None:
    now = int(network.clock.now().timestamp())
    assertion = sign("Ed25519", said(iat=now, exp=now + 60))
    assert ask(assertion, client_id="other").json()["code"] == "client_unknown"
    assert ask(assertion, client_assertion_type="urn:example").json()["code"] == "field_invalid"
    assert ask(assertion, client_assertion_type="").json()["code"] == "field_invalid"
    assert ask(assertion, client_secret="x" * 40).json()["code"] == "field_invalid"
    assert ask(sign("RS256", said(), RSA)).json()["code"] == "client_unknown"


def test_wrong_secrets_from_elsewhere_do_not_lock_out_a_client_that_signs(network: Network, ask: Ask) -> None:
    for _ in range(TRIES + 1):
        last = ask("", client_id="app", client_secret="x" * 40, client_assertion_type="")
    assert last.status_code == 429
    now = int(network.clock.now().timestamp())
    assert ask(sign("Ed25519", said(iat=now, exp=now + 60))).status_code == 200
