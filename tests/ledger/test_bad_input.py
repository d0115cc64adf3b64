"""Bad input (issue 3): each gets a stable code and a sentence that says what to do, and nothing is applied."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ledger.town_api import Town, gift

JSON = {"Content-Type": "application/json"}
AMOUNTS = [
    "0",
    "-1",
    "true",
    "1e3",
    "9223372036854775808",
    "1.5",
    "1.0",
    '"90"',
    '"\uff19\uff10"',
    "null",
    "[]",
    "60001",
]


def _raw(minutes: str) -> bytes:
    return (
        '{"payer":"alys","payee":{"account":"bryn"},"purpose":"gift","key":"k","minutes":%s}' % minutes  # noqa: UP031 - the number's text is the test
    ).encode()


@pytest.mark.parametrize("minutes", AMOUNTS)
def test_minutes_of_another_form_are_refused_by_the_field_s_name(town: Town, minutes: str) -> None:
    raw = _raw(minutes).replace(b'"key":"k",', b"")
    answer = town.member("alys").post("/v1/transfers", content=raw, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "amount_out_of_range")
    assert answer.json()["errors"][0]["field"] == "minutes"
    assert answer.json()["detail"]
    assert town.writer.tail.length == 6


@pytest.mark.parametrize("minutes", AMOUNTS)
def test_a_batch_refuses_the_same_minutes_with_the_same_code(town: Town, minutes: str) -> None:
    answer = town.member("alys").post(
        "/v1/transfers/batch", content=b"[" + _raw(minutes) + b"]", key=None, headers=JSON
    )
    one = answer.json()["answers"][0]
    assert (one["status"], one["problem"]["code"]) == (422, "amount_out_of_range")
    assert one["problem"]["errors"][0]["field"] == "minutes"
    assert town.writer.tail.length == 6


@pytest.mark.parametrize("minutes", [minutes for minutes in AMOUNTS if minutes != "-1"])
def test_a_posting_s_minutes_are_as_strict(town: Town, minutes: str) -> None:
    raw = b'{"postings":[["alys",-5],["bryn",%s]],"purpose":"gift"}' % minutes.encode()
    answer = town.operator().post("/v1/transfers", content=raw, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["code"] in {"amount_out_of_range", "posting_invalid"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"payer": "Alys"}, "payer"),
        ({"payer": "alys\n"}, "payer"),
        ({"payer": 7}, "payer"),
        ({"payee": {"account": "bryn", "node": "barry"}}, "payee.node"),
        ({"payee": {"node": "barry"}}, "payee.alias"),
        ({"purpose": "rent"}, "purpose"),
        ({"activity": "magic"}, "activity"),
        ({"served_on": "2026-02-31"}, "served_on"),
        ({"served_on": "yesterday"}, "served_on"),
        ({"confirmed_by": "god"}, "confirmed_by"),
        ({"expires_in_seconds": 1}, "expires_in_seconds"),
        ({"memo": "thanks"}, "memo"),
    ],
)
def test_a_field_of_another_form_is_named(town: Town, change: dict[str, Any], field: str) -> None:
    answer = town.member("alys").post("/v1/transfers", gift("alys", "bryn", 5) | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")
    assert answer.json()["errors"][0]["field"] == field
    assert town.writer.tail.length == 6


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (b'{"minutes":NaN}', 400, "malformed"),
        (b'{"payer":"alys","payer":"bryn"}', 400, "malformed"),
        (b"[" * 5_000 + b"]" * 5_000, 413, "too_large"),
        (b'{"memo":"' + b"x" * 70_000 + b'"}', 413, "too_large"),
        (b'{"memo":"' + b"x" * 2_000_000 + b'"}', 413, "too_large"),
        # A string without an end takes all that follows, and is read once: this one would else cost minutes.
        (b"[" + b"[]," * 20 + b'"' + b'\\"[' * 20_000, 400, "malformed"),
        (b"[]", 422, "field_invalid"),
        (b"", 422, "field_invalid"),
    ],
)
def test_a_body_that_is_not_json_in_bounds_is_refused(town: Town, raw: bytes, status: int, code: str) -> None:
    answer = town.member("alys").post("/v1/transfers", content=raw, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert town.writer.tail.length == 6


def test_a_batch_of_another_form_is_refused_as_a_whole(town: Town) -> None:
    alys = town.member("alys")
    for raw in (b"{}", b"[", b"[" * 100_000, b"[" + b",".join([b"0"] * 1_001) + b"]"):
        assert alys.post("/v1/transfers/batch", content=raw, key=None, headers=JSON).json()["code"] == "malformed"


def test_poison_among_good_commands_spoils_only_itself(town: Town) -> None:
    good = [gift("alys", "bryn", 1) | {"key": f"k{number}"} for number in range(100)]
    poison: list[Any] = [
        gift("alys", "bryn", 0) | {"key": "p0"},
        {"key": "p1"},
        gift("alys", "bryn", 1),
        gift("alys", "bryn", 1) | {"key": "no good"},
        gift("bryn", "alys", 1) | {"key": "p2"},
        gift("alys", "alys", 1) | {"key": "p3"},
        7,
        gift("alys", "bryn", 1) | {"key": "p4", "memo": "x"},
        gift("alys", "Bryn", 1) | {"key": "p5"},
        gift("alys", "bryn", 2) | {"key": "k0"},
    ]
    answer = town.member("alys").post("/v1/transfers/batch", good[:50] + poison + good[50:], key=None)
    answers = answer.json()["answers"]
    assert answer.status_code == 200
    assert [one["status"] for one in answers[:50] + answers[60:]] == [201] * 100
    assert [one["problem"]["code"] for one in answers[50:60]] == [
        "amount_out_of_range",
        "field_invalid",
        "field_invalid",
        "key_missing",
        "forbidden",
        "self_transfer",
        "field_invalid",
        "field_invalid",
        "field_invalid",
        "key_reused",
    ]
    assert town.operator().get("/v1/accounts/bryn").json()["balance"] == 100


def test_a_batch_repeated_whole_gets_the_same_answers(town: Town) -> None:
    commands = [gift("alys", "bryn", 1) | {"key": f"k{number}"} for number in range(20)]
    alys = town.member("alys")
    first = alys.post("/v1/transfers/batch", commands, key=None).json()
    assert alys.post("/v1/transfers/batch", commands, key=None).json() == first
    single = alys.post("/v1/transfers", gift("alys", "bryn", 1), key="k7")
    assert single.json()["id"] == first["answers"][7]["transfer"]["id"]
    assert town.operator().get("/v1/accounts/bryn").json()["balance"] == 20
