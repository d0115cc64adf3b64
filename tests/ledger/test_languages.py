"""Problems in the reader's language: words change, and nothing that a program decides by."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.ledger.pair_of_towns import open_pair, segment_from
from tests.ledger.town_api import Town, gift
from timebank_contracts.problems_cy import TITLES_CY

ASKED: list[tuple[str, str, Any]] = [
    ("POST", "/v1/transfers", gift("alys", "bryn", 601)),
    ("POST", "/v1/transfers", gift("alys", "bryn", 0)),
    ("POST", "/v1/transfers", gift("bryn", "alys", 1)),
    ("POST", "/v1/transfers", gift("alys", "nobody", 1)),
    ("POST", "/v1/accounts", {"account": "x", "kind": "member"}),
    ("GET", "/v1/transfers/aberdare.g1.99", None),
    ("GET", "/v1/accounts?after=x", None),
    ("GET", "/nowhere", None),
    ("DELETE", "/v1/transfers", None),
    ("POST", "/v1/transfers", "x" * 2_000_000),
]


def ask(town: Town, asked: tuple[str, str, Any], language: str) -> httpx.Response:
    method, path, body = asked
    headers = {**town.member("alys").headers, "Idempotency-Key": "k", "Accept-Language": language}
    return town.http.request(method, path, json=body, headers=headers)


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked[0]} {asked[1]} {str(asked[2])[:60]}")
def test_a_problem_says_the_same_in_both_languages(town: Town, asked: tuple[str, str, Any]) -> None:
    """Case J-11."""
    english, welsh = ask(town, asked, "en"), ask(town, asked, "cy-GB, en;q=0.5")
    said, told = english.json(), welsh.json()
    assert (english.status_code, english.headers["Content-Language"]) == (welsh.status_code, "en")
    assert welsh.headers["Content-Language"] in ("cy", "cy, en")
    assert welsh.headers["Vary"] == "Accept-Language"
    assert told["title"] == TITLES_CY[said["code"]] != said["title"]
    words = {"title", "detail"}
    assert {key: told[key] for key in told.keys() - words} == {key: said[key] for key in said.keys() - words}


@pytest.mark.parametrize("language", ["", "en", "fr, de;q=0.9", "cy;q=0", "*", ",;,", "cy;q=0.2, en;q=0.3"])
def test_without_a_wish_for_welsh_it_is_english(town: Town, language: str) -> None:
    assert ask(town, ASKED[0], language).headers["Content-Language"] == "en"


def test_each_command_of_a_batch_is_answered_in_the_language_of_the_batch(town: Town) -> None:
    commands = [gift("alys", "bryn", 601) | {"key": "a"}, gift("alys", "bryn", 1) | {"key": "b"}, {"key": "c"}]
    alys = town.member("alys")
    answer = alys.post("/v1/transfers/batch", commands, key=None, headers={"Accept-Language": "cy"})
    floor, taken, malformed = answer.json()["answers"]
    assert (floor["problem"]["code"], floor["problem"]["title"]) == ("floor", TITLES_CY["floor"])
    assert (taken["status"], malformed["problem"]["title"]) == (201, TITLES_CY["field_invalid"])


def test_what_crosses_towns_is_a_code_and_never_a_word() -> None:
    """Case J-11."""
    with open_pair() as (aberdare, barry):
        body = gift("alys", "bryn", 30) | {"payee": {"node": "barry", "alias": "f" * 32}}
        assert aberdare.member("alys").post("/v1/transfers", body).status_code == 201
        headers = {**barry.federation().headers, "Accept-Language": "cy"}
        segment = segment_from(aberdare, "barry", after=0)
        assert barry.http.post("/v1/segments", content=segment, headers=headers).json()["outcome"] == "fresh"
        answered = barry.http.get("/v1/streams/aberdare/messages", headers=headers).content
    assert b'"reason":"alias_unknown"' in answered
    assert answered.isascii()
