"""The short way of a transfer answers what the framework's way answers, byte by byte: two equal towns, one on each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.ledger.town_api import Town, open_town
from timebank_ledger.short_way import plain_transfer

LONG = "/v1/transfers?dry_run=false"
"""A query is the framework's to look at."""
ALIAS = "5d41402abc4b2a76b9719d911017c592"
GIFT: dict[str, Any] = {"payer": "alys", "payee": {"account": "bryn"}, "minutes": 5, "purpose": "gift"}
SERVICE: dict[str, Any] = GIFT | {"purpose": "service", "activity": "garden", "served_on": "2026-03-01"}
_keys = count(1)


@pytest.fixture(scope="module")
def towns() -> Iterator[tuple[Town, Town]]:
    with open_town() as one, open_town() as other:
        yield one, other


def both(
    towns: tuple[Town, Town], content: bytes, *, key: str | None = "", by: str = "alys", **headers: str
) -> tuple[httpx.Response, httpx.Response]:
    """What the short way and the framework's answer to the same bytes, found equal."""
    answers = []
    key = key if key != "" else f"k{next(_keys)}"
    for town, path in zip(towns, ("/v1/transfers", LONG), strict=True):
        client = town.operator() if by == "operator" else town.member(by)
        sent = {"Content-Type": "application/json", **client.headers, **headers}
        if key is not None:
            sent["Idempotency-Key"] = key
        answers.append(client.http.post(path, content=content, headers=sent))
    short, long = answers
    assert (short.status_code, short.content) == (long.status_code, long.content)
    assert sorted(short.headers.multi_items()) == sorted(long.headers.multi_items())
    return short, long


def raw(body: Any) -> bytes:
    return json.dumps(body).encode()


PLAIN = [
    GIFT,
    SERVICE,
    SERVICE | {"given_minutes": 7, "confirmed_by": "receiver", "programme": None, "reason": None},
    GIFT | {"minutes": 60_000},
    GIFT | {"payee": {"account": "nobody"}},
    GIFT | {"payer": "bryn"},
    GIFT | {"payee": {"account": "alys"}},
    GIFT | {"payee": {"node": "aberdare", "alias": ALIAS}},
    GIFT | {"payee": {"node": "barry", "alias": ALIAS}, "expires_in_seconds": 60},
    GIFT | {"payee": {"account": "pot"}, "purpose": "pot"},
    GIFT | {"payee": {"address": f"timebank:timebank.example/barry/{ALIAS}"}},
    GIFT | {"payee": {"address": f"timebank:timebank.elsewhere/barry/{ALIAS}"}},
    GIFT | {"purpose": "support", "reason": "welcome"},
]


@pytest.mark.parametrize("body", PLAIN, ids=range(len(PLAIN)))
@pytest.mark.parametrize("by", ["alys", "operator"])
def test_a_plain_transfer_is_answered_alike(towns: tuple[Town, Town], body: dict[str, Any], by: str) -> None:
    assert plain_transfer(raw(body)) is not None, "it is one for the short way"
    both(towns, raw(body), by=by)


def test_a_repeated_command_is_answered_alike(towns: tuple[Town, Town]) -> None:
    first, _ = both(towns, raw(GIFT), key="same")
    again, _ = both(towns, raw(GIFT), key="same")
    assert (first.status_code, first.content) == (again.status_code, again.content)
    other, _ = both(towns, raw(SERVICE), key="same")
    assert other.json()["code"] == "key_reused"


