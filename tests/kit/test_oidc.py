"""An outside issuer: its tokens are for this town, short, and worth what the operators allowed it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic_settings import SettingsConfigDict

from tests.kit.signed_tokens import EC, ED, KEYS, RSA, part, public, sign
from timebank_contracts.tokens import Rejected
from timebank_kit.clock import ManualClock
from timebank_kit.jwt_keys import ALGORITHMS
from timebank_kit.oidc import ACCOUNTS_MAX, GIVEN_MAX, OidcSettings, OutsideIssuer, open_issuer
from timebank_kit.settings import SettingRefused, read_settings

ISSUER = "https://id.example/realm"
TOWN = "timebank.example/aberdare"
NOW = 1_772_445_600
UUID = "3f2a90c4-0000-4a1b-8c3d-5e6f70818293"
SAID: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "office",
    "aud": TOWN,
    "scope": "openid profile transfers:write",
    "timebank_accounts": ["m-1"],
    "iat": NOW,
    "exp": NOW + 3_600,
}
JWKS = {"keys": [public(ED, kid="EdDSA"), public(EC, kid="ES256"), public(RSA, kid="RS256")]}
KIDS = {"Ed25519": "EdDSA", "EdDSA": "EdDSA", "ES256": "ES256", "RS256": "RS256", "PS256": "RS256"}


class RoomSettings(OidcSettings):
    model_config = SettingsConfigDict(env_prefix="TIMEBANK_ROOM_", frozen=True, extra="forbid")


def read(**said: str) -> RoomSettings:
    return read_settings(RoomSettings, {f"TIMEBANK_ROOM_OIDC_{name.upper()}": value for name, value in said.items()})


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    (tmp_path / "jwks.json").write_text(json.dumps(JWKS))
    return tmp_path / "jwks.json"


def opened(keys_file: Path, **said: str) -> OutsideIssuer:
    settings = read(issuer=ISSUER, jwks_file=str(keys_file), **said)
    found = open_issuer(settings, audience=TOWN, clock=ManualClock(datetime.fromtimestamp(NOW, UTC)))
    assert found is not None
    return found


def token(algorithm: str = "Ed25519", *, key: Any = None, head: dict[str, Any] | None = None, **changes: Any) -> str:
    claims = {name: value for name, value in {**SAID, **changes}.items() if value is not ...}
    return sign(algorithm, claims, key, **{"kid": KIDS[algorithm], **(head or {})})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_the_issuer_names_its_caller(keys_file: Path, algorithm: str) -> None:
    """PROTOCOL.md W9."""
    issuer = opened(keys_file)
    text = token(algorithm, timebank_mandate="m-7")
    assert issuer.has_issued(text)
    caller = issuer.verify(text, now_seconds=NOW)
    assert (caller.issuer, caller.subject) == (ISSUER, "office")
    assert (caller.scopes, caller.accounts) == (frozenset({"transfers:write"}), frozenset({"m-1"}))
    assert caller.mandate == "m-7"
    with pytest.raises(Rejected, match="algorithm"):
        opened(keys_file, algorithms=" ".join(set(ALGORITHMS) - {algorithm})).verify(text, now_seconds=NOW)


@pytest.mark.parametrize(
    ("changes", "subject", "accounts"),
    [
        ({"timebank_accounts": "*"}, "office", None),
        ({"timebank_accounts": ...}, "office", frozenset()),
        ({"sub": UUID}, f"u-{UUID}", frozenset({"m-1"})),
        ({"sub": "Alys Jones", "timebank_subject": "m-1"}, "m-1", frozenset({"m-1"})),
        ({"aud": ["account", TOWN]}, "office", frozenset({"m-1"})),
        ({"nbf": NOW + 60}, "office", frozenset({"m-1"})),
    ],
    ids=str,
)
def test_claims_are_mapped_to_a_caller(
    keys_file: Path, changes: dict[str, Any], subject: str, accounts: frozenset[str] | None
) -> None:
    caller = opened(keys_file).verify(token(**changes), now_seconds=NOW)
    assert (caller.subject, caller.accounts) == (subject, accounts)


@pytest.mark.parametrize(
    "text",
    [
        token("Ed25519", key=KEYS["Ed25519"].generate_key("Ed25519")),
        token(head={"kid": "other"}),
        token(head={"kid": None}),
        token(head={"kid": ["EdDSA"]}),
        token(head={"kid": "ES256"}),
        token(head={"typ": "logout+jwt"}),
        token(head={"typ": 7}),
        token(head={"jku": "https://x.example"}),
        token(head={"jwk": public(ED)}),
        f"{part({'alg': 'none', 'kid': 'EdDSA'})}.{part(SAID)}.",
        token(iss="https://other.example"),
        token(aud="timebank.example/barry"),
        token(aud=["timebank.example/barry"]),
        token(aud=...),
        token(aud={TOWN: 1}),
        token(exp=NOW + 3_601),
        token(iat=NOW - 3_700, exp=NOW - 100),
        token(iat=NOW + 61, exp=NOW + 100),
        token(nbf=NOW + 61),
        token(nbf="now"),
        token(exp=...),
        token(iat=...),
        token(iat=NOW + 0.5),
        token(scope="operate"),
        token(scope="transfers:write federation"),
        token(sub="Alys Jones"),
        token(sub="alys@example.org"),
        token(sub="auth0|5f7"),
        token(sub=...),
        token(sub=7),
        token(timebank_subject="Alys"),
        token(timebank_accounts="m-1"),
        token(timebank_accounts=[7]),
        token(timebank_accounts=[f"m-{n}" for n in range(ACCOUNTS_MAX + 1)]),
        token(timebank_mandate="Alys Jones"),
        "",
        "a.b.c",
    ],
    ids=lambda _: "token",
)
def test_a_token_that_is_not_for_this_is_rejected(keys_file: Path, text: str) -> None:
    """PROTOCOL.md W9."""
    with pytest.raises(Rejected):
        opened(keys_file).verify(text, now_seconds=NOW)


def test_operate_is_given_only_where_operators_allowed_it_and_federation_never(keys_file: Path) -> None:
    """PROTOCOL.md W9."""
    issuer = opened(keys_file, scopes="operate accounts:read")
    assert issuer.verify(token(scope="operate"), now_seconds=NOW).scopes == {"operate"}
    with pytest.raises(Rejected, match="scope"):
        issuer.verify(token(scope="transfers:write"), now_seconds=NOW)
    assert not {"federation"} & GIVEN_MAX
    for scopes in ("federation", "operate federation", "everything", "*"):
        with pytest.raises(SettingRefused, match="OIDC_SCOPES"):
            read(scopes=scopes)


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "http://id.example"},
        {"issuer": "id.example"},
        {"issuer": "aberdare/directory"},
        {"issuer": "https://user:pw@id.example"},
        {"jwks_url": "http://id.example/jwks"},
        {"jwks_url": "http://127.0.0.1.example/jwks"},
        {"jwks_url": "file:///etc/passwd"},
        {"algorithms": "HS256"},
        {"algorithms": "none"},
        {"algorithms": ""},
    ],
    ids=str,
)
def test_a_setting_that_would_weaken_it_is_refused(said: dict[str, str]) -> None:
    with pytest.raises(SettingRefused, match=f"OIDC_{next(iter(said)).upper()}"):
        read(**said)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/jwks", "http://[::1]/jwks", "http://localhost/jwks"])
def test_an_issuer_on_this_machine_needs_no_tls(url: str) -> None:
    assert read(jwks_url=url).oidc_jwks_url == url


def test_an_issuer_has_one_place_of_keys(keys_file: Path, tmp_path: Path) -> None:
    clock = ManualClock(datetime.fromtimestamp(NOW, UTC))
    assert open_issuer(read(), audience=TOWN, clock=clock) is None
    url, file, empty = "https://id.example/jwks", str(keys_file), str(tmp_path / "empty.json")
    for said in (
        {"issuer": ISSUER},
        {"jwks_url": url},
        {"issuer": ISSUER, "jwks_url": url, "jwks_file": file},
        {"issuer": ISSUER, "jwks_file": empty},
    ):
        with pytest.raises(SettingRefused, match="OIDC_JWKS"):
            open_issuer(read(**said), audience=TOWN, clock=clock)


def test_keys_are_asked_for_at_the_start_by_an_address(keys_file: Path) -> None:
    asked: list[str] = []
    answered = httpx.Response(200, content=keys_file.read_bytes())

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return answered

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        settings = read(issuer=ISSUER, jwks_url="https://id.example/jwks")
        clock = ManualClock(datetime.fromtimestamp(NOW, UTC))
        issuer = open_issuer(settings, audience=TOWN, clock=clock, http=http)
        assert issuer is not None
        issuer.wait_for_keys(seconds=10)
        assert issuer.verify(token(), now_seconds=NOW).subject == "office"
    assert asked == ["https://id.example/jwks"]
