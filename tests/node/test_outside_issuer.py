"""A town that believes an outside issuer: every room of it does, and a ledger needs no directory then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import OKPKey

from tests.kit.signed_tokens import EC, ED, public, sign
from tests.node.test_compose import around, home_in
from timebank_contracts.entries import AccountOpenedEntry, decode_entry
from timebank_contracts.errors import Malformed
from timebank_contracts.problems import MEDIA_TYPE
from timebank_kit.key_set import PAUSE_SECONDS
from timebank_kit.settings import SettingRefused
from timebank_kit.web import AsgiBridge
from timebank_ledger.app import open_ledger
from timebank_node.compose import Surroundings, environment, open_town

pytestmark = pytest.mark.slow  # every test opens whole towns

ISSUER = "https://id.example/realm"
NOW = 1_772_445_600
OPERATE = "operate accounts:read transfers:write reports:read"
Ask = Callable[..., httpx.Response]


def jwks(**keys: Any) -> str:
    return json.dumps({"keys": [public(key, kid=kid) for kid, key in keys.items()]})


def token(algorithm: str = "Ed25519", *, key: Any = None, kid: str = "one", **changes: Any) -> str:
    said = {
        "iss": ISSUER,
        "sub": "office",
        "aud": "timebank.example/aberdare",
        "scope": OPERATE,
        "timebank_accounts": "*",
        "iat": NOW,
        "exp": NOW + 3_600,
    }
    return sign(algorithm, said | changes, key, kid=kid)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "jwks.json").write_text(jwks(one=ED))
    return tmp_path / "jwks.json"


@pytest.fixture
def surroundings(keys: Path) -> Surroundings:
    said = {"ISSUER": ISSUER, "JWKS_FILE": str(keys), "SCOPES": OPERATE}
    return replace(around(), environ={f"TIMEBANK_LEDGER_OIDC_{name}": value for name, value in said.items()})


@pytest.fixture
def ask(tmp_path: Path, surroundings: Surroundings) -> Iterator[Ask]:
    town = open_town(home_in(tmp_path), surroundings)
    with httpx.Client(transport=AsgiBridge(town.app), base_url="http://aberdare.example") as http:

        def asks(text: str, path: str = "/v1/accounts", method: str = "GET", **options: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {text}", "Idempotency-Key": "1"}
            return http.request(method, path, headers=headers, **options)

        yield asks
    town.close()


def test_every_room_of_the_town_believes_it(ask: Ask) -> None:
    """PROTOCOL.md W9."""
    for path in ("/v1/accounts", "/v1/people", "/v1/federation/state"):
        assert ask(token(), path).status_code == 200, path
        for wrong in (token(aud="timebank.example/barry"), token(key=OKPKey.generate_key("Ed25519"))):
            answer = ask(wrong, path)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised"), path
            assert answer.headers["content-type"] == MEDIA_TYPE


def test_it_gives_no_scope_that_the_operators_did_not_allow(ask: Ask) -> None:
    for scope in ("audit:read", "federation", "operate federation"):
        answer = ask(token(scope=scope), "/v1/journal")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised"), scope


def test_its_subjects_act_in_the_journal_by_an_opaque_id(tmp_path: Path, surroundings: Surroundings) -> None:
    town = open_town(home_in(tmp_path), surroundings)
    with httpx.Client(transport=AsgiBridge(town.app), base_url="http://aberdare.example") as http:
        uuid = "3f2a90c4-0000-4a1b-8c3d-5e6f70818293"
        headers = {"Authorization": f"Bearer {token(sub=uuid)}", "Idempotency-Key": "1"}
        body = {"account": "m-1", "kind": "member"}
        assert http.post("/v1/accounts", json=body, headers=headers).status_code == 201
    journal = town.ledger.writer.journal
    entries = [decode_entry(record.state) for record in journal.read(0, journal.length())]
    opened = [entry for entry in entries if isinstance(entry, AccountOpenedEntry) and entry.data.account == "m-1"]
    assert (opened[0].by.kind, opened[0].by.id) == ("operator", f"u-{uuid}")
    town.close()


def test_a_key_that_it_rotated_is_believed_and_the_old_one_not_for_long(
    ask: Ask, keys: Path, surroundings: Surroundings
) -> None:
    """PROTOCOL.md W9."""
    clock = surroundings.clock
    assert hasattr(clock, "advance")
    keys.write_text(jwks(two=EC))
    assert ask(token("ES256", kid="two")).status_code == 401, "asked within the minute"
    clock.advance(PAUSE_SECONDS)
    assert ask(token("ES256", kid="two")).status_code == 200
    assert ask(token()).status_code == 401


def test_an_issuer_that_is_away_is_trouble_and_no_verdict(tmp_path: Path) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("away", request=request)

    said = {"ISSUER": ISSUER, "JWKS_URL": "https://id.example/jwks"}
    environ = {f"TIMEBANK_LEDGER_OIDC_{name}": value for name, value in said.items()}
    surroundings = replace(around(), environ=environ, peer_http=httpx.Client(transport=httpx.MockTransport(away)))
    town = open_town(home_in(tmp_path), surroundings)
    with httpx.Client(transport=AsgiBridge(town.app), base_url="http://aberdare.example") as http:
        for path in ("/v1/accounts", "/v1/people", "/v1/federation/state"):
            answer = http.get(path, headers={"Authorization": f"Bearer {token()}"})
            assert (answer.status_code, answer.json()["code"]) == (503, "room_away"), path
            assert answer.headers["Retry-After"]
        own = town.directory.token("accounts:read", "operate")
        assert http.get("/v1/accounts", headers={"Authorization": f"Bearer {own}"}).status_code == 200
        assert http.get("/readyz").status_code == 200
    town.close()


def test_a_ledger_needs_no_directory_when_it_has_an_issuer(tmp_path: Path, surroundings: Surroundings) -> None:
    home = home_in(tmp_path)
    said = environment(home, surroundings.environ)
    del said["TIMEBANK_LEDGER_TOKEN_KEY"]
    ledger = open_ledger(said, clock=surroundings.clock, random_bytes=surroundings.random, registry=None)
    with httpx.Client(transport=AsgiBridge(ledger.app), base_url="http://ledger") as http:
        answer = http.get("/v1/accounts", headers={"Authorization": f"Bearer {token()}"})
        assert answer.status_code == 200, answer.text
    ledger.close()
    bare = {name: value for name, value in said.items() if "OIDC" not in name}
    with pytest.raises(Malformed, match="TOKEN_KEY"):
        open_ledger(bare, clock=surroundings.clock, random_bytes=surroundings.random, registry=None)


def test_keys_that_cannot_be_read_refuse_the_start(tmp_path: Path, keys: Path, surroundings: Surroundings) -> None:
    keys.write_text("{}")
    with pytest.raises(SettingRefused, match="OIDC_JWKS_FILE"):
        open_town(home_in(tmp_path), surroundings)
