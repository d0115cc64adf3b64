"""`X-Position` on a read: the answer is of a journal that holds what the caller wrote, or says that it is not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.ledger.town_api import Town, gift, open_town
from timebank_ledger.api import document


def read(town: Town, position: str, path: str = "/v1/accounts/alys") -> httpx.Response:
    return town.http.get(path, headers={**town.operator().headers, "X-Position": position})


def test_a_reader_sees_what_they_wrote(town: Town) -> None:
    written = town.member("alys").post("/v1/transfers", gift("alys", "bryn", 30))
    assert read(town, written.headers["X-Position"]).json()["balance"] == -30


def test_a_reader_who_is_ahead_waits_for_the_writer(town: Town) -> None:
    with ThreadPoolExecutor(1) as one:
        answer = one.submit(read, town, "7")
        town.member("alys").post("/v1/transfers", gift("alys", "bryn", 30))
        assert answer.result().json()["balance"] == -30


def test_a_position_that_is_not_reached_in_time_is_said() -> None:
    with open_town(wait_seconds_max=0) as town:
        answer = read(town, "7")
        assert (answer.status_code, answer.json()["code"]) == (503, "position_ahead")
        assert answer.headers["Retry-After"] == "1"
        assert read(town, "6").status_code == 200


def test_when_every_place_to_wait_is_taken_it_is_said_at_once(town: Town) -> None:
    edge = town.app.state.edge
    taken = 0
    while edge.followers.acquire(blocking=False):
        taken += 1
    assert read(town, "7").json()["code"] == "position_ahead"
    edge.followers.release(taken)


@pytest.mark.parametrize("position", ["", "-1", "1.0", "alys", "9" * 17, "0x7", "٧"])
def test_what_is_no_position_is_refused(town: Town, position: str) -> None:
    headers = {**town.operator().headers, "X-Position": position.encode()}
    answer = town.http.get("/v1/accounts/alys", headers=headers)  # type: ignore[arg-type]  # bytes are a header's value
    assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")


def test_every_read_that_needs_a_token_says_so() -> None:
    for path in document()["paths"].values():
        for method, operation in path.items():
            names = [one["name"] for one in operation.get("parameters", [])]
            expected = method == "get" and bool(operation["security"])
            assert names.count("X-Position") == expected, operation["operationId"]
