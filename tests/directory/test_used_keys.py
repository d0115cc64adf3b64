"""One key serves one request: repeated, it is answered as the first time and does nothing again."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.federation.towns import FederatedTown
from timebank_contracts.errors import Refusal
from timebank_directory.used_keys import KEPT_DAYS, UsedKeys, asked_under

TODAY = date(2026, 3, 2)
NEW: dict[str, Any] = {"handle": "mair", "name": "Gwenllian"}
ENROL = asked_under("k", client="aberdare/directory/op", content={"kind": "member", **NEW})
OTHER = asked_under("k", client="aberdare/directory/op", content={"kind": "member", **NEW, "name": "x"})


def test_a_key_stands_for_the_account_that_it_began_with() -> None:
    keys = UsedKeys("sqlite://", "aberdare")
    first = keys.begin(ENROL, account="m-1", today=TODAY)
    again = keys.begin(ENROL, account="m-2", today=TODAY)
    assert (first, again) == (("m-1", True), ("m-1", False))
    for ask in (lambda: keys.find(OTHER), lambda: keys.begin(OTHER, account="m-3", today=TODAY)):
        with pytest.raises(Refusal, match="key_reused"):
            ask()
    elsewhere = asked_under("k", client="aberdare/directory/another", content={"kind": "member", **NEW, "name": "x"})
    assert keys.find(elsewhere) is None
    assert UsedKeys("sqlite://", "barry").find(ENROL) is None


def test_a_key_of_what_was_refused_may_be_used_again() -> None:
    keys = UsedKeys("sqlite://", "aberdare")
    keys.begin(ENROL, account="m-1", today=TODAY)
    keys.forget(ENROL)
    assert keys.begin(OTHER, account="m-2", today=TODAY) == ("m-2", True)


def test_keys_are_forgotten_after_their_days_so_the_table_is_bounded() -> None:
    keys = UsedKeys("sqlite://", "aberdare")
    keys.begin(ENROL, account="m-1", today=TODAY)
    other = asked_under("another", client="c", content={})
    last = date.fromordinal(TODAY.toordinal() + KEPT_DAYS)
    keys.begin(other, account="m-2", today=last)
    assert keys.find(ENROL) == "m-1"
    keys.begin(asked_under("third", client="c", content={}), account="m-3", today=last.replace(day=last.day + 1))
    assert (keys.find(ENROL), keys.find(other)) == (None, "m-2")


def test_nothing_that_was_sent_is_kept(tmp_path: Path) -> None:
    """Two requests of one content differ under two keys, so the table tells no guess from another."""
    keys = UsedKeys(f"sqlite:///{tmp_path / 'keys.db'}", "aberdare")
    keys.begin(ENROL, account="m-1", today=TODAY)
    keys.close()
    raw = (tmp_path / "keys.db").read_bytes()
    assert b"m-1" in raw
    for word in (b"mair", b"Gwenllian", b"directory/op"):
        assert word not in raw
    assert asked_under("k2", client="aberdare/directory/op", content={"kind": "member", **NEW})[1] != ENROL.digest


def ask(town: FederatedTown, method: str, path: str, key: str, body: Any = None) -> httpx.Response:
    return town.http.request(method, path, json=body, headers=town.headers("operate", key=key))


@pytest.mark.slow
def test_an_enrolment_repeated_is_the_same_person_and_one_account(aberdare: FederatedTown) -> None:
    before = aberdare.ledger.writer.tail.length
    first = ask(aberdare, "POST", "/v1/members", "k", NEW)
    again = ask(aberdare, "POST", "/v1/members", "k", NEW)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert aberdare.ledger.writer.tail.length == before + 1
    other = ask(aberdare, "POST", "/v1/members", "k", NEW | {"floor": -60})
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert ask(aberdare, "POST", "/v1/organisations", "k", NEW).json()["code"] == "key_reused"


@pytest.mark.slow
def test_an_enrolment_that_was_cut_off_goes_on_with_its_account(aberdare: FederatedTown) -> None:
    aberdare.to_ledger.is_cut = True
    assert ask(aberdare, "POST", "/v1/members", "k", NEW).json()["code"] == "room_away"
    aberdare.to_ledger.is_cut = False
    assert ask(aberdare, "POST", "/v1/members", "k", NEW).status_code == 201
    refused = ask(aberdare, "POST", "/v1/members", "taken", NEW)
    assert refused.json()["code"] == "handle_taken"
    assert ask(aberdare, "POST", "/v1/members", "taken", NEW | {"handle": "nia"}).status_code == 201


@pytest.mark.slow
def test_a_late_repetition_undoes_no_later_consent_and_brings_nobody_back(aberdare: FederatedTown) -> None:
    account = ask(aberdare, "POST", "/v1/members", "enrol", NEW).json()["account"]
    consent, person = f"/v1/members/{account}/consent", f"/v1/members/{account}/person"
    yes, no = {"payable_from_other_towns": True}, {"payable_from_other_towns": False}
    assert ask(aberdare, "PUT", consent, "yes", yes).json() == yes
    assert ask(aberdare, "PUT", consent, "no", no).json() == no
    assert ask(aberdare, "PUT", consent, "yes", yes).json() == yes
    found = aberdare.directory.directory.people.by_account(account)
    assert found is not None
    assert not found.payable_from_other_towns
    assert ask(aberdare, "PUT", consent, "yes", no).json()["code"] == "key_reused"
    assert [ask(aberdare, "DELETE", person, "erase").status_code for _ in range(2)] == [204, 204]
    assert ask(aberdare, "DELETE", person, "again").json()["code"] == "person_unknown"
    assert ask(aberdare, "POST", "/v1/members", "enrol", NEW).status_code == 409
    assert aberdare.directory.directory.people.by_account(account) is None


@pytest.mark.slow
def test_a_write_without_a_key_is_refused(aberdare: FederatedTown) -> None:
    headers = {name: value for name, value in aberdare.headers("operate").items() if name == "Authorization"}
    for method, path in (
        ("POST", "/v1/members"),
        ("POST", "/v1/organisations"),
        ("PUT", "/v1/members/m-1/consent"),
        ("DELETE", "/v1/members/m-1/person"),
    ):
        answer = aberdare.http.request(method, path, json=NEW, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "key_missing")
