"""What is edited has a tag, and what was changed meanwhile is not replaced unseen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ledger.town_api import OPERATOR, Town, gift
from timebank_contracts.errors import Refusal
from timebank_ledger import commands as c
from timebank_ledger.tags import limits_content, read_expected, tag_of

LIMITS = "/v1/accounts/alys/limits"
STATE = "/v1/accounts/alys/state"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (LIMITS, {"floor": -60, "ceiling": 120}),
        (STATE, {"state": "frozen"}),
        ("/v1/policy", {"default_floor": -60, "default_ceiling": 600, "debt_limit": 1_000}),
    ],
)
def test_an_edit_of_what_was_seen_is_taken_and_a_later_one_of_the_same_sight_is_not(
    town: Town, path: str, body: dict[str, object]
) -> None:
    operator = town.operator()
    read = operator.get(path)
    seen: dict[str, Any] = {"headers": {"If-Match": read.headers["ETag"]}}
    first = operator.put(path, body, key="first", **seen)
    assert first.status_code == 200
    assert first.headers["ETag"] != read.headers["ETag"]
    now = operator.get(path)
    assert (now.json(), now.headers["ETag"]) == (first.json(), first.headers["ETag"])
    late = operator.put(path, {**read.json(), **body} if path == "/v1/policy" else body, **seen)
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    again = operator.put(path, body, key="first", **seen)
    assert (again.status_code, again.json(), again.headers["ETag"]) == (200, first.json(), first.headers["ETag"])


def test_two_who_saw_the_same_are_decided_in_the_order_of_the_writer(town: Town) -> None:
    expected = (tag_of(limits_content("alys", floor=-600, ceiling=6_000)),)
    with town.writer.reading():
        one, other, third = [
            town.writer.submit(
                c.ChangeAccount(by=OPERATOR, account="alys", floor=floor, ceiling=6_000, expected=expected)
            )
            for floor in (-600, -60, -30)
        ]
    one.result()
    other.result()
    with pytest.raises(Refusal, match="precondition_failed"):
        third.result()


def test_a_balance_that_moves_spoils_no_edit(town: Town) -> None:
    operator = town.operator()
    tag = operator.get(LIMITS).headers["ETag"]
    town.member("alys").post("/v1/transfers", gift("alys", "bryn", 30))
    assert operator.put(LIMITS, {"floor": -60, "ceiling": 120}, headers={"If-Match": tag}).status_code == 200


def test_a_repeated_edit_is_answered_as_the_first_time_and_undoes_nothing(town: Town) -> None:
    operator = town.operator()
    first = operator.put(LIMITS, {"floor": -60, "ceiling": 120}, key="k")
    operator.put(LIMITS, {"floor": -30, "ceiling": 30})
    again = operator.put(LIMITS, {"floor": -60, "ceiling": 120}, key="k")
    assert (again.json(), again.headers["X-Position"]) == (first.json(), first.headers["X-Position"])
    assert operator.get(LIMITS).json()["floor"] == -30
    assert operator.put(LIMITS, {"floor": -61, "ceiling": 120}, key="k").json()["code"] == "key_reused"


def test_an_edit_without_a_key_is_refused(town: Town) -> None:
    operator = town.operator()
    for answer in (
        operator.put(LIMITS, {"floor": -60, "ceiling": 120}, key=None),
        operator.put(STATE, {"state": "frozen"}, key=None),
        operator.put("/v1/policy", {"default_floor": 0, "default_ceiling": 0, "debt_limit": 0}, key=None),
        operator.delete(f"/v1/aliases/{'a' * 32}", key=None),
        operator.put("/v1/registry", content=b"", key=None),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "key_missing")


def test_an_address_is_revoked_once_and_the_repetition_is_answered_as_the_first_time(town: Town) -> None:
    bryn = town.member("bryn")
    path = f"/v1/aliases/{bryn.post('/v1/accounts/bryn/aliases', {}).json()['alias']}"
    first, again = bryn.delete(path, key="k"), bryn.delete(path, key="k")
    assert (first.status_code, again.status_code) == (204, 204)
    assert first.headers["X-Position"] == again.headers["X-Position"]
    assert bryn.delete(path).json()["code"] == "alias_unknown"
    assert town.member("alys").delete(path, key="k").json()["code"] == "alias_unknown"


def test_a_closing_account_shows_what_it_is_and_closes_in_favour_of_a_taker(town: Town) -> None:
    operator = town.operator()
    town.member("bryn").post("/v1/transfers", gift("bryn", "alys", 30))
    closing = town.member("alys").post("/v1/accounts/alys/closing")
    assert closing.json() == operator.get(STATE).json() == {"account": "alys", "state": "closing"}
    tag: dict[str, Any] = {"headers": {"If-Match": closing.headers["ETag"]}}
    assert operator.put(STATE, {"state": "open", "taker": "pot"}, **tag).json()["code"] == "field_invalid"
    closed = operator.put(STATE, {"state": "closed", "taker": "pot"}, **tag)
    assert closed.json() == {"account": "alys", "state": "closed"}
    assert operator.get("/v1/accounts/pot").json()["balance"] == 30


def test_who_may_not_see_an_account_reads_no_limits_of_it(town: Town) -> None:
    assert town.member("bryn").get(LIMITS).json()["code"] == "forbidden"
    assert town.operator().get("/v1/accounts/nobody/limits").json()["code"] == "account_unknown"
    assert town.operator().put("/v1/accounts/nobody/limits", {"floor": 0, "ceiling": 0}).status_code == 404
    assert town.member("alys").get(LIMITS).json() == {"account": "alys", "floor": -600, "ceiling": 6_000}


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        (None, None),
        (" * ", None),
        ('"a"', ("a",)),
        ('"a", "b"', ("a", "b")),
        ('W/"a"', ()),
        ('W/"a", "b"', ("b",)),
        ("a", ()),
        ("", ()),
    ],
)
def test_only_a_strong_tag_is_expected(header: str | None, tags: tuple[str, ...] | None) -> None:
    assert read_expected(header) == tags
