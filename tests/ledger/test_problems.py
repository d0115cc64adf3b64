"""Problems: the table is complete, and every error of the edge is a problem document."""

from __future__ import annotations

import pytest

from tests.ledger.town_api import Town, gift, open_town
from timebank_contracts.errors import REFUSALS
from timebank_contracts.http_answers import Problem
from timebank_contracts.problems import EDGE, MEDIA_TYPE, STATUS, problem


def test_every_code_has_one_status_and_no_status_is_without_a_code() -> None:
    assert STATUS.keys() == REFUSALS.keys() | EDGE.keys()
    assert not REFUSALS.keys() & EDGE.keys()
    assert all(400 <= status <= 599 for status in STATUS.values())


@pytest.mark.parametrize("code", sorted(STATUS))
def test_every_code_makes_a_problem_that_says_what_to_do(code: str) -> None:
    body = problem(code)
    assert Problem.model_validate(body).code == code
    assert body["detail"].endswith(".")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/v1/transfers", 405, "method_not_allowed"),
        ("GET", "/tile/0/999", 404, "not_found"),
        ("GET", "/tile/0/x000", 404, "not_found"),
        ("GET", "/tile/9/000", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
    ],
)
def test_the_framework_s_errors_are_problems_too(town: Town, method: str, path: str, status: int, code: str) -> None:
    answer = town.http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == MEDIA_TYPE


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/accounts?limit=0", "limit"),
        ("/v1/accounts/Alys", "account"),
        ("/v1/accounts/alys/statement?from_position=-1", "from_position"),
        ("/v1/journal?limit=1025", "limit"),
        ("/v1/journal?wait_seconds=31", "wait_seconds"),
        ("/v1/transfers/7", "transfer"),
    ],
)
def test_a_path_or_query_of_another_form_is_named(town: Town, path: str, field: str) -> None:
    answer = town.operator().get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")
    assert answer.json()["errors"][0]["field"] == field


def test_a_stopped_writer_says_so_and_reading_goes_on(town: Town) -> None:
    operator = town.operator()
    town.writer.close()
    refused = operator.post("/v1/accounts", {"account": "cai", "kind": "member"})
    assert (refused.status_code, refused.json()["code"]) == (503, "writer_stopped")
    assert refused.headers["Retry-After"] == "1"
    ready = town.http.get("/readyz")
    assert (ready.status_code, ready.json()["code"]) == (503, "writer_stopped")
    assert town.http.get("/livez").status_code == 200
    assert operator.get("/v1/accounts/alys").status_code == 200


def test_a_journal_that_was_not_opened_is_not_ready_and_says_so() -> None:
    with open_town(begin=False) as town:
        assert town.http.get("/readyz").json()["code"] == "writer_stopped"
        assert town.http.get("/checkpoint").json()["code"] == "node_not_opened"
        assert town.federation().get("/v1/streams").json()["code"] == "node_not_opened"
        assert town.operator().get("/v1/trial-balance").json()["entries"] == 0
        refused = town.operator().post("/v1/transfers", gift("alys", "bryn", 5))
        assert (refused.status_code, refused.json()["code"]) == (409, "node_not_opened")


def test_a_method_that_is_not_taken_is_answered_with_those_that_are(town: Town) -> None:
    assert town.http.delete("/livez").headers["allow"] == "GET"
