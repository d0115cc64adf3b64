"""A private key signs an assertion that its public part verifies, whatever form it is given in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey

from tests.client.lines import DIRECTORY, LEDGER, FaultyLine
from tests.federation.towns import NETWORK, FederatedTown, Network
from timebank_client import PrivateKey, Surroundings, Timebank, Unauthorised, read_private_key

AUDIENCE = "https://directory.example/v1/token"
ED25519 = OKPKey.generate_key("Ed25519", {"kid": "2026-03"})
P256 = ECKey.generate_key("P-256")


def claims_of(form: dict[str, str], key: Any, algorithm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    token = jwt.decode(form["client_assertion"], key, algorithms=[algorithm])
    return token.header, dict(token.claims)


@pytest.mark.parametrize(("key", "algorithm"), [(ED25519, "Ed25519"), (P256, "ES256")])
@pytest.mark.parametrize("pem", [False, True])
def test_an_assertion_is_short_lived_used_once_and_for_this_town(key: Any, algorithm: str, pem: bool) -> None:
    private = PrivateKey(key.as_pem(private=True) if pem else key.as_dict(private=True))
    forms = [private.form(client_id="housing", audience=AUDIENCE, now_seconds=1_000) for _ in range(2)]
    _, claims = claims_of(forms[0], key, algorithm)
    assert {name: claims[name] for name in ("iss", "sub", "aud", "iat", "exp")} == {
        "iss": "housing",
        "sub": "housing",
        "aud": AUDIENCE,
        "iat": 1_000,
        "exp": 1_060,
    }
    assert claims_of(forms[1], key, algorithm)[1]["jti"] != claims["jti"]


def test_a_key_names_itself() -> None:
    named = PrivateKey(ED25519.as_dict(private=True))
    other = PrivateKey(ED25519.as_dict(private=True), key_id="next")
    for key, name in ((named, "2026-03"), (other, "next")):
        form = key.form(client_id="housing", audience=AUDIENCE, now_seconds=0)
        assert claims_of(form, ED25519, "Ed25519")[0]["kid"] == name


def test_a_key_is_read_from_a_file_of_either_form(tmp_path: Path) -> None:
    (tmp_path / "key.jwk").write_text(json.dumps(ED25519.as_dict(private=True)))
    (tmp_path / "key.pem").write_bytes(ED25519.as_pem(private=True))
    for name in ("key.jwk", "key.pem"):
        form = read_private_key(tmp_path / name).form(client_id="housing", audience=AUDIENCE, now_seconds=0)
        assert claims_of(form, ED25519, "Ed25519")


def test_what_cannot_sign_is_the_callers_mistake() -> None:
    secret = OctKey.generate_key(256).as_dict()
    for other in (ED25519.as_dict(private=False), P256.as_pem(private=False), secret, "-----BEGIN", {}, {"kty": "OKP"}):
        with pytest.raises(ValueError, match="private key"):
            PrivateKey(other)
    with pytest.raises(ValueError, match="algorithm"):
        PrivateKey(ECKey.generate_key("P-384").as_dict(private=True))


def test_a_registered_key_gets_tokens_each_by_an_assertion_of_its_own(
    aberdare: FederatedTown, line: FaultyLine, network: Network
) -> None:
    public = ED25519.as_dict(private=False)
    aberdare.directory.directory.clients.add(
        "keyed", scopes=["accounts:read"], accounts=[aberdare.accounts["alys"]], secret=None, salt=b"s" * 16, key=public
    )
    around = Surroundings(now=network.clock.now, sleep=network.clock.advance)
    with Timebank(
        f"http://{LEDGER}",
        token_url=f"http://{DIRECTORY}/v1/token",
        client_id="keyed",
        private_key=PrivateKey(ED25519.as_dict(private=True)),
        audience=f"{NETWORK}/aberdare",
        transport=line,
        around=around,
    ) as town:
        for _ in range(3):
            assert [account.account for account in town.accounts.list()] == [aberdare.accounts["alys"]]
            network.clock.advance(900)
        assert len(line.sent_to("/v1/token")) == 3


def test_a_key_that_nobody_registered_gets_none(aberdare: FederatedTown, line: FaultyLine, network: Network) -> None:
    with (
        Timebank(
            f"http://{LEDGER}",
            directory_url=f"http://{DIRECTORY}",
            client_id="keyed",
            private_key=PrivateKey(P256.as_dict(private=True)),
            transport=line,
            around=Surroundings(now=network.clock.now, sleep=network.clock.advance),
        ) as town,
        pytest.raises(Unauthorised, match="client_unknown"),
    ):
        town.token()
