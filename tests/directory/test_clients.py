"""Clients and their tokens: a secret is never kept, a token never says more than was granted."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.federation.towns import NETWORK, FederatedTown, Network
from timebank_contracts.errors import Malformed
from timebank_contracts.tokens import SCOPES, Issuer, audience, verify_token
from timebank_directory.clients import Clients

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz"


def add(clients: Clients, client: str = "app", **changes: Any) -> None:
    said: dict[str, Any] = {"scopes": ["transfers:write", "accounts:read"], "accounts": None}
    clients.add(client, **{**said, "secret": SECRET, "salt": b"s" * 16, **changes})


def ask(town: FederatedTown, **changes: str) -> httpx.Response:
    form = {"grant_type": "client_credentials", "client_id": "app", "client_secret": SECRET, **changes}
    return town.http.post("/v1/token", data={name: value for name, value in form.items() if value != "-"})


def test_a_secret_is_never_stored(tmp_path: Path) -> None:
    clients = Clients(f"sqlite:///{tmp_path}/d.db", "aberdare")
    add(clients)
    assert clients.check("app", SECRET) is not None
    clients.close()
    assert SECRET.encode() not in (tmp_path / "d.db").read_bytes()


def test_only_the_client_s_own_secret_opens_it() -> None:
    clients = Clients("sqlite://", "aberdare")
    add(clients)
    for client, secret in (("app", SECRET + "x"), ("app", ""), ("app", SECRET[:-1]), ("other", SECRET), ("", "")):
        assert clients.check(client, secret) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": ["federation"]},
        {"accounts": ["Alys"]},
        {"secret": "short"},
        {"salt": b""},
    ],
    ids=str,
)
def test_a_client_that_could_never_work_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        add(Clients("sqlite://", "aberdare"), **changes)


@pytest.mark.parametrize("client", ["", "App", "a b", "a" * 64, "1app", "app\n"])
def test_a_client_s_id_is_one_that_the_ledger_takes_as_an_actor(client: str) -> None:
    with pytest.raises(Malformed):
        add(Clients("sqlite://", "aberdare"), client)


def test_a_client_is_made_once() -> None:
    clients = Clients("sqlite://", "aberdare")
    add(clients)
    with pytest.raises(Malformed, match="exists"):
        add(clients)


def test_a_token_allows_what_was_granted_or_less(aberdare: FederatedTown) -> None:
    add(aberdare.directory.directory.clients, accounts=["m-1"])
    for scope, expected in (("", {"transfers:write", "accounts:read"}), ("accounts:read", {"accounts:read"})):
        answer = ask(aberdare, scope=scope)
        said = answer.json()
        assert answer.headers["cache-control"] == "no-store"
        assert (said["token_type"], said["expires_in"], set(said["scope"].split())) == ("Bearer", 900, expected)
        issuer = Issuer("aberdare/directory", (aberdare.directory.directory.token_public,), SCOPES)
        caller = verify_token(
            said["access_token"],
            issuers={issuer.name: issuer},
            audience=audience(NETWORK, "aberdare"),
            now_seconds=int(aberdare.around.clock.now().timestamp()),
        )
        assert (caller.subject, caller.scopes, caller.accounts) == ("app", frozenset(expected), frozenset({"m-1"}))


def test_a_scope_that_was_not_granted_is_refused(aberdare: FederatedTown) -> None:
    add(aberdare.directory.directory.clients)
    for scope in ("operate", "transfers:write operate", "federation", "nonsense"):
        answer = ask(aberdare, scope=scope)
        assert (answer.status_code, answer.json()["code"]) == (400, "scope_not_granted")


def test_an_unknown_client_and_a_wrong_secret_get_the_same_answer(aberdare: FederatedTown) -> None:
    add(aberdare.directory.directory.clients)
    answers = [ask(aberdare, client_id="nobody"), ask(aberdare, client_secret="x" * 40)]
    assert answers[0].content == answers[1].content
    assert (answers[0].status_code, answers[0].json()["code"]) == (401, "client_unknown")


def test_a_question_of_another_form_is_refused_without_repeating_the_secret(aberdare: FederatedTown) -> None:
    for changes in ({"grant_type": "password"}, {"client_id": "-"}, {"client_id": "x" * 65}):
        answer = ask(aberdare, **changes)
        assert answer.status_code == 422
        assert SECRET not in answer.text
    too_long = "s3cret" * 60
    assert "s3cret" not in ask(aberdare, client_secret=too_long).text


def test_a_token_is_over_after_its_time(network: Network, aberdare: FederatedTown) -> None:
    add(aberdare.directory.directory.clients, scopes=["operate"])
    headers = {"Authorization": f"Bearer {ask(aberdare).json()['access_token']}"}
    assert aberdare.http.get("/v1/people", headers=headers).status_code == 200
    network.clock.advance(961)
    answer = aberdare.http.get("/v1/people", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised")


def test_the_public_key_verifies_tokens(aberdare: FederatedTown) -> None:
    jwk = aberdare.http.get("/v1/public-key").json()
    public = base64.urlsafe_b64decode(jwk["x"] + "=")
    assert public == aberdare.home.key("token").public
    assert (jwk["kty"], jwk["crv"], jwk["alg"], "d" in jwk) == ("OKP", "Ed25519", "Ed25519", False)


def test_a_token_s_head_names_one_algorithm_and_no_key(aberdare: FederatedTown) -> None:
    add(aberdare.directory.directory.clients)
    head = ask(aberdare).json()["access_token"].split(".")[0]
    assert json.loads(base64.urlsafe_b64decode(head + "==")).keys() <= {"alg", "typ"}
