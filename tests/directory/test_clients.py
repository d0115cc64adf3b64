"""Clients and their tokens: a secret is never kept, a token never says more than was granted."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.federation.towns import NETWORK, FederatedTown, Network
from tests.kit.signed_tokens import ED, RSA, public
from timebank_contracts.errors import Malformed
from timebank_contracts.tokens import SCOPES, Issuer, audience, verify_token
from timebank_directory.attempts import TRIES
from timebank_directory.clients import PROOFS_MAX, Clients

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz"
OTHER = SECRET[::-1]
NOW = 1_772_442_000
DAY = 86_400


def add(clients: Clients, client: str = "app", **changes: Any) -> None:
    said: dict[str, Any] = {"scopes": ["transfers:write", "accounts:read"], "accounts": None}
    clients.add(client, **{**said, "secret": SECRET, "salt": b"s" * 16, **changes})


def ask(town: FederatedTown, **changes: str) -> httpx.Response:
    form = {"grant_type": "client_credentials", "client_id": "app", "client_secret": SECRET, **changes}
    return town.http.post("/v1/token", data={name: value for name, value in form.items() if value != "-"})


def test_a_secret_is_never_stored(tmp_path: Path) -> None:
    clients = Clients(f"sqlite:///{tmp_path}/d.db", "aberdare")
    add(clients)
    assert clients.check("app", SECRET, now_seconds=NOW) is not None
    clients.close()
    assert SECRET.encode() not in (tmp_path / "d.db").read_bytes()


def test_only_the_client_s_own_secret_opens_it() -> None:
    clients = Clients("sqlite://", "aberdare")
    add(clients)
    for client, secret in (("app", SECRET + "x"), ("app", ""), ("app", SECRET[:-1]), ("other", SECRET), ("", "")):
        assert clients.check(client, secret, now_seconds=NOW) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": ["everything"]},
        {"scopes": ["*"]},
        {"scopes": ["operate", "*"]},
        {"scopes": [""]},
        {"scopes": ["federation"]},
        {"accounts": ["Alys"]},
        {"secret": "short"},
        {"salt": b""},
        {"secret": None},
        {"mandate": "Alys Jones"},
        {"key": {}},
        {"key": public(RSA)},
        {"key": ED.as_dict(private=True)},
    ],
    ids=lambda _: "grant",
)
def test_a_client_that_could_never_work_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        add(Clients("sqlite://", "aberdare"), **changes)


@pytest.mark.parametrize("client", ["", "App", "a b", "a" * 64, "1app", "app\n"])
def test_a_client_s_id_is_one_that_the_ledger_takes_as_an_actor(client: str) -> None:
    with pytest.raises(Malformed):
        add(Clients("sqlite://", "aberdare"), client)


def test_a_client_registered_without_a_scope_or_account_gets_none(aberdare: FederatedTown) -> None:
    """Case N-5; PROTOCOL.md W8."""
    clients = aberdare.directory.directory.clients
    kept = clients.add("app", scopes=[], accounts=[], secret=SECRET, salt=b"s" * 16)
    assert (kept.scopes, kept.accounts) == ((), ())
    for scope in ("", "*", "accounts:read", "operate"):
        answer = ask(aberdare, scope=scope)
        assert (answer.status_code, answer.json()["code"]) == (400, "scope_not_granted")


def test_a_new_secret_counts_at_once_and_the_old_one_until_its_time() -> None:
    """PROTOCOL.md W8."""
    clients = Clients("sqlite://", "aberdare")
    add(clients)
    clients.rotate("app", secret=OTHER, now_seconds=NOW, overlap_seconds=7 * DAY)
    for now, old_counts in ((NOW, True), (NOW + 7 * DAY - 1, True), (NOW + 7 * DAY, False)):
        assert clients.check("app", OTHER, now_seconds=now) is not None
        assert (clients.check("app", SECRET, now_seconds=now) is not None) == old_counts


def test_a_secret_that_leaked_is_ended_at_once_with_all_before_it() -> None:
    clients = Clients("sqlite://", "aberdare")
    add(clients)
    clients.rotate("app", secret=OTHER, now_seconds=NOW, overlap_seconds=30 * DAY)
    clients.rotate("app", secret="n" * 32, now_seconds=NOW + 1, overlap_seconds=0)
    for secret, counts in ((SECRET, False), (OTHER, False), ("n" * 32, True)):
        assert (clients.check("app", secret, now_seconds=NOW + 1) is not None) == counts


def test_secrets_that_are_given_again_and_again_stay_few() -> None:
    clients = Clients("sqlite://", "aberdare")
    add(clients)
    for number in range(10):
        kept = clients.rotate("app", secret=f"{number}" * 32, now_seconds=NOW, overlap_seconds=DAY)
        clients.rotate("app", key=public(ED), now_seconds=NOW, overlap_seconds=DAY)
    assert len(kept.former) == len(kept.keys) - 1 == PROOFS_MAX - 1
    assert clients.check("app", "9" * 32, now_seconds=NOW) is not None
    assert clients.check("app", SECRET, now_seconds=NOW) is None


def test_a_client_that_was_revoked_gets_nothing_and_its_id_is_not_given_again() -> None:
    clients = Clients("sqlite://", "aberdare")
    add(clients, key=public(ED))
    add(clients, "zoe")
    clients.revoke("app")
    assert clients.check("app", SECRET, now_seconds=NOW) is None
    assert clients.find("app") is None
    assert [(one.client, one.revoked) for one in clients.listed()] == [("app", True), ("zoe", False)]
    with pytest.raises(Malformed, match="existed"):
        add(clients)
    with pytest.raises(Malformed, match="no such client"):
        clients.revoke("app")
    for client in ("app", "nobody"):
        with pytest.raises(Malformed, match="no such client"):
            clients.rotate(client, secret=OTHER, now_seconds=NOW, overlap_seconds=0)


def test_of_two_commands_that_change_a_client_at_one_moment_none_is_lost(tmp_path: Path) -> None:
    clients = Clients(f"sqlite:///{tmp_path}/d.db", "aberdare")
    add(clients)

    def try_it(number: int) -> str | None:
        try:
            clients.rotate("app", secret=f"{number}" * 32, now_seconds=NOW, overlap_seconds=DAY)
        except Malformed:
            return None
        return f"{number}" * 32

    with ThreadPoolExecutor(4) as pool:
        given = [secret for secret in pool.map(try_it, range(1, 4)) if secret is not None]
    assert given
    assert all(clients.check("app", secret, now_seconds=NOW) is not None for secret in given)
    clients.close()


def test_a_client_of_an_earlier_version_is_still_known() -> None:
    """Its row names no former secret, no key and no mandate."""
    clients = Clients("sqlite://", "aberdare")
    add(clients)
    with clients.engine.begin() as db:
        row = json.loads(db.exec_driver_sql("select document from directory_clients").scalar_one())
        old = {name: row[name] for name in ("client", "scopes", "accounts", "salt", "secret_hash")}
        db.exec_driver_sql("update directory_clients set document = ?", (json.dumps(old).encode(),))
    assert clients.check("app", SECRET, now_seconds=NOW) is not None


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


def basic(client: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()}


def test_a_client_may_prove_itself_by_basic_authentication(aberdare: FederatedTown) -> None:
    """PROTOCOL.md W8; RFC 6749, 2.3.1: both parts are written as in a form."""
    secret = "a:b%/é+" * 6
    add(aberdare.directory.directory.clients, secret=secret)
    form = {"grant_type": "client_credentials"}
    answer = aberdare.http.post("/v1/token", data=form, headers=basic("app", quote(secret, safe="")))
    assert answer.status_code == 200, answer.text
    for header in (basic("app", "wrong"), basic("nobody", quote(secret)), {"Authorization": "Basic !"}):
        answer = aberdare.http.post("/v1/token", data=form, headers=header)
        assert (answer.status_code, answer.json()["code"]) == (401, "client_unknown")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_client_proves_itself_in_one_way_and_as_one_client(aberdare: FederatedTown) -> None:
    add(aberdare.directory.directory.clients)
    header = basic("app", SECRET)
    form = {"grant_type": "client_credentials"}
    two = aberdare.http.post("/v1/token", data={**form, "client_id": "app", "client_secret": SECRET}, headers=header)
    assert (two.status_code, two.json()["code"]) == (422, "field_invalid")
    other = aberdare.http.post("/v1/token", data={**form, "client_id": "other"}, headers=header)
    assert (other.status_code, other.json()["code"]) == (401, "client_unknown")
    none = aberdare.http.post("/v1/token", data=form)
    assert (none.status_code, none.json()["code"]) == (422, "field_invalid")


def test_a_client_under_a_mandate_gets_tokens_that_name_it(aberdare: FederatedTown) -> None:
    """PROTOCOL.md W3."""
    add(aberdare.directory.directory.clients, accounts=["m-1"], mandate="m-7")
    claims = ask(aberdare).json()["access_token"].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["mandate"] == "m-7"


def test_who_fails_too_often_waits_and_a_success_costs_nothing(network: Network, aberdare: FederatedTown) -> None:
    """PROTOCOL.md W8."""
    add(aberdare.directory.directory.clients)
    for _ in range(2 * TRIES):
        assert ask(aberdare).status_code == 200
    for client in ("app", "nobody"):
        codes = [ask(aberdare, client_id=client, client_secret="x" * 40).status_code for _ in range(TRIES + 1)]
        assert codes == [401] * TRIES + [429]
    answer = ask(aberdare)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")
    network.clock.advance(int(answer.headers["Retry-After"]))
    assert ask(aberdare).status_code == 200


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
