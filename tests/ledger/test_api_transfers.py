"""Transfers over HTTP: what is answered, repeated, refused and taken back."""

from __future__ import annotations

import pytest

from tests.ledger.town_api import Town, gift


def test_a_transfer_is_answered_with_its_id_state_and_position(town: Town) -> None:
    answer = town.member("alys").post("/v1/transfers", gift("alys", "bryn", 90))
    assert answer.status_code == 201
    assert answer.json() == {
        "id": "aberdare.g1.6",
        "state": "posted",
        "minutes": 90,
        "position": 6,
        "time": "2026-03-02T10:00:00.000Z",
        "reason": None,
        "claim": None,
        "postings": None,
        "refunds": None,
        "refunded_minutes": None,
        "reversed_minutes": None,
        "thanked_by": None,
    }
    assert answer.headers["X-Position"] == "7"


def test_the_same_key_and_content_gets_the_first_answer_again_and_moves_nothing(town: Town) -> None:
    alys = town.member("alys")
    first = alys.post("/v1/transfers", gift("alys", "bryn", 90), key="once")
    town.clock.advance(60)
    again = alys.post("/v1/transfers", gift("alys", "bryn", 90), key="once")
    assert (again.status_code, again.json()) == (201, first.json())
    assert town.operator().get("/v1/accounts/bryn").json()["balance"] == 90


def test_the_same_key_with_other_content_is_refused(town: Town) -> None:
    alys = town.member("alys")
    alys.post("/v1/transfers", gift("alys", "bryn", 90), key="once")
    other = alys.post("/v1/transfers", gift("alys", "bryn", 91), key="once")
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


def test_two_clients_may_use_the_same_key(town: Town) -> None:
    assert town.member("alys").post("/v1/transfers", gift("alys", "bryn", 5), key="k").status_code == 201
    assert town.member("bryn").post("/v1/transfers", gift("bryn", "alys", 5), key="k").status_code == 201


@pytest.mark.parametrize("key", [None, "two words", "k" * 201, "clé"])
def test_a_command_without_a_usable_key_is_refused(town: Town, key: str | None) -> None:
    headers = {} if key is None else {"Idempotency-Key": key.encode()}
    answer = town.member("alys").post("/v1/transfers", gift("alys", "bryn", 5), key=None, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "key_missing")


