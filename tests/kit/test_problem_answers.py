"""Problems of any room: one form, in the reader's language, with the headers that their status asks for."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, Request

from timebank_contracts.problems import MEDIA_TYPE
from timebank_contracts.problems_cy import TITLES_CY
from timebank_kit.problem_answers import EdgeProblem, answer_headers, answer_problems
from timebank_kit.web import AsgiBridge, BodyLimit


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    app = FastAPI()
    answer_problems(app, {})

    @app.get("/own/{code}")
    async def own(request: Request, code: str, detail: str = "") -> None:
        answer_headers(request)["X-Said"] = "before"
        raise EdgeProblem(code, detail, headers={"Retry-After": "7"} if code == "rate_limited" else None)

    @app.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    bridge = AsgiBridge(BodyLimit(app, bytes_max=10))
    with httpx.Client(transport=bridge, base_url="http://room") as client:
        yield client
    bridge.close()


def test_a_problem_is_in_the_language_that_was_asked_for(http: httpx.Client) -> None:
    for language, title in (("en", "There is nothing"), ("cy", TITLES_CY["not_found"])):
        for path in ("/own/not_found", "/nowhere"):
            answer = http.get(path, headers={"Accept-Language": language})
            assert (answer.status_code, answer.headers["content-type"]) == (404, MEDIA_TYPE)
            assert (answer.json()["code"], answer.headers["content-language"]) == ("not_found", language)
            assert answer.json()["title"].startswith(title)
            assert answer.json()["detail"] == answer.json()["title"]


def test_a_detail_of_the_case_stays_and_is_said_to_be_english(http: httpx.Client) -> None:
    answer = http.get("/own/not_found?detail=This%20one.", headers={"Accept-Language": "cy"})
    assert (answer.json()["title"], answer.json()["detail"]) == (TITLES_CY["not_found"], "This one.")
    assert answer.headers["content-language"] == "cy, en"


def test_a_body_that_is_too_large_is_refused_in_the_same_form_and_language(http: httpx.Client) -> None:
    answer = http.post("/body", content=b"x" * 11, headers={"Accept-Language": "cy"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert (answer.json()["title"], answer.headers["connection"]) == (TITLES_CY["too_large"], "close")
    assert http.post("/body", content=b"x" * 10).json() == 10


def test_headers_that_were_set_before_a_problem_stay(http: httpx.Client) -> None:
    limited = http.get("/own/rate_limited")
    assert (limited.headers["x-said"], limited.headers["retry-after"]) == ("before", "7")
    assert http.get("/own/queue_full").headers["retry-after"] == "1"
    assert http.get("/own/unauthorised").headers["www-authenticate"] == "Bearer"