NOT_PLAIN = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff",
    raw(GIFT)[:-1] + b',"minutes":7}',
    raw(GIFT)[:-1] + b',"payer":"alys"}',
    raw(GIFT | {"payee": {"account": "bryn", "node": "barry"}}),
    raw(GIFT | {"payee": {"node": "barry"}}),
    raw(GIFT | {"payee": {"address": f"timebank:timebank.example/barry/{ALIAS}", "node": "barry", "alias": ALIAS}}),
    raw(GIFT | {"payee": {"address": f"timebank:timebank.example/barry/{ALIAS}\n"}}),
    raw(GIFT | {"payee": {"address": f"timebank:..../barry/{ALIAS}"}}),
    raw(GIFT | {"payee": {"address": f"TIMEBANK:timebank.example/barry/{ALIAS}"}}),
    raw(GIFT | {"payee": {"address": None}}),
    raw(GIFT | {"payer": "alys\n"}),
    raw(GIFT | {"memo": "thanks"}),
    raw(GIFT | {"minutes": "5"}),
    raw(GIFT | {"minutes": True}),
    raw(GIFT | {"minutes": 0}),
    raw(GIFT | {"minutes": 60_001}),
    raw(GIFT | {"minutes": 10**30}),
    raw(GIFT).replace(b"5", b"5.0"),
    raw(GIFT).replace(b"5", b"5e0"),
    raw(GIFT).replace(b"5", b"NaN"),
    raw(SERVICE | {"served_on": "2026-02-30"}),
    raw({"postings": [["alys", -5], ["bryn", 5]], "purpose": "gift"}),
    raw([GIFT]),
    b"[" * 20 + b"]" * 20,
    b" " * 70_000 + raw(GIFT),
]


@pytest.mark.parametrize("content", NOT_PLAIN, ids=range(len(NOT_PLAIN)))
def test_what_is_not_plain_is_answered_alike(towns: tuple[Town, Town], content: bytes) -> None:
    assert len(content) > 65_536 or plain_transfer(content) is None
    both(towns, content)


@pytest.mark.parametrize("key", [None, "with blank", "k" * 201])
def test_a_key_of_another_form_is_answered_alike(towns: tuple[Town, Town], key: str | None) -> None:
    assert both(towns, raw(GIFT), key=key)[0].json()["code"] == "key_missing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Type", "text/plain"),
        ("Content-Type", "application/json; charset=utf-8"),
        ("Content-Type", "application/problem+json"),
        ("Authorization", "Bearer nonsense"),
        ("Authorization", ""),
        ("Accept-Language", "cy"),
    ],
)
def test_other_headers_are_answered_alike(towns: tuple[Town, Town], name: str, value: str) -> None:
    both(towns, raw(GIFT | {"minutes": 60_000}), **{name: value})


def test_a_token_without_the_scope_is_answered_alike(towns: tuple[Town, Town]) -> None:
    token = towns[0].client("statements:read", subject="alys", accounts=frozenset({"alys"})).headers["Authorization"]
    assert both(towns, raw(GIFT), Authorization=token)[0].json()["code"] == "forbidden"


def test_both_ways_are_counted_under_one_route(towns: tuple[Town, Town]) -> None:
    counted = 'timebank_ledger_answers_total{method="POST",route="/v1/transfers",status="201"}'
    both(towns, raw(GIFT))
    texts = [town.http.get("/metrics").text for town in towns]
    short, long = ([line for line in text.splitlines() if line.startswith(counted)] for text in texts)
    assert short == long != []


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 60_001),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["alys", "pot"]),
)
FIELDS = sorted({*SERVICE, "given_minutes", "confirmed_by", "programme", "reason", "expires_in_seconds", "other"})
VALUES = st.one_of(SCALARS, st.sampled_from(["gift", "service", "receiver", "broker", "welcome", "2026-03-02"]))
PAYEES = st.dictionaries(st.sampled_from(["account", "node", "alias", "address", "else"]), VALUES, max_size=2)
CHANGES = st.dictionaries(st.sampled_from(FIELDS), st.one_of(VALUES, PAYEES), max_size=3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([GIFT, SERVICE]), CHANGES, st.sampled_from(["alys", "bryn", "operator"]))
@example(GIFT, {"payee": {"account": "bryn", "alias": None}}, "alys")
@example(GIFT, {"payee": {"account": None, "node": "aberdare"}}, "alys")
@example(GIFT, {"minutes": 5.0}, "alys")
def test_any_body_is_answered_alike(
    towns: tuple[Town, Town], body: dict[str, Any], changes: dict[str, Any], by: str
) -> None:
    both(towns, raw(body | changes), by=by)