def test_a_refused_command_leaves_its_key_free(town: Town) -> None:
    alys = town.member("alys")
    assert alys.post("/v1/transfers", gift("alys", "bryn", 601), key="k").json()["code"] == "floor"
    assert alys.post("/v1/transfers", gift("alys", "bryn", 600), key="k").status_code == 201


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (gift("alys", "bryn", 601), 409, "floor"),
        (gift("alys", "alys", 5), 422, "self_transfer"),
        (gift("alys", "nobody", 5), 404, "account_unknown"),
        (gift("alys", "bryn", 5) | {"purpose": "service"}, 422, "service_incomplete"),
        (gift("alys", "pot", 5), 422, "purpose_invalid"),
        (gift("alys", "pot", 5) | {"purpose": "grant"}, 422, "purpose_invalid"),
        (gift("alys", "bryn", 5) | {"payee": {"node": "barry", "alias": "0" * 32}}, 404, "peer_unknown"),
        (gift("alys", "bryn", 5) | {"payee": {"node": "aberdare", "alias": "0" * 32}}, 404, "alias_unknown"),
        (
            gift("alys", "bryn", 5) | {"purpose": "service", "activity": "garden", "served_on": "2026-03-20"},
            422,
            "served_on_invalid",
        ),
    ],
)
def test_what_the_rules_refuse_has_a_stable_code(town: Town, body: object, status: int, code: str) -> None:
    answer = town.member("alys").post("/v1/transfers", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_frozen_payer_and_a_closed_payee_are_refused_by_name(town: Town) -> None:
    operator = town.operator()
    operator.put("/v1/accounts/alys/state", {"state": "frozen"})
    operator.put("/v1/accounts/bryn/state", {"state": "closed"})
    assert operator.post("/v1/transfers", gift("alys", "library", 5)).json()["code"] == "account_frozen"
    assert operator.post("/v1/transfers", gift("library", "bryn", 5)).json()["code"] == "account_closed"


def test_a_partner_pays_only_from_accounts_that_it_was_granted(town: Town) -> None:
    partner = town.client("transfers:write", subject="shop", accounts=frozenset({"library"}))
    body = gift("library", "alys", 5) | {"confirmed_by": "none"}
    assert partner.post("/v1/transfers", body).status_code == 201
    refused = partner.post("/v1/transfers", gift("alys", "library", 5) | {"confirmed_by": "none"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_a_partner_must_say_who_confirmed_and_cannot_speak_for_a_broker(town: Town) -> None:
    partner = town.client("transfers:write", subject="shop", accounts=frozenset({"library"}))
    assert partner.post("/v1/transfers", gift("library", "alys", 5)).json()["code"] == "confirmation_needed"
    spoken = partner.post("/v1/transfers", gift("library", "alys", 5) | {"confirmed_by": "broker"})
    assert spoken.json()["code"] == "forbidden"


def test_an_alias_of_the_town_itself_is_paid_within_the_town(town: Town) -> None:
    alias = town.member("bryn").post("/v1/accounts/bryn/aliases", {}).json()["alias"]
    body = gift("alys", "", 30) | {"payee": {"node": "aberdare", "alias": alias}}
    assert town.member("alys").post("/v1/transfers", body).json()["state"] == "posted"
    assert town.operator().get("/v1/accounts/bryn").json()["balance"] == 30


def test_a_payment_to_an_address_is_answered_again_when_the_address_is_gone(town: Town) -> None:
    bryn, alys = town.member("bryn"), town.member("alys")
    alias = bryn.post("/v1/accounts/bryn/aliases", {}).json()["alias"]
    body = gift("alys", "bryn", 30) | {"payee": {"node": "aberdare", "alias": alias}}
    first = alys.post("/v1/transfers", body, key="once")
    assert bryn.delete(f"/v1/aliases/{alias}").status_code == 204
    assert alys.post("/v1/transfers", body, key="once").json() == first.json()
    assert alys.post("/v1/transfers", body, key="twice").json()["code"] == "alias_unknown"
    assert bryn.post("/v1/transfers", body | {"payer": "bryn"}, key="self").status_code == 404


def test_a_service_to_an_address_says_the_time_that_its_holder_gave(town: Town) -> None:
    alias = town.member("bryn").post("/v1/accounts/bryn/aliases", {}).json()["alias"]
    said = {"purpose": "service", "activity": "garden", "served_on": "2026-03-01", "given_minutes": 45}
    body = gift("alys", "bryn", 30) | said | {"payee": {"node": "aberdare", "alias": alias}}
    position = town.member("alys").post("/v1/transfers", body).json()["position"]
    entry = town.journal.read(position, 1)[0].state
    assert b'"given":[["bryn",45]]' in entry


def test_a_group_session_is_one_entry_of_several_postings(town: Town) -> None:
    body = {
        "postings": [["alys", -60], ["bryn", -60], ["library", 90], ["pot", 30]],
        "given": [["library", 90]],
        "purpose": "service",
        "activity": "teaching",
        "served_on": "2026-03-01",
    }
    answer = town.operator().post("/v1/transfers", body)
    assert (answer.status_code, answer.json()["minutes"]) == (201, 120)
    assert town.operator().get("/v1/accounts/pot").json()["balance"] == 30


def test_a_group_needs_the_grant_of_every_account_that_pays(town: Town) -> None:
    body = {"postings": [["alys", -60], ["bryn", -60], ["library", 120]], "purpose": "gift"}
    assert town.member("alys").post("/v1/transfers", body).json()["code"] == "forbidden"


def test_a_reversal_takes_the_whole_transfer_back_once(town: Town) -> None:
    operator = town.operator()
    made = operator.post("/v1/transfers", gift("alys", "bryn", 90)).json()
    path = f"/v1/transfers/{made['id']}/reversal"
    back = operator.post(path, {"reason": "mistake"}, key="r")
    assert (back.status_code, back.json()["state"], back.json()["minutes"]) == (201, "reversed", 90)
    assert operator.post(path, {"reason": "mistake"}, key="r").json() == back.json()
    assert operator.post(path, {"reason": "mistake"}).json()["code"] == "already_reversed"
    now = operator.get(f"/v1/transfers/{made['id']}").json()
    assert now == made | {"state": "reversed", "reason": "mistake", "reversed_minutes": 90}


def test_a_transfer_is_unknown_to_those_whose_accounts_it_does_not_touch(town: Town) -> None:
    made = town.member("alys").post("/v1/transfers", gift("alys", "bryn", 90)).json()
    path = f"/v1/transfers/{made['id']}"
    assert town.member("bryn").get(path).json() == made
    stranger = town.client("statements:read", subject="cai", accounts=frozenset({"cai"})).get(path)
    missing = town.member("alys").get("/v1/transfers/aberdare.g1.999")
    assert stranger.json() == missing.json()
    assert stranger.json()["code"] == "transfer_unknown"


def test_an_entry_that_is_no_transfer_has_no_transfer_id(town: Town) -> None:
    assert town.operator().get("/v1/transfers/aberdare.g1.0").json()["code"] == "transfer_unknown"
