"""The client commands: a secret is printed once, nothing is granted that was not named, the answer says what was."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.kit.signed_tokens import EC, ED, RSA, public
from tests.node.test_cli import init, made, refusal
from timebank_directory.clients import Clients


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init(tmp_path / "aberdare")
    return tmp_path / "aberdare"


def add(home: Path, *words: object) -> dict[str, str]:
    return dict(line.split("=", 1) for line in made("client", "add", home, "app", *words).splitlines())


def proves(home: Path, secret: str, *, seconds_later: int = 0) -> bool:
    clients = Clients(f"sqlite:///{home}/people.db", "aberdare")
    try:
        return clients.check("app", secret, now_seconds=int(time.time()) + seconds_later) is not None
    finally:
        clients.close()


def test_a_client_s_secret_is_printed_once_and_works(home: Path) -> None:
    said = add(home, "--scope", "operate", "--scope", "audit:read", "--every-account")
    assert (said["scopes"], said["accounts"]) == ("audit:read,operate", "*")
    assert proves(home, said["client_secret"])
    assert said["client_secret"] not in made("client", "list", home)


def test_a_client_may_be_bound_to_accounts(home: Path) -> None:
    said = add(home, "--scope", "transfers:write", "--account", "m-1", "--account", "m-2", "--mandate", "m-7")
    assert (said["scopes"], said["accounts"], said["mandate"]) == ("transfers:write", "m-1,m-2", "m-7")


def test_a_client_added_with_no_more_than_its_name_may_do_nothing(home: Path) -> None:
    """Case N-5."""
    said = add(home)
    assert (said["scopes"], said["accounts"]) == ("(none)", "(none)")
    assert "scopes=(none)  accounts=(none)" in made("client", "list", home)


def test_a_new_secret_stands_beside_the_old_one_for_as_long_as_was_said(home: Path) -> None:
    old = add(home)["client_secret"]
    said = made("client", "rotate", home, "app", "--overlap-days", 2)
    new = said.split("client_secret=")[1].split()[0]
    assert "The old secret counts until " in said
    assert "secret until " in made("client", "list", home)
    for later, counts in ((0, True), (2 * 86_400 - 60, True), (2 * 86_400 + 60, False)):
        assert proves(home, new, seconds_later=later)
        assert proves(home, old, seconds_later=later) == counts
    assert "The old secret counts no more." in made("client", "rotate", home, "app", "--overlap-days", 0)
    assert not proves(home, new)


def test_a_client_may_have_a_key_and_then_gets_no_secret(home: Path, tmp_path: Path) -> None:
    (tmp_path / "ed.json").write_text(json.dumps(public(ED)))
    (tmp_path / "ec.pem").write_bytes(EC.as_pem(private=False))
    assert "client_secret" not in add(home, "--key", tmp_path / "ed.json")
    assert "The old key counts until" in made("client", "rotate", home, "app", "--key", tmp_path / "ec.pem")
    clients = Clients(f"sqlite:///{home}/people.db", "aberdare")
    found = clients.find("app")
    clients.close()
    assert found is not None
    assert [key.jwk["kty"] for key in found.keys] == ["EC", "OKP"]
    assert found.keys[1].jwk["x"] == public(ED)["x"]


def test_a_key_that_cannot_be_registered_is_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "private.pem": ED.as_pem(private=True),
        "private.json": json.dumps(ED.as_dict(private=True)).encode(),
        "rsa.json": json.dumps(public(RSA)).encode(),
        "rsa.pem": RSA.as_pem(private=False),
        "list.json": b"[]",
        "nothing": b"\xff",
    }
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
        assert "key" in refusal(capsys, "client", "add", home, "app", "--key", tmp_path / name).lower()


def test_a_revoked_client_is_listed_as_such_and_proves_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "There are no clients" in made("client", "list", home)
    secret = add(home)["client_secret"]
    assert "15 minutes" in made("client", "revoke", home, "app")
    assert "revoked" in made("client", "list", home)
    assert not proves(home, secret)
    assert "no such client" in refusal(capsys, "client", "rotate", home, "app")


def test_accounts_are_named_or_all_and_not_both(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not both" in refusal(capsys, "client", "add", home, "app", "--account", "m-1", "--every-account")
